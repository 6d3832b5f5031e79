/*
 * gallery_load.c: from a directory and a catalog to the first view. Rows that
 * lie in no usable segment become fresh entries: that is how new entries come
 * back after a restart, and how a lost segment is served until it is built
 * again. Runs on the thread that opens the collection, before it is shared.
 */
#include "index/gallery_internal.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every vector of the collection, in order of vseq once sorted. */
struct loaded {
    struct inv_entry entry;
    int64_t space;
    struct inv_row *row; /* moves to a fresh part or is freed */
    bool taken;          /* by a sealed segment */
};

struct load {
    struct inv_gallery *gallery;
    const struct inv_schema *schema;
    struct loaded *docs;
    size_t count, cap;
    struct inv_entries *ids; /* only for the memory of its ids */
    struct inv_vlog_end *ends;
    size_t end_count, end_cap;
    uint64_t *gens;
    size_t gen_count, gen_cap;
    size_t damaged; /* documents whose vectors cannot be read */
};

static bool grow(void **items, size_t *cap, size_t count, size_t size) {
    if (count < *cap)
        return true;
    size_t more = *cap == 0 ? 64 : *cap * 2;
    void *moved = realloc(*items, more * size);
    if (moved == NULL)
        return false;
    *items = moved;
    *cap = more;
    return true;
}

static bool note_end(struct load *load, const struct inv_place *place) {
    uint64_t end = place->offset + place->length;
    for (size_t i = load->end_count; i-- > 0;)
        if (load->ends[i].file == place->file) {
            if (end > load->ends[i].end)
                load->ends[i].end = end;
            return true;
        }
    if (!grow((void **)&load->ends, &load->end_cap, load->end_count,
              sizeof *load->ends))
        return false;
    load->ends[load->end_count++] =
        (struct inv_vlog_end){.file = place->file, .end = end};
    return true;
}

static enum inv_status take_document(void *ctx,
                                     const struct inv_document_row *row,
                                     struct inv_err *err) {
    struct load *load = ctx;
    const char *id = NULL;
    if (grow((void **)&load->docs, &load->cap, load->count,
             sizeof *load->docs) &&
        note_end(load, &row->place))
        id = inv_entries_keep_id(load->ids, row->id, row->id_len);
    if (id == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory reading the catalog");
    struct loaded *doc = &load->docs[load->count++];
    *doc = (struct loaded){.entry = {.vseq = row->vseq,
                                     .doc = row->doc,
                                     .id = id,
                                     .id_len = (uint32_t)row->id_len,
                                     .place = row->place},
                           .space = row->space};
    if (load->schema->count == 0 || row->payload == NULL)
        return INV_OK;
    return load->gallery->row(load->schema, row->payload, row->payload_len,
                              &doc->row, err);
}

static enum inv_status take_gen(void *ctx, uint64_t gen, struct inv_err *err) {
    struct load *load = ctx;
    if (!grow((void **)&load->gens, &load->gen_cap, load->gen_count,
              sizeof *load->gens))
        return inv_fail(err, INV_MEMORY, "out of memory reading the catalog");
    load->gens[load->gen_count++] = gen;
    return INV_OK;
}

static int by_vseq(const void *a, const void *b) {
    uint64_t x = ((const struct loaded *)a)->entry.vseq;
    uint64_t y = ((const struct loaded *)b)->entry.vseq;
    return (x > y) - (x < y);
}

static enum inv_status read_catalog(struct load *load, struct inv_err *err) {
    struct inv_gallery *gallery = load->gallery;
    struct inv_db *db;
    enum inv_status status = inv_catalog_borrow(gallery->catalog, &db, err);
    if (status != INV_OK)
        return status;
    status = inv_db_documents(db, gallery->collection, load->schema->count > 0,
                              take_document, load, err);
    if (status == INV_OK)
        status = inv_db_segments(db, gallery->collection, take_gen, load, err);
    inv_catalog_return(gallery->catalog, db);
    if (status == INV_OK && load->count > 0)
        qsort(load->docs, load->count, sizeof *load->docs, by_vseq);
    return status;
}

static struct loaded *find_doc(struct load *load, uint64_t vseq) {
    size_t low = 0;
    size_t high = load->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (load->docs[middle].entry.vseq < vseq)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == load->count || load->docs[low].entry.vseq != vseq)
        return NULL;
    return &load->docs[low];
}

/* Its row stays in the catalog; searches do not see it. */
static void lose_document(struct load *load, const struct loaded *doc,
                          const struct inv_err *why) {
    char text[240];
    if (load->damaged++ > 0)
        return; /* the first one tells why */
    snprintf(text, sizeof text, "document \"%.*s\": %.150s",
             (int)(doc->entry.id_len < 64 ? doc->entry.id_len : 64),
             doc->entry.id, why->text);
    inv_gallery_damaged(load->gallery, text);
}

static enum inv_status fill_part(struct load *load, const uint64_t *vseqs,
                                 struct inv_part *part, struct inv_err *err) {
    struct inv_postings_builder *builder = NULL;
    enum inv_status status = inv_postings_builder_new(
        load->schema->fields, load->schema->count, part->count, &builder, err);
    for (size_t i = 0; status == INV_OK && i < part->count; i++) {
        struct loaded *doc = find_doc(load, vseqs[i]);
        struct inv_err why = {0};
        part->entries->items[i].vseq = vseqs[i];
        /* taken: a segment that was given up and replaced is back */
        if (doc == NULL || doc->taken || doc->space != inv_part_space(part))
            continue;
        part->entries->items[i] = doc->entry;
        if (!inv_entries_link(part->entries, i)) {
            status = inv_fail(err, INV_MEMORY, "out of memory for entries");
            break;
        }
        if (!inv_vlog_reaches(load->gallery->next->logs, &doc->entry.place,
                              &why)) {
            lose_document(load, doc, &why);
            continue;
        }
        inv_bitset_add(part->live->set, i);
        part->live->count++;
        status = inv_postings_builder_add(builder, (uint32_t)i, doc->entry.id,
                                          doc->entry.id_len, doc->row, err);
    }
    struct inv_postings *postings = NULL;
    if (status == INV_OK) {
        status = inv_postings_build(builder, &postings, err);
        builder = NULL;
    }
    inv_postings_builder_free(builder);
    if (status != INV_OK)
        return status;
    part->postings = inv_shared_postings_new(postings);
    if (part->postings == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for postings");
    for (size_t i = 0; i < part->count; i++) {
        struct loaded *doc = find_doc(load, vseqs[i]);
        if (doc == NULL || doc->space != inv_part_space(part))
            continue;
        doc->taken = true;
        free(doc->row);
        doc->row = NULL;
    }
    return INV_OK;
}

static enum inv_status load_segment(struct load *load, uint64_t gen,
                                    struct inv_err *err) {
    struct inv_gallery *gallery = load->gallery;
    char dir[4096];
    inv_gallery_segment_dir(gallery, gen, dir, sizeof dir);
    struct inv_part part = {0};
    uint64_t *vseqs = NULL;
    enum inv_status status = inv_segment_open(
        dir, gen, inv_gallery_encoding, gallery, &part.segment, &vseqs, err);
    if (status != INV_OK)
        return status;
    part.count = part.segment->count;
    part.entries = inv_entries_new(part.count, false, load->ids->ids);
    part.live = inv_live_new(part.count);
    part.live_owned = true;
    if (part.entries == NULL || part.live == NULL)
        status = inv_fail(err, INV_MEMORY, "out of memory for %zu entries",
                          part.count);
    else
        status = fill_part(load, vseqs, &part, err);
    free(vseqs);
    if (status == INV_OK)
        return inv_gallery_add_part(gallery, &part, err);
    inv_part_release(&part);
    return status;
}

static enum inv_status load_segments(struct load *load, struct inv_err *err) {
    struct inv_gallery *gallery = load->gallery;
    for (size_t i = 0; i < load->gen_count; i++) {
        struct inv_err why = {0};
        enum inv_status status = load_segment(load, load->gens[i], &why);
        if (status == INV_MEMORY) {
            if (err != NULL)
                *err = why;
            return status;
        }
        if (status == INV_OK)
            continue;
        inv_log(INV_LOG_ERROR, "segment",
                "%s; its entries are served by exact scan and rebuilt",
                why.text);
        if (!inv_gallery_lose(gallery, load->gens[i], why.text))
            return inv_fail(err, INV_MEMORY, "out of memory for segments");
    }
    return INV_OK;
}

static enum inv_status load_fresh_one(struct inv_gallery *gallery,
                                      struct inv_encoding *encoding,
                                      struct loaded *doc, float *code,
                                      struct inv_vlog_set *logs,
                                      struct inv_err *err) {
    struct inv_view *next = gallery->next;
    struct inv_part *part = &next->parts[next->count - 1];
    struct inv_record record;
    enum inv_status status =
        inv_vlog_check(logs, &doc->entry.place, &record, err);
    if (status == INV_OK && record.vseq != doc->entry.vseq)
        status = inv_fail(err, INV_CORRUPT,
                          "vector log %u: vector %" PRIu64 " at %" PRIu64
                          ", the catalog has %" PRIu64 " there",
                          doc->entry.place.file, record.vseq,
                          doc->entry.place.offset, doc->entry.vseq);
    if (status == INV_OK)
        status = encoding->encode(encoding, &record.codes, code, err);
    if (status != INV_OK)
        return status;
    const char *id =
        inv_entries_keep_id(part->entries, doc->entry.id, doc->entry.id_len);
    if (id == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for an id");
    inv_segment_put(part->segment, part->count, code);
    part->entries->items[part->count] = doc->entry;
    part->entries->items[part->count].id = id;
    if (!inv_entries_link(part->entries, part->count))
        return inv_fail(err, INV_MEMORY, "out of memory for entries");
    part->entries->rows[part->count] = doc->row;
    doc->row = NULL;
    inv_bitset_add(part->live->set, part->count);
    part->live->count++;
    part->count++;
    return INV_OK;
}

/* What of a space lies in no segment. */
static enum inv_status load_fresh(struct load *load,
                                  struct inv_encoding *encoding,
                                  struct inv_err *err) {
    struct inv_gallery *gallery = load->gallery;
    size_t fresh = 0;
    for (size_t i = 0; i < load->count; i++)
        fresh += !load->docs[i].taken && load->docs[i].space == encoding->space;
    if (fresh == 0)
        return INV_OK;
    size_t cap = fresh > gallery->fresh_limit ? fresh : gallery->fresh_limit;
    enum inv_status status = inv_gallery_add_fresh(gallery, encoding, cap, err);
    if (status != INV_OK)
        return status;
    float *code = malloc(encoding->code_dim * sizeof *code);
    if (code == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a code");
    for (size_t i = 0; i < load->count && status == INV_OK; i++) {
        struct inv_err why = {0};
        if (load->docs[i].taken || load->docs[i].space != encoding->space)
            continue;
        status = load_fresh_one(gallery, encoding, &load->docs[i], code,
                                gallery->next->logs, &why);
        if (status == INV_CORRUPT) {
            lose_document(load, &load->docs[i], &why);
            status = INV_OK;
        } else if (status != INV_OK && err != NULL) {
            *err = why;
        }
    }
    free(code);
    return status;
}

/* Directories of builds that never were referenced. */
static void remove_strays(const struct load *load) {
    char path[4096];
    snprintf(path, sizeof path, "%s/segments", load->gallery->dir);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return;
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        char *end;
        uint64_t gen = strtoull(entry->d_name, &end, 10);
        bool known = false;
        for (size_t i = 0; i < load->gen_count && *end == '\0'; i++)
            known = known || load->gens[i] == gen;
        if (known)
            continue;
        char stray[8192];
        struct inv_err err;
        snprintf(stray, sizeof stray, "%s/%s", path, entry->d_name);
        if (inv_file_remove_tree(stray, &err) == INV_OK)
            inv_log(INV_LOG_INFO, "segment", "removed %s, an unfinished build",
                    stray);
        else
            inv_log(INV_LOG_WARN, "segment", "%s", err.text);
    }
    closedir(dir);
}

/* The spaces that there are encodings of, the gallery's first, then by age. */
static enum inv_status list_spaces(const struct inv_gallery *gallery,
                                   int64_t space, struct inv_view *view,
                                   struct inv_err *err) {
    view->spaces[view->space_count++].space = space;
    for (size_t i = 0; i < gallery->encoding_count; i++) {
        struct inv_encoding *encoding = gallery->encodings[i];
        size_t at = 0;
        while (at < view->space_count &&
               view->spaces[at].space != encoding->space)
            at++;
        if (at == INV_SPACES_MAX)
            return inv_fail(err, INV_CORRUPT,
                            "a collection of more than %d models",
                            INV_SPACES_MAX);
        if (at == view->space_count)
            view->spaces[view->space_count++].space = encoding->space;
        view->spaces[at].encoding = encoding;
    }
    if (view->spaces[0].encoding == NULL)
        return inv_fail(err, INV_CORRUPT,
                        "the catalog has no encoder of the gallery's space");
    return INV_OK;
}

static enum inv_status first_view(struct inv_gallery *gallery,
                                  const struct inv_gallery_options *options,
                                  struct inv_err *err) {
    struct inv_view empty = {.version = gallery->counters.version - 1,
                             .schema = options->schema,
                             .context = options->context};
    enum inv_status status = list_spaces(gallery, options->space, &empty, err);
    if (status != INV_OK)
        return status;
    struct inv_vlog_set *logs = inv_vlog_files(gallery->vlog);
    empty.logs = logs;
    gallery->view = inv_view_copy(&empty, 0);
    inv_ref_put(logs);
    if (gallery->view == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a view");
    return INV_OK;
}

static enum inv_status gallery_new(const struct inv_gallery_options *options,
                                   struct inv_gallery **out,
                                   struct inv_err *err) {
    struct inv_gallery *gallery = calloc(1, sizeof *gallery);
    if (gallery == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a collection");
    pthread_mutex_init(&gallery->lock, NULL);
    gallery->dir = strdup(options->dir);
    gallery->collection = options->collection;
    gallery->catalog = options->catalog;
    gallery->row = options->row;
    gallery->fresh_limit =
        options->fresh_limit == 0 ? INV_FRESH_DEFAULT : options->fresh_limit;
    gallery->counters.vseq = options->next_vseq;
    gallery->counters.version = options->next_version;
    gallery->counters.gen = options->next_gen;
    gallery->saved = gallery->counters;
    gallery->encodings =
        calloc(options->encoding_count, sizeof *gallery->encodings);
    if (gallery->dir == NULL || gallery->encodings == NULL) {
        inv_gallery_close(gallery);
        return inv_fail(err, INV_MEMORY, "out of memory for a collection");
    }
    for (size_t i = 0; i < options->encoding_count; i++)
        gallery->encodings[gallery->encoding_count++] =
            inv_ref_get(options->encodings[i]);
    *out = gallery;
    return INV_OK;
}

/* Rows, logs, segments, and what is left over as a fresh part. */
static enum inv_status load_all(struct load *load,
                                const struct inv_gallery_options *options,
                                struct inv_err *err) {
    struct inv_gallery *gallery = load->gallery;
    size_t roll = options->roll_bytes;
    char path[4096];
    enum inv_status status = read_catalog(load, err);
    snprintf(path, sizeof path, "%s/vectors", gallery->dir);
    if (status == INV_OK)
        status = inv_vlog_open(path, load->ends, load->end_count,
                               roll == 0 ? INV_VLOG_ROLL : roll, &gallery->vlog,
                               err);
    if (status == INV_OK)
        status = first_view(gallery, options, err);
    if (status == INV_OK && inv_gallery_edit(gallery) == NULL)
        status = inv_fail(err, INV_MEMORY, "out of memory for a view");
    if (status != INV_OK)
        return status;
    remove_strays(load);
    status = load_segments(load, err);
    for (size_t i = 0; status == INV_OK && i < gallery->next->space_count; i++)
        status = load_fresh(load, gallery->next->spaces[i].encoding, err);
    for (size_t i = 0; status == INV_OK && i < gallery->next->count; i++)
        status = inv_gallery_shadow(gallery, &gallery->next->parts[i], err);
    if (load->damaged > 0)
        inv_log(INV_LOG_ERROR, "vlog",
                "%s: %zu of %zu documents cannot be read from the vector logs",
                gallery->dir, load->damaged, load->count);
    return status;
}

enum inv_status inv_gallery_open(const struct inv_gallery_options *options,
                                 struct inv_gallery **out,
                                 struct inv_err *err) {
    struct inv_gallery *gallery = NULL;
    enum inv_status status = gallery_new(options, &gallery, err);
    if (status != INV_OK)
        return status;
    struct load load = {.gallery = gallery, .schema = options->schema};
    char path[4096];
    snprintf(path, sizeof path, "%s/segments", gallery->dir);
    status = inv_file_mkdirs(path, err);
    load.ids = inv_entries_new(1, false, NULL);
    if (status == INV_OK && load.ids == NULL)
        status = inv_fail(err, INV_MEMORY, "out of memory for a collection");
    if (status == INV_OK)
        status = load_all(&load, options, err);
    if (status == INV_OK)
        inv_gallery_publish(gallery);
    for (size_t i = 0; i < load.count; i++)
        free(load.docs[i].row);
    free(load.docs);
    free(load.ends);
    free(load.gens);
    inv_ref_put(load.ids);
    if (status != INV_OK) {
        inv_gallery_close(gallery);
        return status;
    }
    *out = gallery;
    return INV_OK;
}

void inv_gallery_close(struct inv_gallery *gallery) {
    if (gallery == NULL)
        return;
    inv_ref_put(gallery->next);
    inv_ref_put(gallery->view);
    for (size_t i = 0; i < gallery->encoding_count; i++)
        inv_ref_put(gallery->encodings[i]);
    free(gallery->encodings);
    inv_vlog_close(gallery->vlog);
    free(gallery->doomed);
    free(gallery->lost);
    free(gallery->dir);
    pthread_mutex_destroy(&gallery->lock);
    free(gallery);
}
