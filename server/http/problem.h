/*
 * problem.h: an error as the client sees it, RFC 9457:
 *
 *   {"type":"about:blank","title":"Wrong dimension","status":400,
 *    "code":"dimension_mismatch","detail":"expected 128 dimensions, got 96",
 *    "request_id":"4f1c...","errors":[{"pointer":"/documents/17/vectors",
 *    "detail":"expected 128 dimensions, got 96"}]}
 *
 * `code` is stable, `title` and `detail` are for people. `errors` is there only
 * when the error has a pointer.
 */
#ifndef INV_SERVER_HTTP_PROBLEM_H
#define INV_SERVER_HTTP_PROBLEM_H

#include "server/http/http.h"

/* Replaces what the response held: status, type, headers, body. 429 and 503
 * get "Retry-After: 1". Out of memory shows in response->body.failed. Any
 * thread. err->status must not be INV_OK. */
void inv_problem_write(const struct inv_err *err, const char *request_id,
                       struct inv_response *response);

#endif
