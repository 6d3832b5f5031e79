/*
 * blas.h: which kernels OpenBLAS runs on.
 */
#ifndef INV_BASE_BLAS_H
#define INV_BASE_BLAS_H

/* OpenBLAS chooses its kernels while it is loaded. One that is older than the
 * processor falls back to those of 2004 ("Prescott", without AVX): Debian 12's
 * 0.3.21 does so on Intel's Sapphire Rapids, where fits of adapters take three
 * times and encodings twice as long as with its AVX2 kernels. Where that has
 * happened and the processor has AVX2 and FMA, this starts the program again
 * with OPENBLAS_CORETYPE=Haswell; who sets the variable has chosen. To be
 * called first in main. Returns when there is nothing to do, or it cannot be
 * done. */
void inv_blas_choose(char **argv);

#endif
