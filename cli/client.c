/*
 * client.c: see client.h. Curl's easy interface over one kept-alive
 * connection. Knows how refusals are written (RFC 9457), nothing of what is
 * asked. Each client is used by one thread at a time.
 */
#include "cli/client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CONNECT_TIMEOUT_S 10L
#define ANSWER_MAX ((size_t)1 << 30)

struct inv_client {
    CURL *curl;
    char *url; /* without a slash at the end */
    char *key; /* "Authorization: Bearer ..." or NULL */
    char error[CURL_ERROR_SIZE];
};

enum inv_status inv_client_global_init(struct inv_err *err) {
    CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (code == CURLE_OK)
        return INV_OK;
    return inv_fail(err, INV_INTERNAL, "curl cannot start: %s",
                    curl_easy_strerror(code));
}

void inv_client_global_release(void) { curl_global_cleanup(); }

void inv_answer_release(struct inv_answer *answer) {
    inv_json_free(answer->json);
    inv_buf_release(&answer->body);
    *answer = (struct inv_answer)INV_ANSWER_INIT;
}

/* ---- opening ---- */

static size_t receive(char *bytes, size_t size, size_t count, void *ctx) {
    struct inv_buf *body = ctx;
    if (body->len + size * count > ANSWER_MAX)
        return 0;
    inv_buf_append(body, bytes, size * count);
    return body->failed ? 0 : size * count;
}

static bool is_loopback(const char *url) {
    static const char *const hosts[] = {"127.", "localhost", "[::1]"};
    const char *host = strstr(url, "://") + 3;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (strncmp(host, hosts[i], strlen(hosts[i])) == 0)
            return true;
    return false;
}

static enum inv_status check_address(const char *url, const char *key,
                                     struct inv_err *err) {
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return inv_fail(err, INV_INVALID,
                        "the address must begin with http:// or https://, "
                        "got \"%.200s\"",
                        url);
    for (const char *p = key; p != NULL && *p != '\0'; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return inv_fail(err, INV_INVALID,
                            "the key holds a blank or a control character at "
                            "position %td",
                            p - key + 1);
    return INV_OK;
}

static enum inv_status fill(struct inv_client *client, const char *url,
                            const char *key, struct inv_err *err) {
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/')
        len--;
    client->url = strndup(url, len);
    client->curl = curl_easy_init();
    struct inv_buf header = INV_BUF_INIT;
    if (key != NULL && *key != '\0') {
        inv_buf_printf(&header, "Authorization: Bearer %s", key);
        client->key = header.failed ? NULL : strdup(header.data);
    }
    bool failed = client->url == NULL || client->curl == NULL ||
                  header.failed || (header.len > 0 && client->key == NULL);
    inv_buf_release(&header);
    return failed ? inv_fail(err, INV_MEMORY, "out of memory for a connection")
                  : INV_OK;
}

enum inv_status inv_client_open(const char *url, const char *key,
                                uint32_t timeout_s, struct inv_client **out,
                                struct inv_err *err) {
    enum inv_status status = check_address(url, key, err);
    if (status != INV_OK)
        return status;
    struct inv_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a connection");
    status = fill(client, url, key, err);
    if (status != INV_OK) {
        inv_client_close(client);
        return status;
    }
    CURL *curl = client->curl;
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->error);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)timeout_s);
    curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "invar/" INV_VERSION);
    curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 256L * 1024);
    /* A proxy of the environment is no way to this machine itself. */
    if (is_loopback(client->url))
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
    *out = client;
    return INV_OK;
}

void inv_client_close(struct inv_client *client) {
    if (client == NULL)
        return;
    curl_easy_cleanup(client->curl);
    free(client->url);
    free(client->key);
    free(client);
}

/* ---- reading refusals ---- */

static const char *text_of(const inv_json *object, const char *key) {
    const inv_json *value = inv_json_get(object, key);
    if (value == NULL || inv_json_kind(value) != INV_JSON_STRING)
        return NULL;
    return inv_json_string(value, NULL);
}

/* errors[0], where the pointer is and, in a list, the clearer text. */
static const inv_json *first_error(const inv_json *problem) {
    const inv_json *list = inv_json_get(problem, "errors");
    if (list == NULL || inv_json_kind(list) != INV_JSON_ARRAY ||
        inv_json_size(list) == 0)
        return NULL;
    const inv_json *first = inv_json_at(list, 0);
    return inv_json_kind(first) == INV_JSON_OBJECT ? first : NULL;
}

static void explain_problem(const inv_json *problem, long http, char *out,
                            size_t cap) {
    const inv_json *first = first_error(problem);
    const char *detail = text_of(problem, "detail");
    const char *code = text_of(problem, "code");
    const char *pointer = first == NULL ? NULL : text_of(first, "pointer");
    if (detail == NULL && first != NULL)
        detail = text_of(first, "detail");
    if (detail == NULL)
        detail = text_of(problem, "title");
    bool at = pointer != NULL && *pointer != '\0';
    snprintf(out, cap, "%.600s (%s%sHTTP %ld%s%.200s)",
             detail == NULL ? "the daemon refused" : detail,
             code == NULL ? "" : code, code == NULL ? "" : ", ", http,
             at ? ", at " : "", at ? pointer : "");
}

void inv_client_explain(long http, const char *body, size_t len, char *out,
                        size_t cap) {
    inv_json *problem = NULL;
    if (len > 0 && inv_json_parse_plain(body, len, &problem, NULL) == INV_OK &&
        inv_json_kind(problem) == INV_JSON_OBJECT)
        explain_problem(problem, http, out, cap);
    else
        snprintf(out, cap, "the daemon answered HTTP %ld%s%.*s", http,
                 len > 0 ? ": " : "", len > 200 ? 200 : (int)len,
                 len > 0 ? body : "");
    inv_json_free(problem);
}

/* ---- sending ---- */

static struct curl_slist *headers(const struct inv_client *client,
                                  const struct inv_call *call) {
    char type[160];
    snprintf(type, sizeof type, "Content-Type: %s",
             call->type == NULL ? "application/json" : call->type);
    /* No "Expect: 100-continue": it would cost a round trip a request. */
    const char *const lines[] = {call->body == NULL ? "Accept: */*" : type,
                                 "Expect:", client->key};
    struct curl_slist *list = NULL;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (lines[i] == NULL)
            continue;
        struct curl_slist *more = curl_slist_append(list, lines[i]);
        if (more == NULL) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = more;
    }
    return list;
}

static CURLcode perform(struct inv_client *client, const struct inv_call *call,
                        struct inv_answer *answer) {
    CURL *curl = client->curl;
    struct inv_buf url = INV_BUF_INIT;
    inv_buf_printf(&url, "%s%s", client->url, call->path);
    struct curl_slist *list = headers(client, call);
    CURLcode code = CURLE_OUT_OF_MEMORY;
    if (url.failed || list == NULL)
        goto out;
    client->error[0] = '\0';
    curl_easy_setopt(curl, CURLOPT_URL, url.data);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer->body);
    if (call->body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)call->len);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body);
    } else {
        curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
    code = curl_easy_perform(curl);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, NULL);
out:
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(list);
    inv_buf_release(&url);
    return code;
}

static enum inv_exit unreachable(const struct inv_client *client, CURLcode code,
                                 struct inv_answer *answer) {
    const char *why =
        client->error[0] != '\0' ? client->error : curl_easy_strerror(code);
    const char *hint = code == CURLE_COULDNT_CONNECT
                           ? " (is invard running? --url or INVAR_URL says "
                             "where)"
                           : "";
    snprintf(answer->message, sizeof answer->message, "cannot reach %s: %s%s",
             client->url, why, hint);
    return code == CURLE_OUT_OF_MEMORY ? INV_EXIT_FAILED : INV_EXIT_UNREACHABLE;
}

enum inv_exit inv_client_send(struct inv_client *client,
                              const struct inv_call *call,
                              struct inv_answer *answer) {
    inv_json_free(answer->json);
    answer->json = NULL;
    answer->http = 0;
    answer->message[0] = '\0';
    inv_buf_reset(&answer->body);
    CURLcode code = perform(client, call, answer);
    if (code != CURLE_OK)
        return unreachable(client, code, answer);
    curl_off_t wait = 0;
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &answer->http);
    curl_easy_getinfo(client->curl, CURLINFO_TOTAL_TIME, &answer->seconds);
    curl_easy_getinfo(client->curl, CURLINFO_RETRY_AFTER, &wait);
    answer->retry_after_s =
        wait > 0 && wait < 86400 ? (uint32_t)wait : (uint32_t)0;
    const struct inv_buf *body = &answer->body;
    if (answer->http < 200 || answer->http > 299) {
        inv_client_explain(answer->http, body->data, body->len, answer->message,
                           sizeof answer->message);
        return INV_EXIT_FAILED;
    }
    if (call->raw || body->len == 0)
        return INV_EXIT_OK;
    struct inv_err err;
    if (inv_json_parse_plain(body->data, body->len, &answer->json, &err) ==
        INV_OK)
        return INV_EXIT_OK;
    snprintf(answer->message, sizeof answer->message,
             "the answer to %s %s is no JSON: %s", call->method, call->path,
             err.text);
    return INV_EXIT_FAILED;
}

void inv_client_escape(struct inv_buf *out, const char *text, size_t len) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (size_t i = 0; i < len; i++)
        if (text[i] != '\0' && strchr(plain, text[i]) != NULL)
            inv_buf_putc(out, text[i]);
        else
            inv_buf_printf(out, "%%%02X", (unsigned)(unsigned char)text[i]);
}
