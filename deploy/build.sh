#!/usr/bin/env bash
# build.sh [MAKE TARGETS]: make on all cores, with a progress bar instead of a
# line per file: the bar on a terminal, else a line every quarter. Whatever
# else make and the compilers say (warnings, errors) is shown as it comes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ $# -gt 0 ] || set -- all

total=$(make -n "$@" | grep -c 'echo "  \(compile\|link\) ' || true)
if [ "$total" -eq 0 ]; then
    make --no-print-directory "$@" >/dev/null
    echo "build: everything is up to date"
    exit 0
fi

bar='########################################'
start=$SECONDS
show() {
    local done=0 shown=0 line
    while IFS= read -r line; do
        if [[ $line == "make: Nothing to be done"* ]]; then
            continue
        elif [[ $line != "  compile "* && $line != "  link "* ]]; then
            printf '%s%s\n' "${clear:-}" "$line"
            continue
        fi
        done=$((done < total ? done + 1 : total))
        if [ -t 1 ]; then
            printf '\rbuild: [%-40s] %d of %d' \
                "${bar:0:done*40/total}" "$done" "$total"
        elif [ $((done * 4 / total)) -gt $shown ]; then
            shown=$((done * 4 / total))
            printf 'build: %d of %d\n' "$done" "$total"
        fi
    done
    [ ! -t 1 ] || printf '\n'
}
if [ -t 1 ]; then clear=$'\r\033[K'; fi
if ! make --no-print-directory -j "$(nproc)" "$@" 2>&1 | show; then
    echo "build: failed" >&2
    exit 1
fi
echo "build: $total files ($((SECONDS - start)) s)"
