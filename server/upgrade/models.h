/*
 * models.h: the models that a collection knows, the adapters between their
 * spaces, and where its upgrade stands: one immutable picture, hung on the view
 * (view->context), so that a search sees view, settings and adapters of the
 * same moment. A change writes rows, reads the picture anew and publishes both
 * in one commit (change.h).
 *
 * Reference counted; any thread, no lock.
 */
#ifndef INV_SERVER_UPGRADE_MODELS_H
#define INV_SERVER_UPGRADE_MODELS_H

#include "encoders/adapters/adapter.h"
#include "encoders/adapters/score_map.h"
#include "index/view.h"
#include "server/settings.h"

struct inv_collection;

/* A model and the space its vectors live in. */
struct inv_space {
    int64_t space;                         /* the catalog's number */
    uint64_t hash;                         /* inv_settings_space */
    char name[2 * INV_MODEL_NAME_MAX + 2]; /* "name@revision" */
    struct inv_shared_settings *settings;  /* dim, encoder, index of the space;
                                              kind, metric, dtype, fields and
                                              params are the collection's */
    int64_t created_ms;
};

/* One direction of a stored adapter: vectors of `from` become vectors of `to`.
 * scores: a score in `from` (a query against vectors of its own space) as the
 * score that the adapted query would have in `to`. */
struct inv_bridge {
    int64_t from, to;
    struct inv_adapter *adapter;
    struct inv_score_map scores;
};

struct inv_stored_adapter {
    struct inv_ref ref;   /* shared by one picture and the next */
    int64_t id, from, to; /* of backward: new -> old */
    char name[INV_NAME_MAX + 1];
    char kind[24];
    char verdict[24];  /* ACTIVATE CASCADE_ONLY REFUSE NONE (imported) */
    double break_even; /* coverage; above 1: none */
    bool degraded;     /* composed of two */
    struct inv_bridge backward;
    struct inv_bridge forward; /* adapter NULL: there is none */
    char *request, *report;    /* JSON */
    int64_t created_ms;
};

enum inv_upgrade_state {
    INV_UPGRADE_NONE,
    INV_UPGRADE_SHADOW,  /* the old model answers, vectors are asked for */
    INV_UPGRADE_BRIDGED, /* the new model's queries, adapted */
    INV_UPGRADE_CASCADE, /* and the first hits scored in the new space */
    INV_UPGRADE_CUTOVER, /* the new space is the gallery's */
    INV_UPGRADE_DONE,    /* the old vectors are gone */
};
/* "NONE", "SHADOW", ... */
const char *inv_upgrade_state_name(enum inv_upgrade_state state);
/* INV_UPGRADE_NONE for anything else. */
enum inv_upgrade_state inv_upgrade_state_parse(const char *name);

struct inv_models {
    struct inv_ref ref;
    struct inv_shared_settings *settings;    /* the collection's = those of
                                                spaces[0] */
    struct inv_space spaces[INV_SPACES_MAX]; /* the gallery's first, then by
                                                age */
    size_t space_count;
    struct inv_stored_adapter **adapters; /* oldest first */
    size_t adapter_count;
    enum inv_upgrade_state state;
    int64_t target;  /* space of the new model; 0: none */
    int64_t adapter; /* in use; 0: none */
    int64_t undo;    /* journal row; 0: nothing to roll back */
    int64_t asks;    /* space that an unlabelled query is in */
};

/* Of a view; never NULL for the view of a collection. */
static inline const struct inv_models *
inv_view_models(const struct inv_view *view) {
    return (const struct inv_models *)view->context;
}

const struct inv_space *inv_models_space(const struct inv_models *models,
                                         int64_t space);
/* The space that the collection began with. */
int64_t inv_models_oldest(const struct inv_models *models);
/* By "name@revision", or by "name" where one revision of it is known. NULL:
 * what an unlabelled query means (INV_INVALID when there are several models
 * and the collection requires one). Unknown: INV_MODEL_MISMATCH naming it and
 * those that are known. */
enum inv_status inv_models_find(const struct inv_models *models,
                                const char *name, const struct inv_space **out,
                                struct inv_err *err) INV_MUST_USE;
/* "m@1, m@2", as far as there is room. */
#define INV_MODELS_TEXT 256
void inv_models_names(const struct inv_models *models, char *out, size_t size);
const struct inv_stored_adapter *
inv_models_adapter(const struct inv_models *models, const char *name);

/* By its row (0: NULL). */
const struct inv_stored_adapter *
inv_models_adapter_of(const struct inv_models *models, int64_t id);

/* The bridge to use from one space to another: that of the adapter in use,
 * else of the newest one that was not refused; NULL: there is none. */
const struct inv_bridge *inv_models_bridge(const struct inv_models *models,
                                           int64_t from, int64_t to);

/* Does a query in `space` go through the cascade: it is the target, its vectors
 * are not the gallery's, and the state is SHADOW or CASCADE? */
bool inv_models_cascades(const struct inv_models *models, int64_t space);

/* Empty ones with one reference, which own what is put into them: adapters,
 * texts, the list and a reference to each space's settings. NULL: out of
 * memory. */
struct inv_stored_adapter *inv_stored_adapter_new(void);
struct inv_models *inv_models_new(struct inv_shared_settings *settings);

/* Reads the picture from the catalog; what `before` has loaded is shared.
 * settings: of the collection. */
enum inv_status inv_models_load(struct inv_collection *collection,
                                struct inv_db *db,
                                struct inv_shared_settings *settings,
                                const struct inv_models *before,
                                struct inv_models **out,
                                struct inv_err *err) INV_MUST_USE;

#endif
