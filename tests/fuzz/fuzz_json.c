/*
 * fuzz_json.c: the parsers of requests as a libFuzzer target. Not part of
 * `make test`; with clang, from the repository root:
 *
 *   make build/release/base/kernels{,_scalar,_avx2,_avx512}.o
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -I. -D_GNU_SOURCE \
 *     tests/fuzz/fuzz_json.c tests/support/fuzz_entry.c server/json/[jr]*.c \
 *     index/{filter,filter_bind,value,time_parse}.c \
 *     base/{arena,base64,buf,status,utf8,vector}.c \
 *     build/release/base/kernels*.o -ljansson -lm -o fuzz_json
 *   ./fuzz_json -max_len=4096 tests/fuzz/corpus
 *
 * What it finds goes, made small, into tests/fuzz/corpus, which
 * test_fuzz_replay.c replays in every run of the tests.
 */
#include "tests/support/fuzz_entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    (void)fuzz_requests(data, size);
    return 0;
}
