/*
 * gallery.h: one collection's stored vectors: catalog rows, vector logs,
 * segments, and the view that searches take. It knows neither encoders nor
 * JSON: codes come ready or through an encoding's callback, payload values
 * through `row`.
 *
 * Threads. Reading: inv_gallery_view from any thread, then no lock. Changing:
 * only inside an operation of the writer thread (writer.h): the change
 * functions below edit the next view, prepare makes it durable, publish shows
 * it. Building (seal, merge, rebuild, compaction): one builder thread at a
 * time, gallery_build.c.
 */
#ifndef INV_INDEX_GALLERY_H
#define INV_INDEX_GALLERY_H

#include "index/catalog.h"
#include "index/view.h"

struct inv_gallery;

/* Payload text to the values of the indexed fields; *out malloc'ed or NULL. */
typedef enum inv_status inv_row_reader(const struct inv_schema *schema,
                                       const char *payload, size_t len,
                                       struct inv_row **out,
                                       struct inv_err *err);

struct inv_gallery_options {
    const char *dir; /* DATA/collections/<uuid> */
    int64_t collection;
    struct inv_catalog *catalog;
    inv_row_reader *row;
    size_t roll_bytes;  /* of a vector log; 0: INV_VLOG_ROLL */
    size_t fresh_limit; /* entries of a fresh segment; 0: INV_FRESH_DEFAULT */
    uint64_t next_vseq, next_version, next_gen;
    struct inv_schema *schema;
    int64_t space; /* of the gallery */
    /* every encoding that a segment may have been made with; the last one of a
     * space is for what comes next in it */
    struct inv_encoding *const *encodings;
    size_t encoding_count;
    struct inv_ref *context; /* of the first view: a reference is taken */
};

/* Reads the catalog, opens logs and segments. A segment that is missing or
 * damaged is logged, its entries are served from memory, and `degraded` below
 * says so until a build has replaced it. */
enum inv_status inv_gallery_open(const struct inv_gallery_options *options,
                                 struct inv_gallery **out,
                                 struct inv_err *err) INV_MUST_USE;
void inv_gallery_close(struct inv_gallery *gallery);

/* A new reference to the current view: inv_ref_put it. */
struct inv_view *inv_gallery_view(struct inv_gallery *gallery);
/* "" or why the gallery does not run as it should. */
void inv_gallery_degraded(struct inv_gallery *gallery, char *out, size_t size);
/* A record could not be read (INV_CORRUPT, whose text is `why`): it is logged
 * and shown by inv_gallery_degraded until restart, and nothing is compacted
 * any more, so that what is left of it stays. Any thread. */
void inv_gallery_damaged(struct inv_gallery *gallery, const char *why);
bool inv_gallery_has_damage(struct inv_gallery *gallery);
/* True after a disk error: writes are refused until restart. */
bool inv_gallery_read_only(struct inv_gallery *gallery);
/* Monotonic time of the last change, for sealing when idle. */
int64_t inv_gallery_changed_ns(struct inv_gallery *gallery);

/* ---- changes: on the writer thread, inside an operation ---- */

enum inv_put_mode { INV_PUT_UPSERT, INV_PUT_INSERT, INV_PUT_UPDATE };

struct inv_put {
    const char *id;
    size_t id_len;
    int64_t space;          /* of the view: inv_view_encoding knows it */
    struct inv_codes codes; /* as they are to be stored */
    const struct inv_encoding *encoding; /* that made `code`; may be outdated */
    float *code;                         /* code_dim floats; is changed */
    const char *payload;                 /* JSON text, NULL: none */
    size_t payload_len;
    const struct inv_schema *schema; /* that `row` was read for */
    struct inv_row *row;             /* becomes the gallery's once published */
    bool created;                    /* out: was not there before */
    uint64_t version;                /* out */
};

/* insert: INV_CONFLICT when one of the ids exists; update: INV_NOT_FOUND when
 * one does not. Changes nothing. */
enum inv_status inv_gallery_check(struct inv_gallery *gallery,
                                  struct inv_db *db, enum inv_put_mode mode,
                                  const struct inv_put *puts, size_t count,
                                  struct inv_err *err) INV_MUST_USE;
/* Replaces the document: what vectors it has in other spaces are vectors of
 * something else now and go. */
enum inv_status inv_gallery_put(struct inv_gallery *gallery, struct inv_db *db,
                                struct inv_put *put,
                                struct inv_err *err) INV_MUST_USE;

/* A vector of a stored document in another space than it came in. */
struct inv_beside {
    struct inv_put put; /* id, space, codes, encoding, code */
    uint64_t seq;       /* of the document it was computed from; 0: as it is */
    enum {
        INV_BESIDE_STORED,
        INV_BESIDE_UNCHANGED, /* the same bytes are there */
        INV_BESIDE_MISSING,   /* no such document */
        INV_BESIDE_STALE,     /* it has been replaced since: see now */
        INV_BESIDE_OWN,       /* the document itself came in this space */
    } result;                 /* out */
    uint64_t now;             /* out: the document's seq */
};
/* Payload, version and the vectors of other spaces stay. A result other than
 * STORED changes nothing. */
enum inv_status inv_gallery_put_beside(struct inv_gallery *gallery,
                                       struct inv_db *db,
                                       struct inv_beside *beside,
                                       struct inv_err *err) INV_MUST_USE;
/* *found says whether it was there. */
enum inv_status inv_gallery_remove(struct inv_gallery *gallery,
                                   struct inv_db *db, const char *id,
                                   size_t id_len, bool *found,
                                   struct inv_err *err) INV_MUST_USE;
/* Replaces the payload of a document as found. `row`: a reference is taken. */
enum inv_status inv_gallery_set_payload(struct inv_gallery *gallery,
                                        struct inv_db *db,
                                        const struct inv_document_row *document,
                                        const char *payload, size_t payload_len,
                                        struct inv_shared_row *row,
                                        uint64_t *version,
                                        struct inv_err *err) INV_MUST_USE;
/* Other fields are indexed from now on: reads every payload. A value that does
 * not fit: INV_INVALID naming the document. The operation must be `alone`. */
enum inv_status inv_gallery_set_schema(struct inv_gallery *gallery,
                                       struct inv_db *db,
                                       struct inv_schema *schema,
                                       struct inv_err *err) INV_MUST_USE;
/* What comes next in its space is encoded with this one (a reference is
 * taken). A space that the view does not have yet is added; more than
 * INV_SPACES_MAX: INV_CONFLICT. */
enum inv_status inv_gallery_set_encoding(struct inv_gallery *gallery,
                                         struct inv_encoding *encoding,
                                         struct inv_err *err) INV_MUST_USE;
/* A new reference to what hangs on the view that is being edited, or on the
 * current one. */
struct inv_ref *inv_gallery_context(struct inv_gallery *gallery);
/* A change of rows that belongs to this operation failed half-way: its whole
 * transaction has to go. Returns status. */
enum inv_status inv_gallery_undo(struct inv_gallery *gallery,
                                 enum inv_status status);
/* Hangs something else on the view (a reference is taken). */
enum inv_status inv_gallery_set_context(struct inv_gallery *gallery,
                                        struct inv_ref *context,
                                        struct inv_err *err) INV_MUST_USE;
/* Makes another of the view's spaces the gallery's. Walks every entry: about
 * .1 s a million. */
enum inv_status inv_gallery_set_space(struct inv_gallery *gallery,
                                      int64_t space,
                                      struct inv_err *err) INV_MUST_USE;
/* Drops the vectors of a space, with its segments. Not the gallery's, and not
 * while a document has no other vector: INV_CONFLICT with their number. */
enum inv_status inv_gallery_drop_space(struct inv_gallery *gallery,
                                       struct inv_db *db, int64_t space,
                                       struct inv_err *err) INV_MUST_USE;
/* The same, and the view has the space no more; its rows are the caller's
 * business (inv_db_delete_space). */
enum inv_status inv_gallery_forget_space(struct inv_gallery *gallery,
                                         struct inv_db *db, int64_t space,
                                         struct inv_err *err) INV_MUST_USE;

/* ---- the writer's part of a commit ---- */

/* Counters to the catalog, logs to the disk. */
enum inv_status inv_gallery_prepare(struct inv_gallery *gallery,
                                    struct inv_db *db,
                                    struct inv_err *err) INV_MUST_USE;
void inv_gallery_publish(struct inv_gallery *gallery); /* cannot fail */
void inv_gallery_discard(struct inv_gallery *gallery);
/* A change failed half-way: the whole transaction has to go. */
bool inv_gallery_poisoned(const struct inv_gallery *gallery);

#endif
