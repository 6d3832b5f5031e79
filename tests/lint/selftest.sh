#!/usr/bin/env bash
# selftest.sh: a lint that finds nothing may be one that looks at nothing. This
# makes a small tree with one offence of each kind and wants each to be named.
set -euo pipefail
cd "$(dirname "$0")"

tree=$(mktemp -d "${TMPDIR:-/tmp}/invar-lint.XXXXXX")
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/{base,encoders,index,server,cli,tests/lint}
cp ../../.clang-format "$tree"
cp cppcheck.txt "$tree/tests/lint"
printf 'length base/gone.c:gone 99 long ago\nentries 0\n' \
    >"$tree/tests/lint/exceptions.txt"

cat >"$tree/base/bad.c" <<'END'
#include "index/thing.h"
#include <jansson.h>
#include <mystery.h>
/* strcpy( in a comment and "strcat(" in a string are no calls */
int bad(char *out, const char *in) {
    int a[4];
    strcpy(out, in);
    puts("strcat(");
    a[4] = isdigit(*in);
END
# Not verbatim, or this file would be an offender itself.
printf '\treturn a[4]; \n}\n/* %s: later; see /%s/me/notes */\n' \
    "TO""DO" "ro""ot" >>"$tree/base/bad.c"
{
    printf '/* thing.h: needs what it does not include. */\n'
    printf '#ifndef INV_INDEX_THING_H\n#define INV_INDEX_THING_H\n'
    printf 'enum inv_status inv_thing(size_t n);\n#endif\n'
} >"$tree/index/thing.h"
{
    printf '/* long.c: long and winding. */\nint f(int n);\nint f(int n) {\n'
    for i in $(seq 80); do printf '    n += n > %d;\n' "$i"; done
    for i in $(seq 16); do printf '    if (n == %d)\n        n++;\n' "$i"; done
    printf '    return n;\n}\n'
    for i in $(seq 600); do printf '/* %d */\n' "$i"; done
} >"$tree/cli/long.c"
# What must stay silent.
{
    printf '/* good.c: silent. */\n#include <stdio.h>\n\nint good(void);\n\n'
    printf 'int good(void) { return puts("it /* says */ system()"); }\n'
} >"$tree/server/good.c"
# shellcheck disable=SC2016 # an unquoted $1 is the offence
printf '#!/bin/sh\nrm $1\n' >"$tree/bad.sh"

failed=0
export INV_LINT_ROOT=$tree
# expect SCRIPT [ARGUMENT] -- PATTERN...
expect() {
    local command=() out
    while [ "$1" != -- ]; do
        command+=("$1")
        shift
    done
    shift
    if out=$(python3 "${command[@]}" 2>&1); then
        echo "selftest: ${command[*]} found nothing"
        failed=1
    fi
    for pattern in "$@"; do
        if ! grep -Eq "$pattern" <<<"$out"; then
            echo "selftest: ${command[*]} does not say '$pattern'"
            failed=1
        fi
    done
    if grep -Eq 'good\.c|strcat' <<<"$out"; then
        echo "selftest: ${command[*]} accuses the innocent"
        failed=1
    fi
}

expect text.py -- 'bad.c:7: strcpy\(\)' 'bad.c:9: isdigit\(\)' 'bad.c:10: a tab' \
    'bad.c:10: blanks' 'bad.c:1: the file does not open' 'bad.c:12: unfinished' \
    'bad.c:12: path of a machine' 'thing.h:4: status without'
expect includes.py -- 'bad.c:1: base/ may not include index' \
    'bad.c:2: <jansson.h> belongs' 'bad.c:3: <mystery.h> is neither'
expect functions.py -- 'long.c:3: f has 1[0-9]+ lines' 'f has complexity' \
    'the file has [0-9]+ lines' 'stale: .length base/gone.c' "'entries 0'"
expect cached.py format -- 'bad.c:[0-9]+: clang-format'
expect cached.py headers -- 'thing.h:4.*size_t'
expect cached.py cppcheck -- 'bad.c:9: arrayIndexOutOfBounds'
expect cached.py shell -- 'bad.sh:2:.*SC2086'
echo "7 checks"
exit "$failed"
