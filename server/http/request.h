/*
 * request.h: building a request from what arrives on the wire. Shared by the
 * front door's own files; handlers need http.h only. Memory comes from
 * request->arena. Any thread, one at a time.
 */
#ifndef INV_SERVER_HTTP_REQUEST_H
#define INV_SERVER_HTTP_REQUEST_H

#include "server/http/http.h"

/* Characters of a request id that is taken over from the client. */
#define INV_REQUEST_ID_MAX 128

/* The name of a method as it is sent ("GET"). Static. */
const char *inv_method_name(enum inv_method method);
/* Case-sensitive, as the standard wants; false for a method that is not in the
 * enum, *out is untouched then. */
bool inv_method_parse(const char *name, enum inv_method *out);

/* Sets path and query string from a request target: "/v1/x?a=b" or the
 * absolute form "http://host/v1/x?a=b", which proxies send. The query string
 * is decoded later, by inv_request_parse_query. */
enum inv_status inv_request_target(struct inv_request *request,
                                   const char *target,
                                   struct inv_err *err) INV_MUST_USE;

/* Decodes the query string ('+' is a space) and makes inv_request_query work.
 * INV_INVALID for a bad percent escape or an embedded NUL, naming the byte of
 * the query string, counted from 0. Of a repeated name the first counts. */
enum inv_status inv_request_parse_query(struct inv_request *request,
                                        struct inv_err *err) INV_MUST_USE;

/* The media type of a Content-Type header: lower case, no parameters. "" for
 * NULL (the header was not sent). NULL: out of memory. */
const char *inv_request_media_type(struct inv_arena *arena, const char *header);

/* A copy of an X-Request-ID header of 1 to INV_REQUEST_ID_MAX printable ASCII
 * characters, else 32 random hexadecimal digits. NULL: out of memory. */
const char *inv_http_request_id(struct inv_arena *arena, const char *header);

#endif
