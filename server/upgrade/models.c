/*
 * models.c: see models.h. Reads rows, answers questions about them; changes
 * nothing.
 */
#include "server/upgrade/models.h"

#include "server/app.h"
#include "server/json/adapter_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *inv_upgrade_state_name(enum inv_upgrade_state state) {
    static const char *const names[] = {"NONE",    "SHADOW",  "BRIDGED",
                                        "CASCADE", "CUTOVER", "DONE"};
    return names[state];
}

enum inv_upgrade_state inv_upgrade_state_parse(const char *name) {
    for (int i = INV_UPGRADE_SHADOW; i <= INV_UPGRADE_DONE; i++)
        if (strcmp(name, inv_upgrade_state_name((enum inv_upgrade_state)i)) ==
            0)
            return (enum inv_upgrade_state)i;
    return INV_UPGRADE_NONE;
}

/* ---- questions ---- */

const struct inv_space *inv_models_space(const struct inv_models *models,
                                         int64_t space) {
    for (size_t i = 0; i < models->space_count; i++)
        if (models->spaces[i].space == space)
            return &models->spaces[i];
    return NULL;
}

int64_t inv_models_oldest(const struct inv_models *models) {
    int64_t oldest = models->spaces[0].space;
    for (size_t i = 1; i < models->space_count; i++)
        if (models->spaces[i].space < oldest)
            oldest = models->spaces[i].space;
    return oldest;
}

void inv_models_names(const struct inv_models *models, char *out, size_t size) {
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < models->space_count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s",
                                 i == 0 ? "" : ", ", models->spaces[i].name);
}

static enum inv_status need_name(const struct inv_models *models,
                                 struct inv_err *err) {
    char names[INV_MODELS_TEXT];
    inv_models_names(models, names, sizeof names);
    return inv_fail(err, INV_INVALID,
                    "this collection asks every request to name its model: "
                    "\"model\" is one of %s",
                    names);
}

/* "name@revision", or "name" alone. */
static bool is_named(const struct inv_space *space, const char *name) {
    size_t len = strlen(name);
    return strncmp(space->name, name, len) == 0 &&
           (space->name[len] == '\0' || space->name[len] == '@');
}

enum inv_status inv_models_find(const struct inv_models *models,
                                const char *name, const struct inv_space **out,
                                struct inv_err *err) {
    char names[INV_MODELS_TEXT];
    *out = NULL;
    if (name == NULL && models->settings->settings.require_model)
        return need_name(models, err);
    if (name == NULL) {
        *out = inv_models_space(models, models->asks);
        return INV_OK;
    }
    size_t found = 0;
    for (size_t i = 0; i < models->space_count; i++)
        if (is_named(&models->spaces[i], name)) {
            *out = &models->spaces[i];
            found++;
        }
    if (found == 1)
        return INV_OK;
    *out = NULL;
    inv_models_names(models, names, sizeof names);
    if (found > 1)
        return inv_fail(err, INV_SPACE_MISMATCH,
                        "\"%.130s\" is the name of %zu models: say which of %s",
                        name, found, names);
    return inv_fail(err, INV_SPACE_MISMATCH,
                    "the vectors are of model \"%.130s\", this collection "
                    "knows %s",
                    name, names);
}

const struct inv_stored_adapter *
inv_models_adapter(const struct inv_models *models, const char *name) {
    for (size_t i = 0; i < models->adapter_count; i++)
        if (strcmp(models->adapters[i]->name, name) == 0)
            return models->adapters[i];
    return NULL;
}

const struct inv_stored_adapter *
inv_models_adapter_of(const struct inv_models *models, int64_t id) {
    for (size_t i = 0; i < models->adapter_count; i++)
        if (models->adapters[i]->id == id)
            return models->adapters[i];
    return NULL;
}

/* The direction of an adapter that goes this way, or NULL. */
static const struct inv_bridge *way(const struct inv_stored_adapter *adapter,
                                    int64_t from, int64_t to) {
    if (adapter->from == from && adapter->to == to)
        return &adapter->backward;
    if (adapter->from == to && adapter->to == from &&
        adapter->forward.adapter != NULL)
        return &adapter->forward;
    return NULL;
}

const struct inv_bridge *inv_models_bridge(const struct inv_models *models,
                                           int64_t from, int64_t to) {
    const struct inv_bridge *found = NULL;
    for (size_t i = 0; i < models->adapter_count; i++) {
        const struct inv_stored_adapter *adapter = models->adapters[i];
        const struct inv_bridge *bridge = way(adapter, from, to);
        if (bridge == NULL)
            continue;
        if (adapter->id == models->adapter)
            return bridge;
        if (strcmp(adapter->verdict, "REFUSE") != 0)
            found = bridge;
    }
    return found;
}

bool inv_models_cascades(const struct inv_models *models, int64_t space) {
    return space == models->target && space != models->spaces[0].space &&
           (models->state == INV_UPGRADE_SHADOW ||
            models->state == INV_UPGRADE_CASCADE);
}

/* ---- reading ---- */

static void adapter_release(void *self) {
    struct inv_stored_adapter *adapter = self;
    inv_adapter_free(adapter->backward.adapter);
    inv_adapter_free(adapter->forward.adapter);
    free(adapter->request);
    free(adapter->report);
    free(adapter);
}

struct inv_stored_adapter *inv_stored_adapter_new(void) {
    struct inv_stored_adapter *adapter = calloc(1, sizeof *adapter);
    if (adapter != NULL)
        inv_ref_init(&adapter->ref, adapter_release);
    return adapter;
}

static void models_release(void *self) {
    struct inv_models *models = self;
    for (size_t i = 0; i < models->space_count; i++)
        inv_ref_put(models->spaces[i].settings);
    for (size_t i = 0; i < models->adapter_count; i++)
        inv_ref_put(models->adapters[i]);
    free(models->adapters);
    inv_ref_put(models->settings);
    free(models);
}

struct inv_models *inv_models_new(struct inv_shared_settings *settings) {
    struct inv_models *models = calloc(1, sizeof *models);
    if (models == NULL)
        return NULL;
    inv_ref_init(&models->ref, models_release);
    models->settings = inv_ref_get(settings);
    return models;
}

struct reading {
    struct inv_models *models;
    const struct inv_models *before;
    uint64_t gallery; /* hash of the gallery's space */
    struct inv_db *db;
};

/* What all models of a collection share stands in the collection's settings. */
static void take_common(struct inv_settings *s,
                        const struct inv_settings *common) {
    memcpy(s->fields, common->fields, sizeof s->fields);
    memcpy(s->field_keys, common->field_keys, sizeof s->field_keys);
    s->field_count = common->field_count;
    for (size_t i = 0; i < s->field_count; i++)
        s->fields[i].key = s->field_keys[i];
    s->params = common->params;
    if (inv_settings_check_dims(s, &s->params, "", NULL) != INV_OK)
        s->params.dims_count = s->params.keep_count = 0;
    s->require_model = common->require_model;
    s->mean = common->mean;
}

static enum inv_status read_settings(const struct inv_space_row *row,
                                     const struct inv_settings *common,
                                     struct inv_shared_settings **out,
                                     struct inv_err *err) {
    inv_json *json = NULL;
    enum inv_status status =
        inv_json_parse_plain(row->settings, strlen(row->settings), &json, err);
    if (status == INV_OK)
        status = inv_settings_parse(json, out, err);
    inv_json_free(json);
    if (status == INV_OK)
        take_common(&(*out)->settings, common);
    return status;
}

static enum inv_status take_space(void *ctx, const struct inv_space_row *row,
                                  struct inv_err *err) {
    struct reading *reading = ctx;
    struct inv_models *models = reading->models;
    struct inv_space space = {
        .space = row->space, .hash = row->hash, .created_ms = row->created_ms};
    if (models->space_count == INV_SPACES_MAX)
        return inv_fail(err, INV_CORRUPT, "a collection of more than %d models",
                        INV_SPACES_MAX);
    snprintf(space.name, sizeof space.name, "%s@%s", row->model, row->revision);
    enum inv_status status = INV_OK;
    bool gallery = row->hash == reading->gallery;
    if (gallery)
        space.settings = inv_ref_get(models->settings);
    else if (row->settings == NULL)
        status =
            inv_fail(err, INV_CORRUPT, "model %s has no settings", space.name);
    else
        status = read_settings(row, &models->settings->settings,
                               &space.settings, err);
    if (status != INV_OK)
        return status;
    size_t at = gallery ? 0 : models->space_count;
    memmove(&models->spaces[at + 1], &models->spaces[at],
            (models->space_count - at) * sizeof models->spaces[0]);
    models->spaces[at] = space;
    models->space_count++;
    return INV_OK;
}

static enum inv_status read_bridge(const void *bytes, size_t len,
                                   const void *scores, size_t scores_len,
                                   struct inv_bridge *bridge,
                                   struct inv_err *err) {
    if (bytes == NULL || len == 0)
        return INV_OK;
    double numbers[2 * INV_SCORE_KNOTS];
    size_t count = scores_len / sizeof *numbers;
    if (scores_len > 0 && scores_len <= sizeof numbers) {
        memcpy(numbers, scores, scores_len);
        inv_score_map_read(&bridge->scores, numbers, count);
    }
    return inv_adapter_read(bytes, len, NULL, &bridge->adapter, NULL, err);
}

static enum inv_status read_adapter(const struct inv_adapter_row *row,
                                    struct inv_stored_adapter *adapter,
                                    struct inv_err *err) {
    adapter->id = row->id;
    adapter->from = row->from;
    adapter->to = row->to;
    snprintf(adapter->name, sizeof adapter->name, "%s", row->name);
    snprintf(adapter->kind, sizeof adapter->kind, "%s", row->kind);
    snprintf(adapter->verdict, sizeof adapter->verdict, "%s", row->verdict);
    adapter->break_even = row->break_even;
    adapter->degraded = row->degraded;
    adapter->created_ms = row->created_ms;
    adapter->backward.from = adapter->forward.to = row->from;
    adapter->backward.to = adapter->forward.from = row->to;
    adapter->request = strdup(row->request);
    adapter->report = strdup(row->report);
    if (adapter->request == NULL || adapter->report == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for adapters");
    enum inv_status status =
        read_bridge(row->backward, row->backward_len, row->backward_scores,
                    row->backward_scores_len, &adapter->backward, err);
    if (status == INV_OK)
        status =
            read_bridge(row->forward, row->forward_len, row->forward_scores,
                        row->forward_scores_len, &adapter->forward, err);
    return status;
}

/* A new reference to what the picture before has loaded. */
static struct inv_stored_adapter *known(const struct inv_models *before,
                                        int64_t id) {
    for (size_t i = 0; before != NULL && i < before->adapter_count; i++)
        if (before->adapters[i]->id == id)
            return inv_ref_get(before->adapters[i]);
    return NULL;
}

static enum inv_status take_row(void *ctx, const struct inv_adapter_row *row,
                                struct inv_err *err) {
    struct inv_stored_adapter **out = ctx;
    struct inv_stored_adapter *adapter = inv_stored_adapter_new();
    if (adapter == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for adapters");
    *out = adapter;
    return read_adapter(row, adapter, err);
}

/* One that the picture before this one has is not read again: on the writer
 * thread, 20 adapters of 2,048 dimensions took 1.8 s for every step. */
static enum inv_status take_adapter(void *ctx, int64_t id,
                                    struct inv_err *err) {
    struct reading *reading = ctx;
    struct inv_models *models = reading->models;
    struct inv_stored_adapter **more =
        realloc(models->adapters, (models->adapter_count + 1) * sizeof(void *));
    if (more == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for adapters");
    models->adapters = more;
    struct inv_stored_adapter *adapter = known(reading->before, id);
    enum inv_status status = INV_OK;
    if (adapter == NULL)
        status = inv_db_adapter(reading->db, id, take_row, &adapter, err);
    if (adapter != NULL)
        models->adapters[models->adapter_count++] = adapter;
    return status;
}

static enum inv_status take_upgrade(struct inv_models *models,
                                    struct inv_db *db, int64_t collection,
                                    struct inv_err *err) {
    struct inv_upgrade_row row;
    enum inv_status status = inv_db_upgrade(db, collection, &row, err);
    if (status != INV_OK)
        return status;
    models->state = inv_upgrade_state_parse(row.state);
    models->target = row.target;
    models->adapter = row.adapter;
    models->undo = row.undo;
    models->asks = models->spaces[0].space;
    bool asks = models->state == INV_UPGRADE_BRIDGED ||
                models->state == INV_UPGRADE_CASCADE;
    if (asks && inv_models_space(models, models->target) == NULL)
        return inv_fail(err, INV_CORRUPT,
                        "the upgrade (state %s) is to a model that is not in "
                        "the catalog",
                        row.state);
    if (asks)
        models->asks = models->target;
    return INV_OK;
}

enum inv_status inv_models_load(struct inv_collection *collection,
                                struct inv_db *db,
                                struct inv_shared_settings *settings,
                                const struct inv_models *before,
                                struct inv_models **out, struct inv_err *err) {
    struct inv_models *models = inv_models_new(settings);
    if (models == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for models");
    struct reading reading = {.models = models,
                              .before = before,
                              .db = db,
                              .gallery =
                                  inv_settings_space(&settings->settings)};
    enum inv_status status =
        inv_db_spaces(db, collection->id, take_space, &reading, err);
    if (status == INV_OK &&
        (models->space_count == 0 || models->spaces[0].hash != reading.gallery))
        status = inv_fail(err, INV_CORRUPT,
                          "the catalog has no space of collection %s's model",
                          collection->name);
    if (status == INV_OK)
        status =
            inv_db_adapters(db, collection->id, take_adapter, &reading, err);
    if (status == INV_OK)
        status = take_upgrade(models, db, collection->id, err);
    if (status != INV_OK) {
        inv_ref_put(models);
        return status;
    }
    *out = models;
    return INV_OK;
}
