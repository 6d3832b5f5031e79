/*
 * report.h: what a fit found (encoders/adapters/evaluate.h) as JSON, the same
 * for the command line and the daemon. Any thread.
 */
#ifndef INV_SERVER_JSON_REPORT_H
#define INV_SERVER_JSON_REPORT_H

#include "base/buf.h"
#include "encoders/adapters/evaluate.h"

/* The whole report as one object, no newline. out->failed when memory ran
 * out. */
void inv_fit_report_json(const struct inv_fit_report *report,
                         struct inv_buf *out);
/* One result of it as an object: what is kept beside its adapter. */
void inv_fit_result_json(const struct inv_fit_report *report,
                         const struct inv_fit_result *result,
                         struct inv_buf *out);

#endif
