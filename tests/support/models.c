/*
 * models.c: see models.h.
 */
#include "tests/support/models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void models_make(struct api *api) {
    api_ok(api, "PUT", "/v1/collections/one",
           "{\"kind\":\"single\",\"dim\":4,\"metric\":\"cosine\","
           "\"model\":{\"name\":\"m\",\"revision\":\"1\"},"
           "\"index\":{\"type\":\"flat\"},"
           "\"payload_index\":{\"lang\":\"keyword\"}}");
    api_ok(api, "PUT", "/v1/collections/many",
           "{\"kind\":\"multi\",\"dim\":4,"
           "\"model\":{\"name\":\"t\",\"revision\":\"1\"},"
           "\"encoder\":{\"type\":\"muvera\",\"R\":4,\"k\":2,\"m\":4}}");
    api_ok(api, "PUT", "/v1/collections/one/documents",
           "{\"documents\":[{\"id\":\"a\",\"vector\":[1,0,0,0]},"
           "{\"id\":\"b\",\"vector\":[0,1,0,0],\"payload\":{\"lang\":\"en\"}},"
           "{\"id\":\"c\",\"vector\":[0,0,1,0]}]}");
    api_ok(api, "PUT", "/v1/collections/many/documents",
           "{\"documents\":[{\"id\":\"a\",\"vectors\":[[1,0,0,0],"
           "[0,1,0,0]]}]}");
}

/* The vectors of every document in one model; documents without one are
 * there with the refusal. */
static void add_vectors(struct api *api, const char *collection,
                        const char *model, struct inv_buf *out) {
    static const char *const ids[] = {"a", "b", "c", "d", "n"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        char path[512];
        snprintf(path, sizeof path,
                 "/v1/collections/%s/documents/%s?vectors&model=%s", collection,
                 ids[i], model);
        int status = api_do(api, "GET", path, NULL);
        inv_buf_puts(out, status == 200 ? api_body(api) : "none");
    }
}

char *models_state(struct api *api, const char *collection) {
    struct inv_buf out = INV_BUF_INIT;
    char names[INV_SPACES_MAX][2 * INV_MODEL_NAME_MAX + 2];
    char path[128];
    char *documents = api_state(api, collection);
    inv_buf_puts(&out, documents);
    free(documents);
    snprintf(path, sizeof path, "/v1/collections/%s/models", collection);
    api_ok(api, "GET", path, NULL);
    inv_buf_puts(&out, api_body(api));
    size_t count = api_size(api, "/models");
    ck_assert_uint_le(count, INV_SPACES_MAX);
    for (size_t i = 0; i < count; i++) {
        char at[32];
        snprintf(at, sizeof at, "/models/%zu/model", i);
        snprintf(names[i], sizeof names[i], "%s", api_string(api, at));
    }
    for (size_t i = 0; i < count; i++)
        add_vectors(api, collection, names[i], &out);
    snprintf(path, sizeof path, "/v1/collections/%s/migration", collection);
    api_ok(api, "GET", path, NULL);
    inv_buf_puts(&out, api_body(api));
    ck_assert(!out.failed);
    return out.data;
}

void models_refused(struct api *api, const char *method, const char *path,
                    const char *body, int status, const char *code,
                    const char *pointer, const char *pieces) {
    struct api_request request = {.method = method,
                                  .path = path,
                                  .body = body,
                                  .len = body == NULL ? 0 : strlen(body)};
    char *before[2] = {models_state(api, "one"), models_state(api, "many")};
    api_send(api, &request);
    api_refused(api, status, code, pointer, pieces);
    char *after[2] = {models_state(api, "one"), models_state(api, "many")};
    for (int i = 0; i < 2; i++) {
        ck_assert_msg(strcmp(after[i], before[i]) == 0,
                      "%s %s changed something:\n%s\n%s", method, path,
                      before[i], after[i]);
        free(before[i]);
        free(after[i]);
    }
}
