/*
 * faiss_shim.cc: see faiss_shim.h. The only C++ of the project. Written for
 * FAISS 1.7.3 and kept to what later releases still have.
 *
 * HNSW in 1.7.3 sizes its candidate list by max(index.efSearch, k), where
 * efSearch is a field of the shared index, and params.efSearch only ends the
 * walk earlier: a larger params.efSearch alone changes nothing. So the field is
 * set to 1 and the caller asks for k = ef results.
 */
#include "index/faiss_shim.h"

#include <faiss/impl/DistanceComputer.h>
#include <faiss/impl/IDSelector.h>
#include <faiss/IndexFlatCodes.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIVF.h>
#include <faiss/IndexIVFPQ.h>
#include <faiss/IndexIVFPQFastScan.h>

#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <vector>

/* Of libgomp; its header is not for every compiler that reads this file. */
extern "C" int omp_get_max_threads(void);
extern "C" void omp_set_num_threads(int threads);

namespace {

void say(inv_shim_text *text, const char *what) {
    if (text != nullptr)
        std::snprintf(text->text, sizeof text->text, "%s", what);
}

/* Runs f; what it throws becomes a code. */
template <class Function>
inv_shim_code guarded(inv_shim_text *text, Function f) {
    try {
        f();
        return INV_SHIM_OK;
    } catch (const std::bad_alloc &e) {
        say(text, e.what());
        return INV_SHIM_MEMORY;
    } catch (const std::length_error &e) {
        say(text, e.what());
        return INV_SHIM_MEMORY;
    } catch (const std::exception &e) {
        say(text, e.what());
        return INV_SHIM_EXCEPTION;
    } catch (...) {
        say(text, "unknown exception");
        return INV_SHIM_EXCEPTION;
    }
}

/* A vector in 1.7.3, a wrapper that owns one in later releases. */
template <class T> void reserve(std::vector<T> &v, size_t n) { v.reserve(n); }

template <class V>
auto reserve(V &v, size_t n) -> decltype(v.owned_data.reserve(n), void()) {
    v.owned_data.reserve(n);
}

void tune_clustering(faiss::ClusteringParameters &cp, uint64_t seed) {
    cp.seed = static_cast<int>(seed & 0x7fffffff);
    cp.verbose = false;
    cp.min_points_per_centroid = 1; /* silences a warning on stderr */
}

void tune_hnsw(faiss::IndexHNSW *index, const inv_shim_tuning *tuning) {
    index->hnsw.efSearch = 1;
    index->hnsw.efConstruction = static_cast<int>(tuning->ef_construction);
    index->hnsw.rng =
        faiss::RandomGenerator(static_cast<int64_t>(tuning->seed & INT64_MAX));
    if (tuning->reserve == 0)
        return;
    auto *codes = dynamic_cast<faiss::IndexFlatCodes *>(index->storage);
    if (codes != nullptr)
        reserve(codes->codes, tuning->reserve * codes->code_size);
    /* The lowest level and a little for those above it. */
    size_t below = static_cast<size_t>(index->hnsw.nb_neighbors(0));
    reserve(index->hnsw.neighbors,
            tuning->reserve * below + tuning->reserve * below / 16);
}

void tune_ivf(faiss::IndexIVF *index, const inv_shim_tuning *tuning) {
    tune_clustering(index->cp, tuning->seed);
    index->nprobe = tuning->nprobe;
    if (auto *pq = dynamic_cast<faiss::IndexIVFPQ *>(index))
        tune_clustering(pq->pq.cp, tuning->seed);
    if (auto *fs = dynamic_cast<faiss::IndexIVFPQFastScan *>(index))
        tune_clustering(fs->pq.cp, tuning->seed);
}

/* Fast scan takes no parameters in 1.7.3, but what it reads is a field: this
 * one search gets a copy of the index object (its codebook, some 50 KB) that
 * borrows lists and quantizer. */
void search_copy(const faiss::IndexIVFPQFastScan &index, const float *query,
                 const inv_shim_request *request, float *scores,
                 int64_t *labels) {
    faiss::IndexIVFPQFastScan copy(index);
    copy.own_fields = false;
    copy.own_invlists = false;
    copy.nprobe = request->nprobe;
    copy.search(1, query, static_cast<int64_t>(request->k), scores, labels);
}

/* Rows that are scored one by one lie apart: they are fetched this many ahead,
 * as their first line alone would not do. */
constexpr size_t AHEAD = 3;

void prefetch(const uint8_t *from, size_t bytes) {
    for (size_t i = 0; i < bytes && i < 2048; i += 64)
        __builtin_prefetch(from + i);
}

} // namespace

extern "C" enum inv_shim_code
inv_shim_tune(void *index, const struct inv_shim_tuning *tuning,
              struct inv_shim_text *text) {
    return guarded(text, [&] {
        auto *base = static_cast<faiss::Index *>(index);
        base->verbose = false;
        if (auto *hnsw = dynamic_cast<faiss::IndexHNSW *>(base))
            tune_hnsw(hnsw, tuning);
        if (auto *ivf = dynamic_cast<faiss::IndexIVF *>(base))
            tune_ivf(ivf, tuning);
    });
}

extern "C" enum inv_shim_code
inv_shim_search(const void *index, const float *query,
                const struct inv_shim_request *request, float *scores,
                int64_t *labels, struct inv_shim_text *text) {
    return guarded(text, [&] {
        const auto *base = static_cast<const faiss::Index *>(index);
        if (base == nullptr)
            throw std::invalid_argument("there is no index");
        const auto *scan =
            dynamic_cast<const faiss::IndexIVFPQFastScan *>(base);
        if (scan != nullptr && request->nprobe != 0 &&
            request->nprobe != scan->nprobe) {
            search_copy(*scan, query, request, scores, labels);
            return;
        }
        faiss::IDSelectorBitmap selector(request->allowed_bytes,
                                         request->allowed);
        faiss::IDSelector *sel =
            request->allowed != nullptr ? &selector : nullptr;
        faiss::SearchParametersHNSW hnsw;
        faiss::SearchParametersIVF ivf;
        const faiss::SearchParameters *params = nullptr;
        if (request->ef != 0) {
            hnsw.efSearch = static_cast<int>(request->ef);
            hnsw.sel = sel;
            params = &hnsw;
        } else if (request->nprobe != 0 && scan == nullptr) {
            ivf.nprobe = request->nprobe;
            ivf.sel = sel;
            params = &ivf;
        }
        base->search(1, query, static_cast<int64_t>(request->k), scores, labels,
                     params);
    });
}

extern "C" enum inv_shim_code
inv_shim_distances(const void *index, const float *query, const uint32_t *rows,
                   size_t count, float *out, struct inv_shim_text *text) {
    return guarded(text, [&] {
        const auto *base = static_cast<const faiss::Index *>(index);
        const auto &hnsw = dynamic_cast<const faiss::IndexHNSW &>(*base);
        std::unique_ptr<faiss::DistanceComputer> distance(
            hnsw.storage->get_distance_computer());
        distance->set_query(query);
        const auto *codes =
            dynamic_cast<const faiss::IndexFlatCodes *>(hnsw.storage);
        for (size_t i = 0; i < count; i++) {
            if (codes != nullptr && i + AHEAD < count)
                prefetch(codes->codes.data() +
                             rows[i + AHEAD] * codes->code_size,
                         codes->code_size);
            out[i] = (*distance)(rows[i]);
        }
    });
}

extern "C" int inv_shim_threads(int threads) {
    int before = omp_get_max_threads();
    if (before != threads)
        omp_set_num_threads(threads);
    return before;
}
