#!/usr/bin/env bash
# run.sh: style as a program. One line per check, what it found below, exit
# code 1 when anything was found. `--fast` leaves out clang-tidy and cppcheck.
# Answers are remembered in build/lint/ by content, so a second run is quick.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2

fast=false
case "${1:-}" in
'') ;;
--fast) fast=true ;;
*)
    echo "usage: tests/lint/run.sh [--fast]"
    [ "$1" = --help ] && exit 0
    exit 2
    ;;
esac

failed=0
here=tests/lint

# check NAME WHAT COMMAND...: the command prints its findings, then one line
# that says how much it looked at.
check() {
    local name=$1 what=$2 out code=0 verdict=ok
    shift 2
    local start=$SECONDS
    out=$("$@" 2>&1) || code=$?
    if [ "$code" -ne 0 ]; then
        verdict=FAILED
        failed=$((failed + 1))
    fi
    printf '%-7s %-10s %s: %s (%d s)\n' "$verdict" "$name" "$what" \
        "${out##*$'\n'}" $((SECONDS - start))
    if [ "$code" -ne 0 ] && [[ $out == *$'\n'* ]]; then
        printf '%s\n' "${out%$'\n'*}" | sed 's/^/    /'
    fi
}

scripts_compile() {
    local files
    mapfile -t files < <(python3 $here/sources.py list '*.py')
    PYTHONPYCACHEPREFIX=build/lint/pycache python3 -m py_compile "${files[@]}"
    local code=$?
    echo "${#files[@]} files"
    return $code
}

export PYTHONDONTWRITEBYTECODE=1
mkdir -p build/lint
check text "calls, marks, columns, prototypes" python3 $here/text.py
check includes "layers and libraries" python3 $here/includes.py
check functions "80 lines, complexity 15" python3 $here/functions.py
check format "clang-format" python3 $here/cached.py format
check headers "each compiles alone, twice" python3 $here/cached.py headers
check shell "shellcheck" python3 $here/cached.py shell
check python "compiles" scripts_compile
if ! $fast; then
    check selftest "the lint finds planted offences" $here/selftest.sh
    check cppcheck "cppcheck" python3 $here/cached.py cppcheck
    check tidy "clang-tidy" python3 $here/cached.py tidy
fi

if [ "$failed" -ne 0 ]; then
    echo "lint: $failed of the checks failed"
    exit 1
fi
echo "lint: clean"
