/*
 * adapter_file.h: an adapter in bytes that other programs read and write: .npz
 * (matrix.npy, bias.npy, adapter.json inside) or .safetensors (matrix, bias,
 * the JSON's text under "adapter" in __metadata__). With a simplex fold also
 * s_new, s_new_bias, s_old and beta. The JSON has format, kind, direction,
 * from, to, rows, cols, normalise and report. Any thread.
 */
#ifndef INV_SERVER_JSON_ADAPTER_FILE_H
#define INV_SERVER_JSON_ADAPTER_FILE_H

#include "base/buf.h"
#include "encoders/adapters/adapter.h"
#include "encoders/adapters/npz.h"

enum inv_adapter_format { INV_ADAPTER_NPZ, INV_ADAPTER_SAFETENSORS };
/* "npz" or "safetensors", what a file's name ends with. */
const char *inv_adapter_format_name(enum inv_adapter_format format);
/* INV_INVALID names both. */
enum inv_status inv_adapter_format_parse(const char *name,
                                         enum inv_adapter_format *out,
                                         struct inv_err *err) INV_MUST_USE;

/* Appends the adapter. report: the text of a JSON object, kept as it is; NULL:
 * {}. The same adapter gives the same bytes. INV_MEMORY. */
enum inv_status inv_adapter_write(const struct inv_adapter *adapter,
                                  enum inv_adapter_format format,
                                  const char *report, struct inv_buf *out,
                                  struct inv_err *err) INV_MUST_USE;

/* Reads either format, by what the bytes begin with. Arrays may be f2, f4 or
 * f8, without bias it is zero, without s_new_bias too. `unless`: kind,
 * direction, from, to and normalise of a file without JSON (from numpy.savez);
 * NULL: such a file is refused. report may be NULL; it gets the text of the
 * report, "{}" when there is none. INV_INVALID, INV_MALFORMED (the JSON),
 * INV_DIMENSION (both shapes), INV_NOT_FINITE, INV_TOO_LARGE, INV_MEMORY. */
enum inv_status inv_adapter_read(const void *bytes, size_t len,
                                 const struct inv_adapter_parts *unless,
                                 struct inv_adapter **out,
                                 struct inv_buf *report,
                                 struct inv_err *err) INV_MUST_USE;

/* ---- the container, for these and their tests ---- */

/* Appends arrays of INV_NPY_F32 and the text that describes them. */
void inv_safetensors_write(const struct inv_array *arrays, size_t count,
                           const char *about, size_t about_len,
                           struct inv_buf *out);
/* The arrays point into copies; "adapter" of the metadata becomes the text
 * "adapter.json", as in an archive. As inv_npz_read; offsets must cover the
 * bytes without gap or overlap. */
enum inv_status inv_safetensors_read(const void *bytes, size_t len,
                                     struct inv_arrays *arrays,
                                     struct inv_err *err) INV_MUST_USE;

#endif
