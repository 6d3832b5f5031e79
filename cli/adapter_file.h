/*
 * adapter_file.h: an adapter as one file that other programs read: .npz
 * (matrix.npy, bias.npy, adapter.json inside) or .safetensors (matrix, bias,
 * the JSON's text under "adapter" in __metadata__).
 */
#ifndef INV_CLI_ADAPTER_FILE_H
#define INV_CLI_ADAPTER_FILE_H

#include "base/buf.h"
#include "encoders/adapters/adapter.h"

/* Which of the two, the name's ending says: INV_INVALID for another. report: a
 * JSON object, kept as it is. INV_IO, INV_NO_SPACE, INV_MEMORY. The file is
 * replaced as a whole. */
enum inv_status inv_adapter_file_write(const char *path,
                                       const struct inv_adapter_parts *parts,
                                       const struct inv_buf *report,
                                       struct inv_err *err) INV_MUST_USE;
/* Is the ending one of the two? */
enum inv_status inv_adapter_file_check(const char *path,
                                       struct inv_err *err) INV_MUST_USE;

#endif
