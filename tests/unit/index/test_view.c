/*
 * test_view.c: what views are made of: entries and their ids, bitsets copied
 * before they are written to, overlays in order, parts of a view found by the
 * number of a vector.
 */
#include "index/view.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void shared_release(void *self) {
    free(((struct inv_shared_row *)self)->row);
    free(self);
}

static struct inv_shared_row *shared_row(int64_t value) {
    struct inv_shared_row *shared = calloc(1, sizeof *shared);
    struct inv_row_item item = {.field = 0, .value = {.kind = INV_VALUE_INT}};
    ck_assert_ptr_nonnull(shared);
    item.value.as.integer = value;
    inv_ref_init(&shared->ref, shared_release);
    shared->row = inv_row_new(&item, 1);
    ck_assert_ptr_nonnull(shared->row);
    return shared;
}

static struct inv_row *row_of(int64_t value) {
    struct inv_row_item item = {.field = 0, .value = {.kind = INV_VALUE_INT}};
    item.value.as.integer = value;
    return inv_row_new(&item, 1);
}

/* A view with `parts` parts of `each` entries whose vseqs are 10, 20, ... */
static struct inv_view *make_view(size_t parts, size_t each) {
    static const struct inv_field field = {"n", INV_FIELD_INTEGER};
    struct inv_schema *schema = inv_schema_new(&field, 1);
    struct inv_view empty = {.schema = schema};
    struct inv_view *view = inv_view_copy(&empty, parts);
    inv_ref_put(schema);
    ck_assert_ptr_nonnull(view);
    for (size_t p = 0; p < parts; p++) {
        struct inv_part *part = &view->parts[view->count++];
        part->entries = inv_entries_new(each, true, NULL);
        part->live = inv_live_new(each);
        part->count = each;
        for (size_t e = 0; e < each; e++) {
            char id[16];
            size_t number = p * each + e;
            size_t len = (size_t)snprintf(id, sizeof id, "id%zu", number);
            part->entries->items[e] = (struct inv_entry){
                .vseq = 10 * (number + 1),
                .doc = (int64_t)number,
                .id = inv_entries_keep_id(part->entries, id, len),
                .id_len = (uint32_t)len};
            part->entries->rows[e] = row_of((int64_t)number % 5);
            inv_bitset_add(part->live->set, e);
            part->live->count++;
        }
    }
    return view;
}

START_TEST(a_vector_is_found_by_its_number_and_no_other_is) {
    struct inv_view *view = make_view(3, 70);
    for (uint64_t vseq = 0; vseq < 2200; vseq++) {
        size_t part = 99;
        size_t entry = 99;
        bool there = vseq % 10 == 0 && vseq >= 10 && vseq <= 2100;
        ck_assert_int_eq(inv_view_find(view, vseq, &part, &entry), there);
        if (there)
            ck_assert_uint_eq(part * 70 + entry, vseq / 10 - 1);
    }
    inv_ref_put(view);
}
END_TEST

START_TEST(ids_stay_where_they_are_however_many_come) {
    struct inv_entries *entries = inv_entries_new(20000, false, NULL);
    const char *first = inv_entries_keep_id(entries, "first", 5);
    char long_id[512];
    memset(long_id, 'x', sizeof long_id);
    const char *last = NULL;
    for (int i = 0; i < 20000; i++)
        last = inv_entries_keep_id(entries, long_id, sizeof long_id);
    ck_assert_mem_eq(first, "first", 5);
    ck_assert_mem_eq(last, long_id, sizeof long_id);
    inv_ref_put(entries);
}
END_TEST

START_TEST(shared_ids_outlive_the_table_that_took_them) {
    struct inv_entries *first = inv_entries_new(1, false, NULL);
    const char *id = inv_entries_keep_id(first, "shared", 6);
    struct inv_entries *second = inv_entries_new(1, false, first->ids);
    inv_ref_put(first);
    ck_assert_mem_eq(id, "shared", 6);
    inv_ref_put(second);
}
END_TEST

START_TEST(a_copied_bitset_is_another) {
    struct inv_live *live = inv_live_new(200);
    inv_bitset_add(live->set, 199);
    live->count = 1;
    struct inv_live *copy = inv_live_copy(live);
    ck_assert(inv_bitset_has(copy->set, 199));
    inv_bitset_remove(copy->set, 199);
    ck_assert(inv_bitset_has(live->set, 199));
    ck_assert_uint_eq(copy->count, 1);
    inv_ref_put(live);
    inv_ref_put(copy);
}
END_TEST

START_TEST(an_overlay_is_in_order_and_the_newest_counts) {
    static const uint32_t order[] = {5, 1, 9, 5, 0, 7, 9};
    struct inv_overlay *overlay = NULL;
    for (size_t i = 0; i < 7; i++) {
        struct inv_shared_row *row = shared_row((int64_t)i);
        struct inv_overlay *next =
            inv_overlay_with(overlay, order[i], i + 1, row);
        inv_ref_put(row);
        inv_ref_put(overlay);
        overlay = next;
    }
    static const uint32_t entries[] = {0, 1, 5, 7, 9};
    static const int64_t values[] = {4, 1, 3, 5, 6};
    ck_assert_uint_eq(overlay->count, 5);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(overlay->items[i].entry, entries[i]);
        ck_assert_uint_eq(overlay->items[i].version, (uint64_t)values[i] + 1);
        ck_assert_int_eq(overlay->items[i].row->row->items[0].value.as.integer,
                         values[i]);
    }
    inv_ref_put(overlay);
}
END_TEST

static size_t select_n(const struct inv_view *view, size_t part, int64_t n,
                       uint64_t *out) {
    struct inv_value value = {.kind = INV_VALUE_INT, .as.integer = n};
    struct inv_condition must = {
        .kind = INV_COND_MATCH, .key = "n", .values = &value, .value_count = 1};
    struct inv_field unindexed[1];
    struct inv_filter filter = {
        .must = &must, .must_count = 1, .unindexed = unindexed};
    size_t scanned = 0;
    ck_assert_int_eq(inv_filter_bind(&filter, view->schema->fields,
                                     view->schema->count, NULL),
                     INV_OK);
    inv_part_select(&view->parts[part], &filter, out, &scanned);
    return inv_bitset_count(out, view->parts[part].count);
}

static struct inv_postings *postings_of(const struct inv_view *view,
                                        const struct inv_part *part) {
    struct inv_postings_builder *builder;
    struct inv_postings *postings;
    ck_assert_int_eq(inv_postings_builder_new(view->schema->fields, 1,
                                              part->count, &builder, NULL),
                     INV_OK);
    for (size_t e = 0; e < part->count; e++)
        ck_assert_int_eq(inv_postings_builder_add(
                             builder, (uint32_t)e, part->entries->items[e].id,
                             part->entries->items[e].id_len,
                             part->entries->rows[e], NULL),
                         INV_OK);
    ck_assert_int_eq(inv_postings_build(builder, &postings, NULL), INV_OK);
    return postings;
}

/* The same with and without postings: fresh and sealed must agree. */
START_TEST(a_filter_sees_the_living_and_their_newest_payload) {
    struct inv_view *view = make_view(1, 130);
    struct inv_part *part = &view->parts[0];
    uint64_t out[3];
    uint64_t other[3];
    struct inv_shared_row *patch = shared_row(3);
    struct inv_shared_row *none = calloc(1, sizeof *none);
    inv_ref_init(&none->ref, shared_release);
    ck_assert_uint_eq(select_n(view, 0, 3, out), 26);
    inv_bitset_remove(part->live->set, 3); /* n is 3: dies */
    part->live->count--;
    struct inv_overlay *overlay = inv_overlay_with(NULL, 4, 100, patch);
    part->overlay = inv_overlay_with(overlay, 8, 101, none); /* n was 3 */
    inv_ref_put(overlay);
    ck_assert_uint_eq(select_n(view, 0, 3, out), 25);
    ck_assert(!inv_bitset_has(out, 3));
    ck_assert(inv_bitset_has(out, 4));
    ck_assert(!inv_bitset_has(out, 8));
    ck_assert(inv_bitset_has(out, 128));
    part->postings = inv_shared_postings_new(postings_of(view, part));
    ck_assert_uint_eq(select_n(view, 0, 3, other), 25);
    ck_assert_mem_eq(out, other, sizeof out);
    inv_ref_put(patch);
    inv_ref_put(none);
    inv_ref_put(view);
}
END_TEST

START_TEST(a_copy_shares_and_outlives) {
    struct inv_view *view = make_view(2, 10);
    struct inv_view *copy = inv_view_copy(view, 3);
    ck_assert_ptr_eq(copy->parts[1].entries, view->parts[1].entries);
    ck_assert_ptr_eq(copy->parts[1].live, view->parts[1].live);
    ck_assert_ptr_ne(copy->filters, view->filters);
    ck_assert(!copy->parts[1].live_owned);
    inv_ref_put(view);
    ck_assert_uint_eq(inv_view_live(copy), 20);
    ck_assert_mem_eq(copy->parts[1].entries->items[9].id, "id19", 4);
    inv_ref_put(copy);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("view");
    TCase *tc = tcase_create("view");
    tcase_add_test(tc, a_vector_is_found_by_its_number_and_no_other_is);
    tcase_add_test(tc, ids_stay_where_they_are_however_many_come);
    tcase_add_test(tc, shared_ids_outlive_the_table_that_took_them);
    tcase_add_test(tc, a_copied_bitset_is_another);
    tcase_add_test(tc, an_overlay_is_in_order_and_the_newest_counts);
    tcase_add_test(tc, a_filter_sees_the_living_and_their_newest_payload);
    tcase_add_test(tc, a_copy_shares_and_outlives);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
