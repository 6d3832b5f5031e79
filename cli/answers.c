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
