/*
 * problem.c: see problem.h. It knows the one list of errors (base/status.h) and
 * how to write a JSON string; nothing of routes or handlers.
 */
#include "server/http/problem.h"

#include "server/json/json.h"

#include <string.h>

static void put_text(struct inv_buf *out, const char *key, const char *value) {
    inv_buf_printf(out, ",\"%s\":", key);
    inv_json_put_string(out, value, strlen(value));
}

void inv_problem_write(const struct inv_err *err, const char *request_id,
                       struct inv_response *response) {
    struct inv_buf *out = &response->body;
    int status = inv_status_http(err->status);
    response->status = status;
    response->content_type = "application/problem+json";
    response->header_count = 0;
    if (status == 429 || status == 503)
        inv_response_header(response, "Retry-After", "1");
    inv_buf_reset(out);
    inv_buf_puts(out, "{\"type\":\"about:blank\"");
    put_text(out, "title", inv_status_title(err->status));
    inv_buf_printf(out, ",\"status\":%d", status);
    put_text(out, "code", inv_status_code(err->status));
    put_text(out, "detail", err->text);
    put_text(out, "request_id", request_id);
    if (err->pointer[0] != '\0') {
        inv_buf_puts(out, ",\"errors\":[{\"pointer\":");
        inv_json_put_string(out, err->pointer, strlen(err->pointer));
        put_text(out, "detail", err->text);
        inv_buf_puts(out, "}]");
    }
    inv_buf_puts(out, "}\n");
}
