/*
 * vlog.h: the vector logs of a collection: append-only files of records that
 * describe themselves, which hold the vectors as they were given. Scoring
 * reads them in place through a mapping.
 *
 *   DATA/collections/<uuid>/vectors/NNNNNNNN.vlog
 *
 *   file    64 bytes: "INVARLOG", u32 version, u32 byte order mark
 *           0x01020304, u32 file number, u32 CRC32C of the 20 bytes before
 *   record  at a multiple of 32, little-endian (format 1):
 *           0  u32 magic "VREC"      4  u32 CRC32C of bytes 8..end of record
 *           8  u64 vseq             16  u64 space
 *           24 u32 rows             28  u32 dim
 *           32 u8 dtype  33 u8 0    34  u16 id length
 *           36 u32 bytes of data    40  u64 bytes of the record, padded
 *           48 id, zeros up to the next multiple of 32, data (i8: rows x dim,
 *              zero to even, then rows x f16 scales), zeros up to a multiple
 *              of 32
 *
 * A crash may leave an unreferenced tail: it is cut at start-up, before the
 * file is mapped; a failed transaction leaves a dead range, never a cut. A
 * mapped file never shrinks.
 *
 * Threads: one writer (the daemon's writer thread) appends and syncs. Files
 * and sets of files are reference counted and immutable to readers, who may
 * read every record of a committed transaction.
 */
#ifndef INV_INDEX_VLOG_H
#define INV_INDEX_VLOG_H

#include "base/ref.h"
#include "base/vector.h"
#include "index/catalog.h"

struct inv_vlog_file; /* one mapped file; reference counted */

/* The files a view reads from, ascending by number. Reference counted. */
struct inv_vlog_set {
    struct inv_ref ref;
    size_t count;
    struct inv_vlog_file *files[];
};

struct inv_vlog; /* the writer's side of a collection's logs */

/* What the catalog knows of one file: its last referenced byte. */
struct inv_vlog_end {
    uint32_t file;
    uint64_t end;
};

/* Opens the directory (made when missing). Cuts the newest file behind its
 * last referenced byte; a file that is shorter than what is referenced stays
 * as it is, is not appended to, and reading beyond its end is refused record by
 * record. Files that nothing references, other than the newest, are removed.
 * The number of a file that is gone is not given to another while something
 * refers to it. */
enum inv_status inv_vlog_open(const char *dir, const struct inv_vlog_end *ends,
                              size_t end_count, size_t roll_bytes,
                              struct inv_vlog **out,
                              struct inv_err *err) INV_MUST_USE;
void inv_vlog_close(struct inv_vlog *vlog);

/* The files of a directory to look at only: nothing is cut, removed or made.
 * `bad` is told of each file that is not a vector log; it is left out. */
enum inv_status inv_vlog_look(const char *dir,
                              void (*bad)(void *ctx, const char *why),
                              void *ctx, struct inv_vlog_set **out,
                              struct inv_err *err) INV_MUST_USE;

/* Appends one record, unsynced. data: inv_codes_bytes of codes, its scales
 * taken from codes->scales. On failure the file may have a dead range. */
enum inv_status inv_vlog_append(struct inv_vlog *vlog, uint64_t vseq,
                                uint64_t space, const char *id, size_t id_len,
                                const struct inv_codes *codes,
                                struct inv_place *place,
                                struct inv_err *err) INV_MUST_USE;
/* fdatasync of what was appended (and of the directory when a file is new).
 * After a failure every later append and sync fails with INV_READ_ONLY: what
 * the kernel still holds of the failed pages is unknown. */
enum inv_status inv_vlog_sync(struct inv_vlog *vlog,
                              struct inv_err *err) INV_MUST_USE;
bool inv_vlog_read_only(const struct inv_vlog *vlog);

/* The current set of files: a new reference. NULL when out of memory. */
struct inv_vlog_set *inv_vlog_files(struct inv_vlog *vlog);
/* Takes a file out of the set; it is unlinked when the last set that holds it
 * is released. The file being written to is refused (INV_CONFLICT). */
enum inv_status inv_vlog_drop(struct inv_vlog *vlog, uint32_t file,
                              struct inv_err *err) INV_MUST_USE;
uint32_t inv_vlog_current(const struct inv_vlog *vlog);
/* Bytes of all files. */
uint64_t inv_vlog_set_bytes(const struct inv_vlog_set *set);
/* The files' numbers and sizes, for compaction: i < set->count. */
uint32_t inv_vlog_file_number(const struct inv_vlog_file *file);
uint64_t inv_vlog_file_bytes(const struct inv_vlog_file *file);

struct inv_record {
    uint64_t vseq, space;
    const char *id; /* not NUL-terminated */
    size_t id_len;
    struct inv_codes codes; /* pointers into the mapping */
    uint64_t length;        /* of the whole record */
};

/* Does the place lie inside a file that is there? Reads no byte of it. */
bool inv_vlog_reaches(const struct inv_vlog_set *set,
                      const struct inv_place *place, struct inv_err *err);
/* The vectors at a place. INV_CORRUPT when it lies outside its file or the
 * header does not fit the place. Does not check the record's CRC. */
enum inv_status inv_vlog_get(const struct inv_vlog_set *set,
                             const struct inv_place *place,
                             struct inv_codes *out,
                             struct inv_err *err) INV_MUST_USE;
/* The same with everything checked, the CRC included. */
enum inv_status inv_vlog_check(const struct inv_vlog_set *set,
                               const struct inv_place *place,
                               struct inv_record *out,
                               struct inv_err *err) INV_MUST_USE;

/* Hints the kernel that a place will be read soon. */
void inv_vlog_prefetch(const struct inv_vlog_set *set,
                       const struct inv_place *place);

#endif
