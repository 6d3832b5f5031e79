/*
 * faults.h: makes the n-th allocation or the n-th system call fail, in the
 * product's own code (the linker renames the calls: --wrap, see the Makefile)
 * and inside SQLite. Any thread.
 */
#ifndef TESTS_TORTURE_FAULTS_H
#define TESTS_TORTURE_FAULTS_H

#include <stdbool.h>

enum faults_kind {
    FAULTS_MEMORY, /* malloc, calloc, realloc, strdup, strndup, mmap */
    FAULTS_DISK,   /* write, pwrite, fsync, fdatasync, rename, ftruncate */
};

/* Once, before anything of SQLite is used. */
void faults_init(void);
/* From now on the nth call (from 1) of this kind fails; `on`: it and all that
 * follow. Disk: with error_number. */
void faults_arm(enum faults_kind kind, long nth, bool on, int error_number);
/* Ends it; was the nth call reached? */
bool faults_disarm(void);

#endif
