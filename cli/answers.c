/*
 * answers.c: see answers.h. Knows the shape of GET collection. Main thread.
 */
#include "cli/answers.h"

#include <stdio.h>
#include <string.h>

const inv_json *inv_field_of(const inv_json *object, const char *key) {
    if (object == NULL || inv_json_kind(object) != INV_JSON_OBJECT)
        return NULL;
    const inv_json *value = inv_json_get(object, key);
    return value == NULL || inv_json_kind(value) == INV_JSON_NULL ? NULL
                                                                  : value;
}

const char *inv_text_of(const inv_json *object, const char *key) {
    const inv_json *value = inv_field_of(object, key);
    return value == NULL || inv_json_kind(value) != INV_JSON_STRING
               ? ""
               : inv_json_string(value, NULL);
}

uint64_t inv_uint_of(const inv_json *object, const char *key) {
    const inv_json *value = inv_field_of(object, key);
    if (value == NULL || inv_json_kind(value) != INV_JSON_INT ||
        inv_json_int(value) < 0)
        return 0;
    return (uint64_t)inv_json_int(value);
}

double inv_real_of(const inv_json *object, const char *key) {
    const inv_json *value = inv_field_of(object, key);
    if (value == NULL || (inv_json_kind(value) != INV_JSON_INT &&
                          inv_json_kind(value) != INV_JSON_REAL))
        return 0;
    return inv_json_real(value);
}

bool inv_bool_of(const inv_json *object, const char *key) {
    const inv_json *value = inv_field_of(object, key);
    return value != NULL && inv_json_kind(value) == INV_JSON_BOOL &&
           inv_json_bool(value);
}

size_t inv_list_of(const inv_json *object, const char *key,
                   const inv_json **list) {
    *list = inv_field_of(object, key);
    if (*list == NULL || inv_json_kind(*list) != INV_JSON_ARRAY)
        return 0;
    return inv_json_size(*list);
}

int inv_target_get(struct inv_cli *cli, const char *name,
                   struct inv_target *target) {
    struct inv_answer answer;
    int exit = inv_cli_call_collection(cli, "GET", name, "", NULL, &answer);
    if (exit != INV_EXIT_OK)
        return exit;
    const inv_json *settings = inv_field_of(answer.json, "settings");
    const inv_json *model = inv_field_of(settings, "model");
    *target = (struct inv_target){
        .multi = strcmp(inv_text_of(settings, "kind"), "multi") == 0,
        .built_in = strcmp(inv_text_of(model, "name"), "static") == 0,
        .dim = (size_t)inv_uint_of(settings, "dim"),
        .empty = inv_field_of(answer.json, "documents") != NULL &&
                 inv_uint_of(answer.json, "documents") == 0,
        .documents = inv_uint_of(answer.json, "documents"),
        .created_ms = inv_uint_of(answer.json, "created_ms"),
    };
    snprintf(target->model, sizeof target->model, "%s@%s",
             inv_text_of(model, "name"), inv_text_of(model, "revision"));
    inv_answer_release(&answer);
    if (target->dim > 0)
        return INV_EXIT_OK;
    return inv_cli_failed("the daemon at %s does not describe collection "
                          "\"%s\" as expected: is it of another version?",
                          cli->url, name);
}

const inv_json *inv_model_of(const inv_json *models, const char *name) {
    const inv_json *list;
    const inv_json *found = NULL;
    size_t count = inv_list_of(models, "models", &list);
    size_t len = strlen(name);
    for (size_t i = 0; i < count; i++) {
        const inv_json *item = inv_json_at(list, i);
        const char *full = inv_text_of(item, "model");
        if (strcmp(full, name) == 0)
            return item;
        if (strncmp(full, name, len) != 0 || full[len] != '@')
            continue;
        if (found != NULL)
            return NULL;
        found = item;
    }
    return found;
}

/* What an unlabelled query means: GET migration says. */
static int unlabelled(struct inv_cli *cli, const char *name, char *model,
                      size_t cap) {
    struct inv_answer answer;
    int exit =
        inv_cli_call_collection(cli, "GET", name, "/migration", NULL, &answer);
    if (exit != INV_EXIT_OK)
        return exit;
    snprintf(model, cap, "%s", inv_text_of(answer.json, "query_model"));
    inv_answer_release(&answer);
    return INV_EXIT_OK;
}

int inv_target_in(struct inv_cli *cli, const char *name, const char *model,
                  struct inv_target *target) {
    struct inv_answer answer;
    char meant[sizeof target->model];
    const inv_json *list;
    int exit = inv_target_get(cli, name, target);
    if (exit == INV_EXIT_OK)
        exit =
            inv_cli_call_collection(cli, "GET", name, "/models", NULL, &answer);
    if (exit != INV_EXIT_OK)
        return exit;
    snprintf(meant, sizeof meant, "%s", model == NULL ? target->model : model);
    if (model == NULL && inv_list_of(answer.json, "models", &list) > 1)
        exit = unlabelled(cli, name, meant, sizeof meant);
    const inv_json *found = inv_model_of(answer.json, meant);
    if (exit == INV_EXIT_OK && found == NULL) {
        exit = inv_cli_failed("collection \"%s\" knows no model %s, or "
                              "several revisions of it: `invar models %s`",
                              name, meant, name);
    } else if (exit == INV_EXIT_OK) {
        target->dim = (size_t)inv_uint_of(found, "dim");
        snprintf(target->model, sizeof target->model, "%s",
                 inv_text_of(found, "model"));
        target->built_in = strncmp(target->model, "static@", 7) == 0;
    }
    inv_answer_release(&answer);
    return exit;
}
