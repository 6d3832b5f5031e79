/*
 * fuzz_entry.h: bytes of anybody into every parser of requests. The same call
 * serves the fuzzer (tests/fuzz/fuzz_json.c) and the replay of its corpus
 * (tests/fuzz/test_fuzz_replay.c).
 */
#ifndef INV_TESTS_FUZZ_ENTRY_H
#define INV_TESTS_FUZZ_ENTRY_H

#include <stddef.h>
#include <stdint.h>

/* Which parsers took the bytes: bits, for the test that the corpus is alive.
 */
enum {
    FUZZ_BODY = 1, /* a well-formed body, with or without vectors */
    FUZZ_SEARCH = 2,
    FUZZ_BATCH = 4,
    FUZZ_DOCUMENTS = 8,
    FUZZ_DELETE = 16,
    FUZZ_SCROLL = 32,
    FUZZ_RECALL = 64,
    FUZZ_FRAME = 128, /* a stream of at least one frame */
    FUZZ_MODEL = 256,
    FUZZ_VECTORS = 512, /* of a model, as JSON */
    FUZZ_QUERIES = 1024,
    FUZZ_ACTIVATE = 2048,
    FUZZ_MODEL_FRAMES = 4096,
    FUZZ_ALL = 8191,
};

/* Aborts when a parser breaks a promise that holds for all input; memory errors
 * are for the sanitizers to see. */
unsigned fuzz_requests(const uint8_t *data, size_t size);

#endif
