#!/usr/bin/env bash
# run.sh: every test, fast answers first: unit, contract, recall, http,
# recovery, fuzz replay, a short crash run, style. Installs and builds what is
# missing. One line per program; the output of those that fail; last the sum of
# Check's own totals: "N passed, N failed".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    cat <<'EOF'
usage: tests/run.sh [--programs] [PATTERN...]

  --programs   only the Check programs: no crash run, no lint
  PATTERN      only programs whose path holds it, e.g. index/ or http
  VARIANT      release (default), debug, asan, tsan
  JOBS         programs at a time (2)
EOF
}

variant=${VARIANT:-release}
# Check gives a test four seconds; sanitizers and a busy machine need more.
case $variant in
release | debug) slower=5 ;;
asan) slower=20 ;;
tsan) slower=40 ;;
*) echo "tests: VARIANT is release, debug, asan or tsan" >&2 && exit 2 ;;
esac

# ---- one program, called by xargs below ---------------------------------

# Adds a line "passed failed" to $INV_TEST_RUN/totals.
one() {
    local program=$1 name=$1 code=0 start passed failed lines seconds
    name=${name#"build/$variant/"}
    local out=$INV_TEST_RUN/${name//\//_}.out
    start=${EPOCHREALTIME/[.,]/}
    timeout -k 10 $((120 * slower)) "$program" >"$out" 2>&1 </dev/null || code=$?
    seconds=$(((${EPOCHREALTIME/[.,]/} - start) / 100000))
    lines=$(sed -n 's/^[0-9]*%: Checks: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\)$/\1 \2 \3/p;
        s/^\([0-9]*\) passed, \([0-9]*\) failed$/\1+\2 \2 0/p' "$out")
    passed=0 failed=0
    while read -r checks failures errors; do
        [ -n "$checks" ] || continue
        failed=$((failed + failures + errors))
        passed=$((passed + checks - failures - errors))
    done <<<"$lines"
    # A program that died, or that says nothing, is a failure of its own.
    if [ "$failed" -eq 0 ] && { [ "$code" -ne 0 ] || [ -z "$lines" ]; }; then
        failed=1
        [ "$code" -ne 124 ] || echo "stopped after $((120 * slower)) s" >>"$out"
        echo "exit code $code" >>"$out"
    fi
    {
        flock 9
        echo "$passed $failed" >>"$INV_TEST_RUN/totals"
        printf '%-7s %3d.%d s  %-48s %4d passed' \
            "$([ $failed -eq 0 ] && echo ok || echo FAILED)" \
            $((seconds / 10)) $((seconds % 10)) "$name" "$passed"
        [ $failed -eq 0 ] || printf ', %d failed' "$failed"
        printf '\n'
        [ $failed -eq 0 ] || sed 's/^/    /' "$out" | tail -n 200
    } 9>>"$INV_TEST_RUN/lock"
}
if [ "${1:-}" = --one ]; then
    one "$2"
    exit 0
fi

# ---- what to run ---------------------------------------------------------

programs_only=false
patterns=()
for argument in "$@"; do
    case $argument in
    --programs) programs_only=true ;;
    --help | -h) usage && exit 0 ;;
    -*) usage >&2 && exit 2 ;;
    *) patterns+=("$argument") ;;
    esac
done
[ ${#patterns[@]} -eq 0 ] || programs_only=true
export VARIANT=$variant

deploy/install-deps.sh
deploy/install-faiss.sh

wanted() {
    local pattern
    [ ${#patterns[@]} -gt 0 ] || return 0
    for pattern in "${patterns[@]}"; do
        [[ $1 != *"$pattern"* ]] || return 0
    done
    return 1
}
programs=()
all=$(make -s tests-list)
for folder in unit/base unit/encoders unit/index unit/server unit/cli unit \
    contract recall http recovery fuzz ''; do
    while read -r program; do
        [[ $program == */tests/$folder* ]] || continue
        [[ " ${programs[*]-} " != *" $program "* ]] || continue
        if wanted "$program"; then programs+=("$program"); fi
    done <<<"$all"
done
if [ ${#programs[@]} -eq 0 ]; then
    echo "tests: no program's path holds: ${patterns[*]}" >&2
    exit 2
fi
deploy/build.sh all "${programs[@]}"

# ---- running -------------------------------------------------------------

INV_TEST_RUN=$(mktemp -d "${TMPDIR:-/tmp}/invar-tests.XXXXXX")
trap 'rm -rf "$INV_TEST_RUN"' EXIT
trap 'exit 130' INT TERM
mkdir "$INV_TEST_RUN/tmp"
: >"$INV_TEST_RUN/totals"
export INV_TEST_RUN TMPDIR=$INV_TEST_RUN/tmp
export CK_TIMEOUT_MULTIPLIER=$slower CK_VERBOSITY=normal
export OPENBLAS_NUM_THREADS=1
case $variant in
asan)
    # Not detect_stack_use_after_return: GCC 12 gives those frames 32 bytes of
    # alignment where AVX-512 needs 64, and every such kernel crashes.
    export ASAN_OPTIONS=detect_leaks=1
    export UBSAN_OPTIONS=print_stacktrace=1
    ;;
tsan) export TSAN_OPTIONS=suppressions=$PWD/tests/tsan.supp:second_deadlock_stack=1 ;;
esac

printf '%s\n' "${programs[@]}" |
    xargs -P "${JOBS:-2}" -I '{}' "${BASH_SOURCE[0]}" --one '{}'

if ! $programs_only; then
    if [ -x tests/crash/run.sh ]; then
        ROUNDS=3 "${BASH_SOURCE[0]}" --one tests/crash/run.sh
    fi
    # Each check of the lint counts as one.
    start=$SECONDS
    tests/lint/run.sh 2>&1 | tee "$INV_TEST_RUN/lint" || true
    passed=$(grep -c '^ok ' "$INV_TEST_RUN/lint" || true)
    failed=$(grep -c '^FAILED ' "$INV_TEST_RUN/lint" || true)
    grep -q '^lint: ' "$INV_TEST_RUN/lint" || failed=$((failed + 1))
    echo "$passed $failed" >>"$INV_TEST_RUN/totals"
    echo "lint took $((SECONDS - start)) s"
fi

awk '{ passed += $1; failed += $2 }
    END {
        printf "%d passed, %d failed\n", passed, failed
        exit failed > 0 || passed == 0
    }' "$INV_TEST_RUN/totals"
