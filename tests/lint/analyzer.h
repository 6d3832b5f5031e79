/*
 * analyzer.h: put in front of every file by clang-tidy, never by a compiler.
 * The analyzer sees one file at a time, so it takes into account that
 * inv_fail(..., INV_MEMORY, ...) might return INV_OK and walks paths that do
 * not exist. Here a failure is the status it was given. And clang 14 does not
 * know all the CPU features gcc can ask for.
 */
#ifndef TESTS_LINT_ANALYZER_H
#define TESTS_LINT_ANALYZER_H

#include "base/status.h"

void inv_lint_seen(void *err, ...);

#define __builtin_cpu_supports(name) 1

#define inv_fail(err, status, ...) (inv_lint_seen(err, __VA_ARGS__), (status))
#define inv_fail_errno(err, errno_value, ...)                                  \
    (inv_lint_seen(err, errno_value, __VA_ARGS__), INV_IO)

#endif
