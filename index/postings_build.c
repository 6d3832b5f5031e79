/*
 * postings_build.c: gathers the values of a segment's entries and sorts them
 * into postings. Keywords are interned as they come (a hash table of the
 * distinct strings), so that only distinct strings are ever sorted: payloads
 * repeat a few languages or categories a million times. One thread builds.
 */
#include "index/postings.h"

#include "base/limits.h"
#include "index/postings_impl.h"
#include "index/value.h"

#include <stdlib.h>
#include <string.h>

/* One value of one entry, before sorting. */
struct pair {
    union {
        int64_t integer;
        double number;
        uint32_t term; /* keyword: its number in the order of arrival */
    } value;
    uint32_t entry;
};

struct term {
    size_t at, len; /* in the gatherer's text */
    uint64_t hash;
    uint32_t uses;
};

/* What arrives for one field. */
struct gather {
    struct pair *pairs;
    size_t pair_count, pair_cap;
    char *text;
    size_t text_len, text_cap;
    struct term *terms;
    size_t term_count, term_cap;
    uint32_t *slots; /* open addressing; term number + 1, 0: free */
    size_t slot_count;
};

struct inv_postings_builder {
    struct inv_postings *postings; /* bitsets and ids are filled in here */
    struct gather gathers[];
};

/* The array with room for `more` elements, perhaps moved; NULL: it stays. */
static void *grow(void *array, size_t size, size_t count, size_t more,
                  size_t *cap) {
    size_t want = *cap < 16 ? 16 : *cap;
    if (array != NULL && more <= *cap - count)
        return array;
    while (want - count < more) {
        if (want > SIZE_MAX / 2 / size)
            return NULL;
        want *= 2;
    }
    void *larger = realloc(array, want * size);
    if (larger != NULL)
        *cap = want;
    return larger;
}

/* calloc that is entered in the books and never returns NULL for 0. */
static void *take(struct inv_postings *postings, size_t count, size_t size) {
    void *memory = calloc(count == 0 ? 1 : count, size);
    if (memory != NULL)
        postings->bytes += count * size;
    return memory;
}

static void release_gather(struct gather *gather) {
    free(gather->pairs);
    free(gather->text);
    free(gather->terms);
    free(gather->slots);
    *gather = (struct gather){0};
}

static enum inv_status no_memory(size_t entries, struct inv_err *err) {
    return inv_fail(err, INV_MEMORY,
                    "out of memory for the payload index of %zu entries",
                    entries);
}

enum inv_status inv_postings_builder_new(const struct inv_field *schema,
                                         size_t field_count, size_t entries,
                                         struct inv_postings_builder **out,
                                         struct inv_err *err) {
    for (size_t i = 0; i < field_count; i++)
        if (schema[i].type >= INV_FIELD_ANY)
            return inv_fail(err, INV_INVALID,
                            "the field \"%.160s\" has no type to index it by",
                            schema[i].key);
    if (field_count > INV_FIELDS_MAX || entries > UINT32_MAX)
        return inv_fail(err, INV_TOO_LARGE,
                        "cannot index %zu fields of %zu entries (at most %d "
                        "and %lu)",
                        field_count, entries, INV_FIELDS_MAX,
                        (unsigned long)UINT32_MAX);
    struct inv_postings_builder *builder =
        calloc(1, sizeof *builder + field_count * sizeof(struct gather));
    if (builder == NULL)
        return no_memory(entries, err);
    size_t head = sizeof(struct inv_postings) +
                  field_count * sizeof(struct inv_posting_field);
    struct inv_postings *p = calloc(1, head);
    builder->postings = p;
    if (p == NULL)
        goto failed;
    size_t words = inv_bitset_words(entries);
    p->bytes = head;
    p->entries = entries;
    p->field_count = field_count;
    p->present = take(p, words, sizeof *p->present);
    p->ids = take(p, entries, sizeof *p->ids);
    p->id_lens = take(p, entries, sizeof *p->id_lens);
    if (p->present == NULL || p->ids == NULL || p->id_lens == NULL)
        goto failed;
    for (size_t i = 0; i < field_count; i++) {
        struct inv_posting_field *field = &p->fields[i];
        field->type = schema[i].type;
        field->exists = take(p, words, sizeof *field->exists);
        if (field->exists == NULL)
            goto failed;
        if (field->type != INV_FIELD_BOOL)
            continue;
        field->yes = take(p, words, sizeof *field->yes);
        field->no = take(p, words, sizeof *field->no);
        if (field->yes == NULL || field->no == NULL)
            goto failed;
    }
    *out = builder;
    return INV_OK;
failed:
    inv_postings_builder_free(builder);
    return no_memory(entries, err);
}

/* ---- keywords ---- */

/* FNV-1a. Payloads come from writers, not from the world: a flood of
 * collisions costs the writer's own build time only. */
static uint64_t hash_of(const char *text, size_t len) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 32;
}

/* At most half full. */
static bool rehash(struct gather *gather) {
    if (gather->term_count * 2 < gather->slot_count)
        return true;
    size_t count = gather->slot_count == 0 ? 64 : gather->slot_count * 2;
    uint32_t *slots = calloc(count, sizeof *slots);
    if (slots == NULL)
        return false;
    for (size_t t = 0; t < gather->term_count; t++) {
        size_t s = gather->terms[t].hash & (count - 1);
        while (slots[s] != 0)
            s = (s + 1) & (count - 1);
        slots[s] = (uint32_t)t + 1;
    }
    free(gather->slots);
    gather->slots = slots;
    gather->slot_count = count;
    return true;
}

static bool make_room(struct gather *gather, size_t len) {
    char *text =
        grow(gather->text, 1, gather->text_len, len, &gather->text_cap);
    if (text == NULL)
        return false;
    gather->text = text;
    struct term *terms = grow(gather->terms, sizeof *terms, gather->term_count,
                              1, &gather->term_cap);
    if (terms == NULL)
        return false;
    gather->terms = terms;
    return rehash(gather);
}

/* The number of a string, which is made when it is new. */
static bool intern(struct gather *gather, const char *text, size_t len,
                   uint32_t *number) {
    if (!make_room(gather, len))
        return false;
    uint64_t hash = hash_of(text, len);
    size_t s = hash & (gather->slot_count - 1);
    for (; gather->slots[s] != 0; s = (s + 1) & (gather->slot_count - 1)) {
        struct term *term = &gather->terms[gather->slots[s] - 1];
        if (term->hash == hash && term->len == len &&
            (len == 0 || memcmp(gather->text + term->at, text, len) == 0)) {
            *number = gather->slots[s] - 1;
            term->uses++;
            return true;
        }
    }
    if (len > 0)
        memcpy(gather->text + gather->text_len, text, len);
    gather->terms[gather->term_count] =
        (struct term){gather->text_len, len, hash, 1};
    gather->text_len += len;
    *number = (uint32_t)gather->term_count++;
    gather->slots[s] = *number + 1;
    return true;
}

/* ---- adding ---- */

static bool fits(enum inv_field_type type, const struct inv_value *value) {
    switch (type) {
    case INV_FIELD_KEYWORD:
        return value->kind == INV_VALUE_STRING;
    case INV_FIELD_INTEGER:
    case INV_FIELD_DATETIME:
        return value->kind == INV_VALUE_INT;
    case INV_FIELD_FLOAT:
        return value->kind == INV_VALUE_FLOAT;
    case INV_FIELD_BOOL:
        return value->kind == INV_VALUE_BOOL;
    case INV_FIELD_ANY:
        break;
    }
    return false;
}

static enum inv_status add_value(struct inv_postings_builder *builder,
                                 uint32_t entry,
                                 const struct inv_row_item *item,
                                 struct inv_err *err) {
    struct inv_postings *p = builder->postings;
    const struct inv_value *value = &item->value;
    if (item->field >= p->field_count)
        return inv_fail(err, INV_INTERNAL,
                        "entry %u has a value for field %u of %zu", entry,
                        item->field, p->field_count);
    struct inv_posting_field *field = &p->fields[item->field];
    struct gather *gather = &builder->gathers[item->field];
    if (!fits(field->type, value))
        return inv_fail(err, INV_INTERNAL, "field %u of entry %u is %s, got %s",
                        item->field, entry, inv_field_type_name(field->type),
                        inv_value_kind_name(value));
    if (inv_value_is_nan(value))
        return INV_OK;
    inv_bitset_add(field->exists, entry);
    if (field->type == INV_FIELD_BOOL) {
        inv_bitset_add(value->as.boolean ? field->yes : field->no, entry);
        return INV_OK;
    }
    /* so that counts and offsets fit 32 bits */
    if (gather->pair_count >= UINT32_MAX - 1)
        return inv_fail(err, INV_TOO_LARGE,
                        "field %u holds more than %zu values", item->field,
                        gather->pair_count);
    struct pair *pairs = grow(gather->pairs, sizeof *pairs, gather->pair_count,
                              1, &gather->pair_cap);
    if (pairs == NULL)
        return no_memory(p->entries, err);
    gather->pairs = pairs;
    struct pair *pair = &pairs[gather->pair_count];
    pair->entry = entry;
    if (field->type == INV_FIELD_FLOAT)
        pair->value.number = value->as.number;
    else if (field->type != INV_FIELD_KEYWORD)
        pair->value.integer = value->as.integer;
    else if (!intern(gather, value->as.string.text, value->as.string.len,
                     &pair->value.term))
        return no_memory(p->entries, err);
    gather->pair_count++;
    return INV_OK;
}

enum inv_status inv_postings_builder_add(struct inv_postings_builder *builder,
                                         uint32_t entry, const char *id,
                                         size_t id_len,
                                         const struct inv_row *row,
                                         struct inv_err *err) {
    struct inv_postings *p = builder->postings;
    if (entry >= p->entries)
        return inv_fail(err, INV_INTERNAL, "entry %u of %zu", entry,
                        p->entries);
    if (inv_bitset_has(p->present, entry))
        return inv_fail(err, INV_INTERNAL, "entry %u was added twice", entry);
    if (id_len > INV_ID_MAX)
        return inv_fail(err, INV_INTERNAL,
                        "the id of entry %u has %zu bytes, at most %d", entry,
                        id_len, INV_ID_MAX);
    for (size_t i = 0; row != NULL && i < row->count; i++) {
        enum inv_status status = add_value(builder, entry, &row->items[i], err);
        if (status != INV_OK)
            return status;
    }
    p->ids[entry] = id;
    p->id_lens[entry] = (uint16_t)id_len;
    p->id_count++;
    inv_bitset_add(p->present, entry);
    return INV_OK;
}

/* ---- sorting ---- */

static int by_entry(const struct pair *a, const struct pair *b) {
    return (a->entry > b->entry) - (a->entry < b->entry);
}

static int by_integer(const void *a, const void *b) {
    const struct pair *x = a;
    const struct pair *y = b;
    if (x->value.integer != y->value.integer)
        return x->value.integer < y->value.integer ? -1 : 1;
    return by_entry(x, y);
}

static int by_number(const void *a, const void *b) {
    const struct pair *x = a;
    const struct pair *y = b;
    if (x->value.number < y->value.number)
        return -1;
    return x->value.number > y->value.number ? 1 : by_entry(x, y);
}

static bool build_numbers(struct inv_postings *p,
                          struct inv_posting_field *field,
                          struct gather *gather) {
    bool real = field->type == INV_FIELD_FLOAT;
    size_t count = gather->pair_count;
    field->count = count;
    field->entries = take(p, count, sizeof *field->entries);
    if (real)
        field->numbers = take(p, count, sizeof *field->numbers);
    else
        field->integers = take(p, count, sizeof *field->integers);
    if (field->entries == NULL || (real && field->numbers == NULL) ||
        (!real && field->integers == NULL))
        return false;
    if (count > 0)
        qsort(gather->pairs, count, sizeof *gather->pairs,
              real ? by_number : by_integer);
    for (size_t i = 0; i < count; i++) {
        field->entries[i] = gather->pairs[i].entry;
        if (real)
            field->numbers[i] = gather->pairs[i].value.number;
        else
            field->integers[i] = gather->pairs[i].value.integer;
    }
    return true;
}

static int by_text(const void *a, const void *b, void *context) {
    const struct gather *gather = context;
    const struct term *x = &gather->terms[*(const uint32_t *)a];
    const struct term *y = &gather->terms[*(const uint32_t *)b];
    return inv_value_compare_bytes(gather->text + x->at, x->len,
                                   gather->text + y->at, y->len);
}

/* Sorts the distinct strings, then deals the entries out to their terms; the
 * order in which entries arrived is kept. `order` and `next` have a place for
 * each term. */
static void deal(struct inv_posting_field *field, struct gather *gather,
                 uint32_t *order, uint32_t *next) {
    size_t at = 0;
    uint32_t first = 0;
    for (uint32_t t = 0; t < field->terms; t++)
        order[t] = t;
    if (field->terms > 0)
        qsort_r(order, field->terms, sizeof *order, by_text, gather);
    for (size_t rank = 0; rank < field->terms; rank++) {
        const struct term *term = &gather->terms[order[rank]];
        field->term_at[rank] = at;
        field->term_first[rank] = first;
        next[order[rank]] = first;
        if (term->len > 0)
            memcpy(field->term_bytes + at, gather->text + term->at, term->len);
        at += term->len;
        first += term->uses;
    }
    field->term_at[field->terms] = at;
    field->term_first[field->terms] = first;
    for (size_t i = 0; i < gather->pair_count; i++) {
        const struct pair *pair = &gather->pairs[i];
        field->entries[next[pair->value.term]++] = pair->entry;
    }
}

static bool build_terms(struct inv_postings *p, struct inv_posting_field *field,
                        struct gather *gather) {
    size_t terms = gather->term_count;
    field->terms = terms;
    field->count = gather->pair_count;
    field->entries = take(p, field->count, sizeof *field->entries);
    field->term_at = take(p, terms + 1, sizeof *field->term_at);
    field->term_first = take(p, terms + 1, sizeof *field->term_first);
    field->term_bytes = take(p, gather->text_len, 1);
    uint32_t *order = malloc((terms + 1) * sizeof *order);
    uint32_t *next = malloc((terms + 1) * sizeof *next);
    bool enough = field->entries != NULL && field->term_at != NULL &&
                  field->term_first != NULL && field->term_bytes != NULL &&
                  order != NULL && next != NULL;
    if (enough)
        deal(field, gather, order, next);
    free(order);
    free(next);
    return enough;
}

static int by_id(const void *a, const void *b, void *context) {
    const struct inv_postings *p = context;
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    int order = inv_value_compare_bytes(p->ids[x], p->id_lens[x], p->ids[y],
                                        p->id_lens[y]);
    return order != 0 ? order : (x > y) - (x < y);
}

static bool build_ids(struct inv_postings *p) {
    size_t n = 0;
    p->by_id = take(p, p->id_count, sizeof *p->by_id);
    if (p->by_id == NULL)
        return false;
    for (size_t i = inv_bitset_next(p->present, p->entries, 0); i < p->entries;
         i = inv_bitset_next(p->present, p->entries, i + 1))
        p->by_id[n++] = (uint32_t)i;
    if (n > 0)
        qsort_r(p->by_id, n, sizeof *p->by_id, by_id, p);
    return true;
}

enum inv_status inv_postings_build(struct inv_postings_builder *builder,
                                   struct inv_postings **out,
                                   struct inv_err *err) {
    struct inv_postings *p = builder->postings;
    size_t entries = p->entries;
    bool done = build_ids(p);
    for (size_t i = 0; done && i < p->field_count; i++) {
        struct inv_posting_field *field = &p->fields[i];
        struct gather *gather = &builder->gathers[i];
        if (field->type == INV_FIELD_KEYWORD)
            done = build_terms(p, field, gather);
        else if (field->type != INV_FIELD_BOOL)
            done = build_numbers(p, field, gather);
        release_gather(gather); /* the peak is one field, not all, twice */
    }
    if (done) {
        *out = p;
        builder->postings = NULL;
    }
    inv_postings_builder_free(builder);
    return done ? INV_OK : no_memory(entries, err);
}

void inv_postings_builder_free(struct inv_postings_builder *builder) {
    if (builder == NULL)
        return;
    if (builder->postings != NULL)
        for (size_t i = 0; i < builder->postings->field_count; i++)
            release_gather(&builder->gathers[i]);
    inv_postings_free(builder->postings);
    free(builder);
}

void inv_postings_free(struct inv_postings *postings) {
    if (postings == NULL)
        return;
    for (size_t i = 0; i < postings->field_count; i++) {
        struct inv_posting_field *field = &postings->fields[i];
        free(field->exists);
        free(field->entries);
        free(field->integers);
        free(field->numbers);
        free(field->term_at);
        free(field->term_first);
        free(field->term_bytes);
        free(field->yes);
        free(field->no);
    }
    free(postings->present);
    free(postings->ids);
    free(postings->id_lens);
    free(postings->by_id);
    free(postings);
}
