/*
 * file_tree.c: inv_file_remove_tree of file.h. Works with descriptors of
 * directories, never with longer and longer paths, so that a directory that is
 * exchanged for a symbolic link meanwhile cannot lead it elsewhere. Any thread.
 */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 64 /* one descriptor is open for each level */

static enum inv_status remove_at(int dir, const char *name, const char *root,
                                 int depth, struct inv_err *err);

/* Empties the directory open as fd and closes it. */
static enum inv_status empty(int fd, const char *root, int depth,
                             struct inv_err *err) {
    enum inv_status status = INV_OK;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        status = inv_fail_errno(err, errno, "cannot read under %s", root);
        close(fd);
        return status;
    }
    while (status == INV_OK) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            if (errno != 0)
                status =
                    inv_fail_errno(err, errno, "cannot read under %s", root);
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            status = remove_at(fd, entry->d_name, root, depth + 1, err);
    }
    closedir(dir);
    return status;
}

static enum inv_status remove_at(int dir, const char *name, const char *root,
                                 int depth, struct inv_err *err) {
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT)
            return INV_OK;
        return inv_fail_errno(err, errno, "cannot examine %s in %s", name,
                              root);
    }
    int flags = 0;
    if (S_ISDIR(st.st_mode)) {
        if (depth > DEPTH_MAX)
            return inv_fail(err, INV_UNSUPPORTED,
                            "%s is more than %d directories deep", root,
                            DEPTH_MAX);
        int fd =
            openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            return inv_fail_errno(err, errno, "cannot open %s in %s", name,
                                  root);
        enum inv_status status = empty(fd, root, depth, err);
        if (status != INV_OK)
            return status;
        flags = AT_REMOVEDIR;
    }
    if (unlinkat(dir, name, flags) != 0 && errno != ENOENT)
        return inv_fail_errno(err, errno, "cannot remove %s in %s", name, root);
    return INV_OK;
}

enum inv_status inv_file_remove_tree(const char *path, struct inv_err *err) {
    /* "link/" would mean the directory behind the link. */
    char bare[PATH_MAX];
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (len == 0 || len >= sizeof bare)
        return inv_fail(err, INV_INVALID,
                        "a path to remove must have 1 to %d bytes, got %zu",
                        PATH_MAX - 1, len);
    memcpy(bare, path, len);
    bare[len] = '\0';
    return remove_at(AT_FDCWD, bare, bare, 1, err);
}
