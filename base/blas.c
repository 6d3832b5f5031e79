/*
 * blas.c: see blas.h. Runs before there is any thread.
 */
#include "base/blas.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CORETYPE "OPENBLAS_CORETYPE"

void inv_blas_choose(char **argv) {
#if defined(__x86_64__)
    if (getenv(CORETYPE) != NULL ||
        strcmp(openblas_get_corename(), "Prescott") != 0 ||
        !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
        setenv(CORETYPE, "Haswell", 1) != 0)
        return;
    (void)execv("/proc/self/exe", argv);
#else
    (void)argv;
#endif
}
