/*
 * file.c: see file.h. Knows nothing about what is in the files. Any thread;
 * no state.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIR_MODE 0750
#define FILE_MODE 0640

/* Linux writes at most this much at once; asking for no more keeps the
 * arithmetic in ssize_t safe. */
#define WRITE_MAX ((size_t)1 << 30)

/* at: offset, or -1 for the descriptor's own position. */
static enum inv_status write_loop(int fd, const char *bytes, size_t len,
                                  off_t at, struct inv_err *err) {
    size_t done = 0;
    while (done < len) {
        size_t want = len - done < WRITE_MAX ? len - done : WRITE_MAX;
        ssize_t n = at < 0 ? write(fd, bytes + done, want)
                           : pwrite(fd, bytes + done, want, at + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return inv_fail_errno(err, errno, "cannot write: %zu of %zu bytes",
                                  done, len);
        if (n == 0) /* not specified for regular files; never spin on it */
            return inv_fail(err, INV_IO, "cannot write: %zu of %zu bytes", done,
                            len);
        done += (size_t)n;
    }
    return INV_OK;
}

enum inv_status inv_file_write_all(int fd, const void *bytes, size_t len,
                                   struct inv_err *err) {
    return write_loop(fd, bytes, len, -1, err);
}

enum inv_status inv_file_pwrite_all(int fd, const void *bytes, size_t len,
                                    uint64_t offset, struct inv_err *err) {
    if (offset > (uint64_t)INT64_MAX - len || len > (uint64_t)INT64_MAX)
        return inv_fail(err, INV_INVALID,
                        "cannot write %zu bytes at %" PRIu64
                        ": beyond the largest file",
                        len, offset);
    return write_loop(fd, bytes, len, (off_t)offset, err);
}

enum inv_status inv_file_sync_dir(const char *path, struct inv_err *err) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return inv_fail_errno(err, errno, "cannot open the directory %s", path);
    enum inv_status status = INV_OK;
    if (fsync(fd) != 0)
        status =
            inv_fail_errno(err, errno, "cannot sync the directory %s", path);
    close(fd);
    return status;
}

/* The directory of a path without trailing slashes, into out[PATH_MAX]. */
static enum inv_status parent_of(const char *path, char *out,
                                 struct inv_err *err) {
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    if (len >= PATH_MAX)
        return inv_fail(err, INV_INVALID,
                        "a path of %zu bytes is too long (at most %d)",
                        strlen(path), PATH_MAX - 1);
    if (slash == NULL)
        snprintf(out, PATH_MAX, ".");
    else if (len == 0)
        snprintf(out, PATH_MAX, "/");
    else
        snprintf(out, PATH_MAX, "%.*s", (int)len, path);
    return INV_OK;
}

static enum inv_status write_and_sync(int fd, const char *path,
                                      const void *bytes, size_t len,
                                      struct inv_err *err) {
    struct inv_err inner;
    enum inv_status status = inv_file_write_all(fd, bytes, len, &inner);
    if (status != INV_OK)
        return inv_fail(err, status, "%.200s: %.100s", path, inner.text);
    if (fsync(fd) != 0)
        return inv_fail_errno(err, errno, "cannot sync %s", path);
    return INV_OK;
}

enum inv_status inv_file_write_atomic(const char *path, const void *bytes,
                                      size_t len, struct inv_err *err) {
    char dir[PATH_MAX];
    char temp[PATH_MAX + 32];
    uint64_t random = 0;
    enum inv_status status = parent_of(path, dir, err);
    if (status != INV_OK)
        return status;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return inv_fail_errno(err, errno, "no random number to name a file");
    int n = snprintf(temp, sizeof temp, "%s.tmp.%016" PRIx64, path, random);
    if (n < 0 || (size_t)n >= sizeof temp)
        return inv_fail(err, INV_INVALID,
                        "a path of %zu bytes is too long (at most %d)",
                        strlen(path), PATH_MAX - 1);
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return inv_fail_errno(err, errno, "cannot create %s", temp);
    status = write_and_sync(fd, path, bytes, len, err);
    if (close(fd) != 0 && status == INV_OK)
        status = inv_fail_errno(err, errno, "cannot close %s", temp);
    if (status == INV_OK && rename(temp, path) != 0)
        status =
            inv_fail_errno(err, errno, "cannot rename %s to %s", temp, path);
    if (status != INV_OK) {
        unlink(temp);
        return status;
    }
    return inv_file_sync_dir(dir, err);
}

static enum inv_status make_dir(const char *path, struct inv_err *err) {
    struct stat st;
    char parent[PATH_MAX];
    if (mkdir(path, DIR_MODE) == 0) {
        enum inv_status status = parent_of(path, parent, err);
        return status != INV_OK ? status : inv_file_sync_dir(parent, err);
    }
    int failed = errno;
    if (stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return INV_OK;
        failed = ENOTDIR;
    }
    return inv_fail_errno(err, failed, "cannot make the directory %s", path);
}

enum inv_status inv_file_mkdirs(const char *path, struct inv_err *err) {
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (len == 0 || len >= PATH_MAX)
        return inv_fail(err, INV_INVALID,
                        "a directory's path must have 1 to %d bytes, got %zu",
                        PATH_MAX - 1, len);
    char part[PATH_MAX];
    memcpy(part, path, len);
    part[len] = '\0';
    enum inv_status status = INV_OK;
    for (size_t i = 1; i < len && status == INV_OK; i++) {
        if (part[i] != '/' || part[i - 1] == '/')
            continue;
        part[i] = '\0';
        status = make_dir(part, err);
        part[i] = '/';
    }
    return status != INV_OK ? status : make_dir(part, err);
}

enum inv_status inv_file_map_read(const char *path, const void **bytes,
                                  size_t *len, struct inv_err *err) {
    struct stat st;
    enum inv_status status = INV_OK;
    void *map = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return inv_fail_errno(err, errno, "cannot open %s", path);
    if (fstat(fd, &st) != 0) {
        status = inv_fail_errno(err, errno, "cannot examine %s", path);
    } else if (!S_ISREG(st.st_mode)) {
        status = inv_fail(err, INV_IO, "%s is not a regular file", path);
    } else if (st.st_size > 0) {
        map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
            status = inv_fail_errno(err, errno, "cannot map %s (%lld bytes)",
                                    path, (long long)st.st_size);
    }
    close(fd);
    if (status != INV_OK)
        return status;
    *len = (size_t)st.st_size;
    *bytes = map == NULL ? "" : map;
    return INV_OK;
}

void inv_file_unmap(const void *bytes, size_t len) {
    if (bytes != NULL && len > 0)
        munmap((void *)(uintptr_t)bytes, len);
}

static enum inv_status say_who_holds(int fd, const char *path,
                                     struct inv_err *err) {
    char dir[PATH_MAX];
    char pid[24] = "";
    enum inv_status status = parent_of(path, dir, err);
    if (status != INV_OK)
        return status;
    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
    pid[n > 0 ? n : 0] = '\0';
    pid[strspn(pid, "0123456789")] = '\0';
    return inv_fail(err, INV_CONFLICT,
                    "the directory %.200s is in use by process %s", dir,
                    pid[0] != '\0' ? pid : "(unknown, just starting)");
}

enum inv_status inv_file_lock(const char *path, int *lock,
                              struct inv_err *err) {
    enum inv_status status = INV_OK;
    char pid[24];
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return inv_fail_errno(err, errno, "cannot open the lock file %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            status = say_who_holds(fd, path, err);
        else
            status = inv_fail_errno(err, errno, "cannot lock %s", path);
        goto failed;
    }
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0) {
        status = inv_fail_errno(err, errno, "cannot empty %s", path);
        goto failed;
    }
    status = inv_file_pwrite_all(fd, pid, (size_t)n, 0, err);
    if (status != INV_OK)
        goto failed;
    *lock = fd;
    return INV_OK;
failed:
    close(fd);
    return status;
}

void inv_file_unlock(int lock) {
    if (lock < 0)
        return;
    /* An old process id in a free lock file would only mislead; when it cannot
     * be removed nothing is lost. */
    if (ftruncate(lock, 0) != 0)
        (void)0;
    close(lock);
}
