/*
 * file.h: what the file system is asked for more than once, done the careful
 * way: interrupted and short writes are continued, "written" means synced,
 * and errors name the path. Any thread.
 */
#ifndef INV_BASE_FILE_H
#define INV_BASE_FILE_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* All len bytes or an error (how many got written is in the text). */
enum inv_status inv_file_write_all(int fd, const void *bytes, size_t len,
                                   struct inv_err *err) INV_MUST_USE;
/* The same at an offset; the descriptor's own position does not matter. */
enum inv_status inv_file_pwrite_all(int fd, const void *bytes, size_t len,
                                    uint64_t offset,
                                    struct inv_err *err) INV_MUST_USE;

/* fsync of a directory: makes its entries (new, renamed, removed) durable. */
enum inv_status inv_file_sync_dir(const char *path,
                                  struct inv_err *err) INV_MUST_USE;

/* Replaces path by these bytes: after a crash either the old or the new file
 * is there, whole; after INV_OK the new one. Mode 0640 less the umask. The
 * temporary file is <path>.tmp.<16 hex digits> beside it; a crash may leave
 * one behind, a failure does not. */
enum inv_status inv_file_write_atomic(const char *path, const void *bytes,
                                      size_t len,
                                      struct inv_err *err) INV_MUST_USE;

/* Makes a directory and all that lead to it (0750 less the umask), durably.
 * Fine when it is there; INV_IO when something else is. */
enum inv_status inv_file_mkdirs(const char *path,
                                struct inv_err *err) INV_MUST_USE;

/* Removes a file or a directory with all in it. Symbolic links are removed,
 * never followed. Fine when nothing is there. At most 64 levels deep. Stops at
 * the first failure. The parent is not synced. */
enum inv_status inv_file_remove_tree(const char *path,
                                     struct inv_err *err) INV_MUST_USE;

/* Maps a regular file for reading, shared. An empty file gives len 0 and a
 * valid pointer. The file must not shrink while it is mapped. */
enum inv_status inv_file_map_read(const char *path, const void **bytes,
                                  size_t *len,
                                  struct inv_err *err) INV_MUST_USE;
void inv_file_unmap(const void *bytes, size_t len); /* len 0, NULL: nothing */

/* Takes the exclusive lock file `path` (made when missing, 0640) and writes
 * this process's id into it. Held until inv_file_unlock or the process ends;
 * the file itself stays. Held by another (this process included): INV_CONFLICT
 * that names the directory and the holder's process id. */
enum inv_status inv_file_lock(const char *path, int *lock,
                              struct inv_err *err) INV_MUST_USE;
void inv_file_unlock(int lock); /* -1: nothing */

#endif
