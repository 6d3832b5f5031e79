/*
 * registry.c: see registry.h. Settings are derived and an encoder is made on
 * the request's thread; the writer thread looks again whether the model is
 * there, and writes.
 */
#include "server/upgrade/registry.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "server/upgrade/swap.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct inv_space *find(const struct inv_models *models,
                                    const char *name) {
    for (size_t i = 0; i < models->space_count; i++)
        if (strcmp(models->spaces[i].name, name) == 0)
            return &models->spaces[i];
    return NULL;
}

enum inv_status inv_model_named(const struct inv_models *models,
                                const char *name, const struct inv_space **out,
                                struct inv_err *err) {
    char known[INV_MODELS_TEXT];
    *out = find(models, name);
    if (*out != NULL)
        return INV_OK;
    inv_models_names(models, known, sizeof known);
    return inv_fail(err, INV_NOT_FOUND,
                    "there is no model \"%.128s\" here; known are: %s", name,
                    known);
}

enum inv_status inv_model_check(const struct inv_collection *collection,
                                struct inv_db *db,
                                const struct inv_space *space,
                                struct inv_err *err) {
    int64_t there = 0;
    enum inv_status status =
        inv_db_find_space(db, collection->id, space->hash, &there, err);
    if (status == INV_OK && there != space->space)
        status = inv_fail(err, INV_SPACE_MISMATCH,
                          "model %s was deleted meanwhile", space->name);
    return status;
}

/* ---- settings of a new space ---- */

/* "name@revision" into settings. */
static enum inv_status set_name(struct inv_settings *s, const char *name,
                                struct inv_err *err) {
    const char *mark = strchr(name, '@');
    size_t len = mark == NULL ? strlen(name) : (size_t)(mark - name);
    if (mark == NULL || len == 0 || mark[1] == '\0' ||
        strchr(mark + 1, '@') != NULL)
        return inv_fail(err, INV_INVALID,
                        "a model's path is name@revision, not \"%.130s\"",
                        name);
    if (len > INV_MODEL_NAME_MAX || strlen(mark + 1) > INV_MODEL_NAME_MAX)
        return inv_fail(err, INV_INVALID,
                        "name and revision have 1 to %d bytes each, got %zu "
                        "and %zu",
                        INV_MODEL_NAME_MAX, len, strlen(mark + 1));
    size_t bad = 0;
    if (!inv_utf8_valid(name, strlen(name), &bad)) /* settings are JSON */
        return inv_fail(err, INV_INVALID,
                        "a model's name and revision are UTF-8: byte %zu of "
                        "%zu is not",
                        bad + 1, strlen(name));
    memcpy(s->model, name, len);
    s->model[len] = '\0';
    memcpy(s->revision, mark + 1, strlen(mark + 1) + 1);
    return INV_OK;
}

/* The collection's encoder, as far as it fits another dimension. */
static void fit_encoder(struct inv_settings *s) {
    struct inv_encoder_settings *e = &s->encoder;
    size_t kept = 0;
    for (size_t i = 0; i < e->dims_count; i++)
        if (e->dims[i] < s->dim)
            e->dims[kept++] = e->dims[i];
    if (kept == INV_PREFIX_DIMS_MAX)
        kept--;
    e->dims[kept++] = (uint32_t)s->dim;
    e->dims_count = kept;
    bool listed = false;
    for (size_t i = 0; i < kept; i++)
        listed = listed || e->dims[i] == e->index_dims;
    if (!listed)
        e->index_dims = e->dims[0];
    if (e->muvera.width > s->dim)
        e->muvera.width = (uint32_t)s->dim;
}

/* Through its text, so that it is checked as if it had been sent (and a preset
 * gets the width that the new dimension allows). */
static enum inv_status derive_encoder(struct inv_settings *s,
                                      struct inv_err *err) {
    struct inv_buf text = INV_BUF_INIT;
    inv_json *json = NULL;
    fit_encoder(s);
    inv_settings_write_encoder(s, &text);
    enum inv_status status = INV_OK;
    if (text.failed)
        status = inv_fail(err, INV_MEMORY, "out of memory for settings");
    if (status == INV_OK)
        status = inv_json_parse_plain(text.data, text.len, &json, err);
    if (status == INV_OK)
        status = inv_settings_parse_encoder(json, "/encoder", s, err);
    inv_json_free(json);
    inv_buf_release(&text);
    return status;
}

static enum inv_status check_kind(const struct inv_settings *s,
                                  const char *kind, struct inv_err *err) {
    const char *own = s->multi ? "multi" : "single";
    if (kind == NULL || strcmp(kind, own) == 0)
        return INV_OK;
    enum inv_status status =
        inv_fail(err, INV_INVALID,
                 "the collection is of kind %s, a model of it cannot be \"%s\"",
                 own, kind);
    inv_err_at(err, "/kind");
    return status;
}

static enum inv_status set_dim(const struct inv_app *app,
                               struct inv_settings *s, uint32_t dim,
                               struct inv_err *err) {
    const struct inv_static_model *model = inv_app_model(app, s);
    s->dim = dim == 0 && model != NULL ? inv_static_model_dim(model) : dim;
    if (s->dim != 0 || strcmp(s->model, "static") == 0)
        return inv_app_check_model(app, s, err);
    enum inv_status status = inv_fail(
        err, INV_INVALID,
        "\"dim\" is missing: the dimensions of a vector, 1 to %d", INV_DIM_MAX);
    inv_err_at(err, "/dim");
    return status;
}

/* base: the collection's settings, or those of the model that is there, whose
 * encoder and index then hold where the request says nothing of them. */
static enum inv_status
derive(const struct inv_app *app, const struct inv_shared_settings *base,
       const char *name, const struct inv_model_in *wanted,
       struct inv_shared_settings **out, struct inv_err *err) {
    struct inv_shared_settings *shared = inv_settings_copy(base);
    if (shared == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for settings");
    struct inv_settings *s = &shared->settings;
    size_t dim = s->dim;
    s->params = (struct inv_search_params){0};     /* dims of the collection */
    s->simplex = (struct inv_simplex_settings){0}; /* the gallery's alone */
    snprintf(s->prompt, sizeof s->prompt, "%s", wanted->prompt);
    s->normalized = wanted->normalized;
    enum inv_status status = set_name(s, name, err);
    if (status == INV_OK)
        status = check_kind(s, wanted->kind, err);
    if (status == INV_OK)
        status = set_dim(app, s, wanted->dim, err);
    if (status == INV_OK)
        status = wanted->encoder == NULL
                     ? derive_encoder(s, err)
                     : inv_settings_parse_encoder(wanted->encoder, "/encoder",
                                                  s, err);
    if (dim != s->dim)
        s->index.pq_m = 0; /* it divides the old dimension */
    if (status == INV_OK && wanted->index != NULL)
        status = inv_settings_parse_index(wanted->index, "/index", s, err);
    if (status != INV_OK) {
        inv_ref_put(shared);
        return status;
    }
    *out = shared;
    return INV_OK;
}

/* ---- put ---- */

struct registration {
    struct inv_collection *collection;
    const char *name;
    const struct inv_model_in *wanted;
    bool created; /* out */
};

/* Is what is there what is asked for? */
static enum inv_status same_model(const struct inv_collection *c,
                                  const struct inv_space *space,
                                  const struct inv_model_in *wanted,
                                  struct inv_err *err) {
    struct inv_shared_settings *next = NULL;
    struct inv_buf texts[2] = {INV_BUF_INIT, INV_BUF_INIT};
    const struct inv_settings *settings[2] = {&space->settings->settings, NULL};
    enum inv_status status =
        derive(c->app, space->settings, space->name, wanted, &next, err);
    if (status != INV_OK)
        return status;
    settings[1] = &next->settings;
    for (size_t i = 0; i < 2; i++) {
        inv_settings_write_encoder(settings[i], &texts[i]);
        inv_settings_write_index(settings[i], &texts[i]);
    }
    if (texts[0].failed || texts[1].failed)
        status = inv_fail(err, INV_MEMORY, "out of memory for settings");
    else if (settings[0]->dim != settings[1]->dim)
        status = inv_fail(err, INV_CONFLICT,
                          "model %s is there with %zu dimensions, not %zu",
                          space->name, settings[0]->dim, settings[1]->dim);
    else if (inv_settings_space(settings[1]) != space->hash ||
             strcmp(texts[0].data, texts[1].data) != 0)
        status = inv_fail(err, INV_CONFLICT,
                          "model %s is there with other settings: %.200s",
                          space->name, texts[0].data);
    inv_buf_release(&texts[0]);
    inv_buf_release(&texts[1]);
    inv_ref_put(next);
    return status;
}

/* The rows of a space and of its first encoder state, and its place in the
 * view. */
static enum inv_status add_space(struct inv_collection *c, struct inv_db *db,
                                 const struct inv_settings *s,
                                 struct inv_err *err) {
    struct inv_buf settings = INV_BUF_INIT;
    struct inv_buf encoder_text = INV_BUF_INIT;
    struct inv_encoder *encoder = NULL;
    uint32_t state = 0;
    inv_settings_write(s, &settings);
    inv_settings_write_encoder(s, &encoder_text);
    struct inv_space_row row = {.hash = inv_settings_space(s),
                                .model = s->model,
                                .revision = s->revision,
                                .dim = s->dim,
                                .settings = settings.data,
                                .created_ms = inv_wall_ms()};
    enum inv_status status = INV_OK;
    if (settings.failed || encoder_text.failed)
        status = inv_fail(err, INV_MEMORY, "out of memory for settings");
    if (status == INV_OK)
        status = inv_models_next_state(c, db, &state, err);
    if (status == INV_OK)
        status = inv_db_add_space(db, c->id, &row, err);
    if (status == INV_OK)
        status = inv_encoder_new(
            s, &(struct inv_encoder_place){.space = row.space, .state = state},
            NULL, 0, &encoder, err);
    if (status == INV_OK) {
        struct inv_state_row first = {.space = row.space,
                                      .state = state,
                                      .hash = encoder->base.hash,
                                      .settings = encoder_text.data};
        status = inv_db_add_state(db, c->id, &first, err);
    }
    if (status == INV_OK)
        status = inv_gallery_set_encoding(c->gallery, &encoder->base, err);
    inv_ref_put(encoder);
    inv_buf_release(&settings);
    inv_buf_release(&encoder_text);
    return status;
}

/* From the second model on, the first one's settings are its own and no longer
 * those of the collection: a cutover gives the collection others. */
static enum inv_status keep_first(struct inv_db *db,
                                  const struct inv_models *now,
                                  struct inv_err *err) {
    const struct inv_space *first = &now->spaces[0];
    struct inv_buf text = INV_BUF_INIT;
    struct inv_settings settings = first->settings->settings;
    settings.params = (struct inv_search_params){0};
    inv_settings_write(&settings, &text);
    enum inv_status status =
        text.failed ? inv_fail(err, INV_MEMORY, "out of memory for settings")
                    : inv_db_set_space(db, first->space, text.data, err);
    inv_buf_release(&text);
    return status;
}

static enum inv_status apply_put(void *ctx, struct inv_db *db,
                                 const struct inv_models *now,
                                 struct inv_err *err) {
    struct registration *r = ctx;
    struct inv_collection *c = r->collection;
    const struct inv_space *there = find(now, r->name);
    struct inv_shared_settings *next = NULL;
    struct inv_encoder *trial = NULL;
    r->created = there == NULL;
    if (there != NULL)
        return same_model(c, there, r->wanted, err);
    if (now->space_count >= INV_SPACES_MAX)
        return inv_fail(err, INV_CONFLICT,
                        "the collection has %zu models, at most %d are kept: "
                        "delete one",
                        now->space_count, INV_SPACES_MAX);
    enum inv_status status =
        derive(c->app, now->settings, r->name, r->wanted, &next, err);
    /* what an encoder cannot be is said before anything is changed */
    if (status == INV_OK)
        status =
            inv_encoder_new(&next->settings, &(struct inv_encoder_place){0},
                            NULL, 0, &trial, err);
    inv_ref_put(trial);
    if (status == INV_OK) {
        if (now->space_count == 1)
            status = keep_first(db, now, err);
        if (status == INV_OK)
            status = add_space(c, db, &next->settings, err);
        if (status != INV_OK) /* rows may have changed */
            status = inv_gallery_undo(c->gallery, status);
    }
    inv_ref_put(next);
    return status;
}

enum inv_status inv_model_put(struct inv_collection *collection,
                              const char *name,
                              const struct inv_model_in *wanted, bool *created,
                              struct inv_err *err) {
    struct registration registration = {
        .collection = collection, .name = name, .wanted = wanted};
    struct inv_models_change change = {
        .collection = collection, .apply = apply_put, .ctx = &registration};
    enum inv_status status = inv_models_run(&change, err);
    *created = registration.created;
    if (status == INV_OK && registration.created)
        inv_log(INV_LOG_INFO, "model", "%s: %s registered", collection->name,
                name);
    return status;
}

/* ---- delete ---- */

struct removal {
    struct inv_collection *collection;
    const char *name;
};

/* The base of a blend is of the first model: while there are documents or
 * other models, without it nobody would know what they were brought to. */
static enum inv_status check_base(const struct inv_models *now,
                                  const struct inv_view *view,
                                  const struct inv_space *space,
                                  struct inv_err *err) {
    size_t documents = inv_model_count(view, now->spaces[0].space).documents;
    if (now->settings->settings.simplex.base_dim == 0 ||
        space != &now->spaces[1] || (documents == 0 && now->space_count == 2))
        return INV_OK;
    return inv_fail(err, INV_CONFLICT,
                    "%s is the first model, whose vectors the gallery keeps "
                    "beside the classes: %zu documents and %zu other models "
                    "need it",
                    space->name, documents, now->space_count - 2);
}

/* Alone in its transaction, so that the view has all vectors there are. */
static enum inv_status apply_delete(void *ctx, struct inv_db *db,
                                    const struct inv_models *now,
                                    struct inv_err *err) {
    const struct removal *removal = ctx;
    struct inv_gallery *gallery = removal->collection->gallery;
    const struct inv_space *space = NULL;
    enum inv_status status = inv_model_named(now, removal->name, &space, err);
    if (status != INV_OK)
        return status;
    if (space == &now->spaces[0])
        return inv_fail(err, INV_CONFLICT,
                        "%s is the gallery's model: the collection is of it",
                        space->name);
    if (space->space == now->target)
        return inv_fail(err, INV_CONFLICT,
                        "an upgrade to %s is under way (%s): roll it back "
                        "first",
                        space->name, inv_upgrade_state_name(now->state));
    bool needed = false;
    status = inv_upgrade_comes_back(removal->collection, db, now, space->space,
                                    0, &needed, err);
    if (status == INV_OK && needed)
        status = inv_fail(err, INV_CONFLICT,
                          "a rollback would come back to %s: roll back first",
                          space->name);
    if (status != INV_OK)
        return status;
    struct inv_view *view = inv_gallery_view(gallery);
    size_t vectors = inv_view_vectors(view, space->space);
    status = check_base(now, view, space, err);
    inv_ref_put(view);
    if (status != INV_OK)
        return status;
    if (vectors > 0)
        return inv_fail(err, INV_CONFLICT,
                        "%zu documents have a vector of %s: drop them first "
                        "(DELETE .../models/%s/vectors)",
                        vectors, space->name, space->name);
    status = inv_gallery_forget_space(gallery, db, space->space, err);
    if (status != INV_OK)
        return status;
    status = inv_db_delete_space(db, space->space, err);
    return status == INV_OK ? INV_OK : inv_gallery_undo(gallery, status);
}

enum inv_status inv_model_delete(struct inv_collection *collection,
                                 const char *name, struct inv_err *err) {
    struct removal removal = {.collection = collection, .name = name};
    struct inv_models_change change = {.collection = collection,
                                       .apply = apply_delete,
                                       .ctx = &removal,
                                       .alone = true};
    enum inv_status status = inv_models_run(&change, err);
    if (status == INV_OK)
        inv_log(INV_LOG_INFO, "model", "%s: %s deleted", collection->name,
                name);
    return status;
}

/* ---- show ---- */

struct inv_model_counts inv_model_count(const struct inv_view *view,
                                        int64_t space) {
    struct inv_coverage coverage = inv_view_coverage(view, space);
    struct inv_model_counts counts = {.documents = coverage.gallery,
                                      .covered = coverage.both,
                                      .vectors = coverage.both + coverage.alone,
                                      .alone = coverage.alone};
    if (counts.documents > 0)
        counts.coverage = (double)counts.covered / (double)counts.documents;
    return counts;
}

enum inv_status inv_model_write(const struct inv_view *view, struct inv_db *db,
                                const struct inv_space *space,
                                struct inv_buf *out, struct inv_err *err) {
    const struct inv_settings *s = &space->settings->settings;
    struct inv_model_counts counts = inv_model_count(view, space->space);
    uint64_t queries = 0;
    enum inv_status status =
        inv_db_count_queries(db, space->space, &queries, err);
    if (status != INV_OK)
        return status;
    inv_buf_puts(out, "{\"model\":");
    inv_json_put_string(out, space->name, strlen(space->name));
    inv_buf_printf(out, ",\"dim\":%zu", s->dim);
    if (s->prompt[0] != '\0') {
        inv_buf_puts(out, ",\"prompt\":");
        inv_json_put_string(out, s->prompt, strlen(s->prompt));
    }
    if (s->normalized)
        inv_buf_puts(out, ",\"normalized\":true");
    inv_buf_printf(out,
                   ",\"gallery\":%s,\"queries\":%" PRIu64
                   ",\"vectors\":%zu,\"alone\":%zu,\"coverage\":%.4f,"
                   "\"created_ms\":%" PRId64 ",\"encoder\":",
                   space->space == inv_view_gallery(view) ? "true" : "false",
                   queries, counts.vectors, counts.alone, counts.coverage,
                   space->created_ms);
    inv_settings_write_encoder(s, out);
    inv_buf_puts(out, ",\"index\":");
    inv_settings_write_index(s, out);
    inv_buf_putc(out, '}');
    return INV_OK;
}
