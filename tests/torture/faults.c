/*
 * faults.c: see faults.h. The names are the linker's: a call of f goes to
 * __wrap_f, which calls the true one as __real_f.
 */
#include "tests/torture/faults.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static atomic_int armed = -1; /* the kind, or -1 */
static atomic_long left;
static atomic_bool stays;
static atomic_int error_of_disk;

void faults_arm(enum faults_kind kind, long nth, bool on, int error_number) {
    atomic_store(&left, nth);
    atomic_store(&stays, on);
    atomic_store(&error_of_disk, error_number);
    atomic_store(&armed, (int)kind);
}

bool faults_disarm(void) {
    atomic_store(&armed, -1);
    return atomic_load(&left) <= 0;
}

static bool fails(enum faults_kind kind) {
    if (atomic_load(&armed) != (int)kind)
        return false;
    long now = atomic_fetch_sub(&left, 1);
    if (now != 1 && !(now < 1 && atomic_load(&stays)))
        return false;
    errno = kind == FAULTS_MEMORY ? ENOMEM : atomic_load(&error_of_disk);
    return true;
}

#define WRAP(kind, type, failed, name, params, args)                           \
    extern type __real_##name params;                                          \
    extern type __wrap_##name params;                                          \
    type __wrap_##name params {                                                \
        return fails(kind) ? (failed) : __real_##name args;                    \
    }

WRAP(FAULTS_MEMORY, void *, NULL, malloc, (size_t size), (size))
WRAP(FAULTS_MEMORY, void *, NULL, calloc, (size_t count, size_t size),
     (count, size))
WRAP(FAULTS_MEMORY, void *, NULL, realloc, (void *p, size_t size), (p, size))
WRAP(FAULTS_MEMORY, char *, NULL, strdup, (const char *text), (text))
WRAP(FAULTS_MEMORY, char *, NULL, strndup, (const char *text, size_t len),
     (text, len))
WRAP(FAULTS_MEMORY, void *, MAP_FAILED, mmap,
     (void *at, size_t len, int prot, int flags, int fd, off_t offset),
     (at, len, prot, flags, fd, offset))
WRAP(FAULTS_DISK, ssize_t, -1, write, (int fd, const void *p, size_t len),
     (fd, p, len))
WRAP(FAULTS_DISK, ssize_t, -1, pwrite,
     (int fd, const void *p, size_t len, off_t at), (fd, p, len, at))
WRAP(FAULTS_DISK, int, -1, fsync, (int fd), (fd))
WRAP(FAULTS_DISK, int, -1, fdatasync, (int fd), (fd))
WRAP(FAULTS_DISK, int, -1, ftruncate, (int fd, off_t len), (fd, len))
WRAP(FAULTS_DISK, int, -1, rename, (const char *from, const char *to),
     (from, to))

/* ---- SQLite ---- */

static sqlite3_mem_methods true_methods;

static void *sqlite_malloc(int size) {
    return fails(FAULTS_MEMORY) ? NULL : true_methods.xMalloc(size);
}

static void *sqlite_realloc(void *p, int size) {
    return fails(FAULTS_MEMORY) ? NULL : true_methods.xRealloc(p, size);
}

static ssize_t sqlite_pwrite(int fd, const void *p, size_t len, off_t at) {
    return fails(FAULTS_DISK) ? -1 : __real_pwrite(fd, p, len, at);
}

void faults_init(void) {
    sqlite3_mem_methods methods;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &true_methods) != SQLITE_OK)
        abort();
    methods = true_methods;
    methods.xMalloc = sqlite_malloc;
    methods.xRealloc = sqlite_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK ||
        sqlite3_initialize() != SQLITE_OK)
        abort();
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    if (vfs->xSetSystemCall(vfs, "pwrite",
                            (sqlite3_syscall_ptr)sqlite_pwrite) != SQLITE_OK)
        abort();
    /* where there is one: a missing name is fine */
    (void)vfs->xSetSystemCall(vfs, "pwrite64",
                              (sqlite3_syscall_ptr)sqlite_pwrite);
}
