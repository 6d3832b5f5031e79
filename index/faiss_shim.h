/*
 * faiss_shim.h: what FAISS 1.7.3's C API lacks, as C functions over its C++
 * headers: parameters and a selector for one search, efConstruction, seeds.
 * `index` is a FaissIndex *, passed as void * so that neither FAISS' C nor its
 * C++ names come along. For faiss_ann.c only.
 *
 * Every function returns one of the codes; a text goes to `text` (may be cut
 * to its size) with all but the first. No exception gets out. Tuning functions
 * are for an index that no other thread sees yet; the rest is for any thread.
 */
#ifndef INV_INDEX_FAISS_SHIM_H
#define INV_INDEX_FAISS_SHIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum inv_shim_code {
    INV_SHIM_OK,
    INV_SHIM_MEMORY,    /* std::bad_alloc, std::length_error */
    INV_SHIM_EXCEPTION, /* any other */
};

struct inv_shim_text {
    char text[200];
};

struct inv_shim_tuning {
    uint64_t seed;            /* of k-means and of HNSW's levels */
    uint32_t ef_construction; /* HNSW */
    uint32_t nprobe;          /* IVF: what a search without params reads */
    size_t reserve;           /* HNSW: rows to make room for */
};

struct inv_shim_request {
    size_t k;
    uint32_t ef;     /* HNSW: the size of its candidate list, else 0 */
    uint32_t nprobe; /* IVF: lists to read, else 0. Both 0: no parameters */
    const uint8_t *allowed; /* bit i of byte i / 8: i may be found; or NULL */
    size_t allowed_bytes;
};

/* Sets what the factory string cannot say; before training. */
enum inv_shim_code inv_shim_tune(void *index,
                                 const struct inv_shim_tuning *tuning,
                                 struct inv_shim_text *text);

/* The nearest k; unused places of labels hold -1. */
enum inv_shim_code inv_shim_search(const void *index, const float *query,
                                   const struct inv_shim_request *request,
                                   float *scores, int64_t *labels,
                                   struct inv_shim_text *text);

/* HNSW: FAISS' own distance (inner product or squared L2) to chosen rows. */
enum inv_shim_code inv_shim_distances(const void *index, const float *query,
                                      const uint32_t *rows, size_t count,
                                      float *out, struct inv_shim_text *text);

/* Sets how many OpenMP threads the calling thread starts; returns the number
 * before. OpenMP keeps that number per thread. */
int inv_shim_threads(int threads);

#ifdef __cplusplus
}
#endif

#endif
