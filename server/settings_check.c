/*
 * settings_check.c: what a request asks for against a collection's settings:
 * names, models, dimensions. Pure functions, any thread.
 */
#include "server/settings.h"

#include "base/hash.h"

#include <stdio.h>
#include <string.h>

enum inv_status inv_check_name(const char *what, const char *name, size_t len,
                               struct inv_err *err) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz0123456789._-";
    if (len == 0 || len > INV_NAME_MAX)
        return inv_fail(err, INV_INVALID,
                        "a %s name has 1 to %d characters, this one has %zu",
                        what, INV_NAME_MAX, len);
    for (size_t i = 0; i < len; i++)
        if (name[i] == '\0' || strchr(allowed, name[i]) == NULL)
            return inv_fail(err, INV_INVALID,
                            "a %s name holds letters, digits, '.', '_' and "
                            "'-'; character %zu is another",
                            what, i + 1);
    return INV_OK;
}

uint64_t inv_settings_space(const struct inv_settings *s) {
    char text[3 * INV_MODEL_NAME_MAX + 64];
    int len = snprintf(text, sizeof text, "%s@%s|%s|%zu|%d|%d%s", s->model,
                       s->revision, s->prompt, s->dim, (int)s->metric, s->multi,
                       s->normalized ? "|normalized" : "");
    return inv_hash(INV_HASH_INIT, text, (size_t)len);
}

enum inv_status inv_settings_check_dims(const struct inv_settings *s,
                                        const struct inv_search_params *p,
                                        const char *at, struct inv_err *err) {
    const struct inv_encoder_settings *e = &s->encoder;
    if (s->multi) {
        if (p->dims_count == 0 || p->dims[p->dims_count - 1] <= s->dim)
            return INV_OK;
        enum inv_status status = inv_fail(
            err, INV_DIMENSION, "tokens have %zu dimensions, dims asks for %u",
            s->dim, p->dims[p->dims_count - 1]);
        inv_err_at(err, "%s/params/dims/%zu", at, p->dims_count - 1);
        return status;
    }
    for (size_t i = 0; i < p->dims_count; i++) {
        bool declared = false;
        for (size_t j = 0; j < e->dims_count; j++)
            declared = declared || e->dims[j] == p->dims[i];
        if (declared)
            continue;
        enum inv_status status =
            inv_fail(err, INV_DIMENSION,
                     "%u is not one of the %zu dimensions this collection "
                     "declares (the largest is %zu)",
                     p->dims[i], e->dims_count, s->dim);
        inv_err_at(err, "%s/params/dims/%zu", at, i);
        return status;
    }
    return INV_OK;
}
