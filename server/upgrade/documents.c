/*
 * documents.c: see documents.h. Callers: the fit job, calibration, backfill.
 */
#include "server/upgrade/documents.h"

#include "base/kernels.h"
#include "server/encoder.h"

#include <stdlib.h>

static int by_doc(const void *a, const void *b) {
    int64_t x = ((const struct inv_upgrade_document *)a)->doc;
    int64_t y = ((const struct inv_upgrade_document *)b)->doc;
    return (x > y) - (x < y);
}

static size_t next_live(const struct inv_part *part, size_t from) {
    return inv_bitset_next(part->live->set, part->count, from);
}

static struct inv_upgrade_document describe(const struct inv_view *view,
                                            size_t part, size_t entry,
                                            int64_t other) {
    size_t other_part = 0;
    size_t other_entry = 0;
    int64_t doc = view->parts[part].entries->items[entry].doc;
    bool both = inv_view_find_doc(view, other, doc, &other_part, &other_entry);
    return (struct inv_upgrade_document){.doc = doc,
                                         .part = (uint32_t)part,
                                         .entry = (uint32_t)entry,
                                         .other_part = (uint32_t)other_part,
                                         .other_entry = (uint32_t)other_entry,
                                         .both = both};
}

enum inv_status inv_upgrade_documents_list(const struct inv_view *view,
                                           int64_t space, int64_t other,
                                           struct inv_upgrade_documents *out,
                                           struct inv_err *err) {
    size_t most = 0;
    for (size_t p = 0; p < view->count; p++)
        if (inv_part_space(&view->parts[p]) == space)
            most += view->parts[p].live->count;
    *out = (struct inv_upgrade_documents){
        .items = malloc((most + 1) * sizeof *out->items)};
    if (out->items == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu documents",
                        most);
    for (size_t p = 0; p < view->count; p++) {
        const struct inv_part *part = &view->parts[p];
        if (inv_part_space(part) != space)
            continue;
        for (size_t e = next_live(part, 0);
             e < part->count && out->count < most; e = next_live(part, e + 1)) {
            out->items[out->count] = describe(view, p, e, other);
            out->both += out->items[out->count].both;
            out->count++;
        }
    }
    if (out->count > 0)
        qsort(out->items, out->count, sizeof *out->items, by_doc);
    return INV_OK;
}

void inv_upgrade_documents_release(struct inv_upgrade_documents *documents) {
    free(documents->items);
    *documents = (struct inv_upgrade_documents){.count = 0};
}

size_t inv_upgrade_documents_both(const struct inv_view *view, int64_t space,
                                  int64_t other) {
    size_t both = 0;
    for (size_t p = 0; p < view->count; p++) {
        const struct inv_part *part = &view->parts[p];
        if (inv_part_space(part) != space)
            continue;
        for (size_t e = next_live(part, 0); e < part->count;
             e = next_live(part, e + 1))
            both += describe(view, p, e, other).both;
    }
    return both;
}

enum inv_status inv_upgrade_codes(const struct inv_view *view, uint32_t part,
                                  uint32_t entry, struct inv_codes *out,
                                  struct inv_err *err) {
    return inv_vlog_get(view->logs,
                        &inv_upgrade_entry(view, part, entry)->place, out, err);
}

enum inv_status inv_upgrade_vector(const struct inv_view *view, uint32_t part,
                                   uint32_t entry, size_t dim, bool normalise,
                                   float *out, struct inv_err *err) {
    struct inv_codes codes;
    enum inv_status status = inv_upgrade_codes(view, part, entry, &codes, err);
    if (status != INV_OK)
        return status;
    if (codes.rows != 1 || codes.dim != dim)
        return inv_fail(err, INV_CORRUPT,
                        "a record holds %zu vectors of %zu dimensions where "
                        "one of %zu is expected",
                        codes.rows, codes.dim, dim);
    inv_codes_decode(&codes, out);
    if (normalise)
        inv_normalize_f32(out, dim);
    return INV_OK;
}
