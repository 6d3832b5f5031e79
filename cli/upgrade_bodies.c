/*
 * upgrade_bodies.c: the bodies of PUT models/{m} and POST adapters; see
 * upgrade.h. Which values fit together is the daemon's to say.
 */
#include "cli/upgrade.h"

#include "encoders/adapters/evaluate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void put_key(struct inv_buf *out, const char *key) {
    if (out->len > 0 && out->data[out->len - 1] != '{')
        inv_buf_putc(out, ',');
    inv_buf_printf(out, "\"%s\":", key);
}

static void put_text(struct inv_buf *out, const char *key, const char *value) {
    if (value == NULL)
        return;
    put_key(out, key);
    inv_json_put_string(out, value, strlen(value));
}

static void put_real(struct inv_buf *out, const char *key, double value) {
    if (value < 0)
        return;
    put_key(out, key);
    inv_buf_printf(out, "%.6g", value);
}

static void put_uint(struct inv_buf *out, const char *key, uint32_t value) {
    if (value == 0)
        return;
    put_key(out, key);
    inv_buf_printf(out, "%u", value);
}

static enum inv_status put_object(struct inv_buf *out, const char *key,
                                  const char *text, struct inv_err *err) {
    struct inv_err why = {.text = ""};
    inv_json *tree = NULL;
    if (text == NULL)
        return INV_OK;
    enum inv_status status =
        inv_json_parse_plain(text, strlen(text), &tree, &why);
    if (status != INV_OK)
        status =
            inv_fail(err, INV_INVALID, "--%s is no JSON: %s", key, why.text);
    else if (inv_json_kind(tree) != INV_JSON_OBJECT)
        status = inv_fail(err, INV_INVALID, "--%s must be an object, got %s",
                          key, inv_json_kind_name(inv_json_kind(tree)));
    if (status == INV_OK) {
        put_key(out, key);
        inv_json_write(tree, out);
    }
    inv_json_free(tree);
    return status;
}

enum inv_status inv_model_body(const struct inv_model_flags *flags,
                               struct inv_buf *out, struct inv_err *err) {
    inv_buf_putc(out, '{');
    put_uint(out, "dim", flags->dim);
    put_text(out, "prompt", flags->prompt);
    enum inv_status status = put_object(out, "encoder", flags->encoder, err);
    if (status == INV_OK)
        status = put_object(out, "index", flags->index, err);
    if (status != INV_OK)
        return status;
    inv_buf_putc(out, '}');
    return out->failed ? inv_fail(err, INV_MEMORY, "out of memory for a body")
                       : INV_OK;
}

/* ---- fits ---- */

/* kind, solver and the one number of a method. */
static void put_method(struct inv_buf *out, const struct inv_fit_method *method,
                       const struct inv_fit_wish *wish) {
    switch (method->kind) {
    case INV_ADAPTER_PATH:
        put_text(out, "kind", "lambda_orthogonal");
        put_text(out, "solver", "path");
        put_real(out, "kappa", method->knob);
        return;
    case INV_ADAPTER_PAPER:
        put_text(out, "kind", "lambda_orthogonal");
        put_text(out, "solver", "paper");
        put_real(out, "kappa", method->knob >= 0 ? method->knob : wish->kappa);
        put_uint(out, "steps", wish->steps);
        return;
    case INV_ADAPTER_CONTRASTIVE:
        put_text(out, "kind", "lambda_orthogonal");
        put_text(out, "solver", "contrastive");
        put_real(out, "temperature", method->knob);
        put_real(out, "kappa", wish->kappa);
        put_uint(out, "steps", wish->steps);
        return;
    case INV_ADAPTER_RIDGE:
        put_text(out, "kind", "ridge");
        put_real(out, "rho", method->knob);
        return;
    default:
        break;
    }
    put_text(out, "kind", inv_adapter_kind_name(method->kind));
    put_real(out, "beta", method->knob);
    if (method->kind != INV_ADAPTER_PROCRUSTES)
        put_text(out, "label_field", wish->label_field);
}

enum inv_status inv_fit_body(const char *method,
                             const struct inv_fit_wish *wish,
                             struct inv_buf *out, struct inv_err *err) {
    struct inv_fit_method methods[INV_FIT_METHODS_MAX];
    size_t count = 0;
    enum inv_status status =
        inv_fit_methods_parse(method, methods, &count, err);
    if (status != INV_OK)
        return status;
    if (count != 1)
        return inv_fail(err, INV_INVALID,
                        "1 method is needed for an adapter, got %zu", count);
    inv_buf_putc(out, '{');
    put_text(out, "from", wish->from);
    put_text(out, "to", wish->to);
    put_text(out, "name", wish->name);
    put_method(out, methods, wish);
    put_real(out, "margin", wish->margin);
    put_uint(out, "seed", wish->seed);
    inv_buf_putc(out, '}');
    return out->failed ? inv_fail(err, INV_MEMORY, "out of memory for a body")
                       : INV_OK;
}

static bool is_plain(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') || c == '.' || c == '_' || c == '-';
}

void inv_adapter_name(const char *from, const char *to, const char *method,
                      char out[INV_NAME_MAX + 1]) {
    char name[512];
    uint32_t hash = 2166136261U; /* FNV-1a */
    snprintf(name, sizeof name, "%s-to-%s-%s", from, to, method);
    for (char *p = name; *p != '\0'; p++) {
        hash = (hash ^ (unsigned char)*p) * 16777619U;
        if (!is_plain(*p))
            *p = '-';
    }
    if (strlen(name) <= INV_NAME_MAX)
        snprintf(out, INV_NAME_MAX + 1, "%.*s", INV_NAME_MAX, name);
    else
        snprintf(out, INV_NAME_MAX + 1, "%.*s-%08" PRIx32, INV_NAME_MAX - 9,
                 name, hash);
}

bool inv_sample_known(const char *how) {
    return strcmp(how, "leverage") == 0 || strcmp(how, "uniform") == 0;
}

const char *inv_sample_usual(const struct inv_target *target) {
    return target->multi ? "uniform" : "leverage";
}
