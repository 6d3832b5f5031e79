#!/usr/bin/env bash
# The demonstration's second act (run.sh calls it, with a daemon at INVAR_URL):
# a collection in the small model static@1 is upgraded to static@2 without a
# pause. Queries go on from the first swap to the last; those that fail are
# counted. The same claims are asked at each stage.
#
# usage: demo/upgrade.sh INVAR WORK, the command line program and a folder for
# what is measured
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

invar=$1
work=$2
data=demo/scifact
load=
rows=()

stop_load() {
    if [ -n "$load" ] && kill -TERM "$load" 2>/dev/null; then
        wait "$load" || true
    fi
    load=
}
trap stop_load EXIT
trap 'exit 130' INT TERM

# quiet NAME COMMAND...: what it prints is shown when it fails.
quiet() {
    local name=$1
    shift
    "$@" >"$work/$name" 2>&1 || { cat "$work/$name" >&2; exit 1; }
}

# measure LABEL COLLECTION OPTION...: a row of the table.
measure() {
    local label=$1 collection=$2
    shift 2
    "$invar" eval "$collection" $data --json "$@" \
        >"$work/eval.json" 2>"$work/eval.log" ||
        { cat "$work/eval.log" >&2; exit 1; }
    rows+=("$(jq -r --arg label "$label" \
        '[$label, .result."ndcg@10", .result."recall@10", .result.p50_ms] | @tsv' \
        "$work/eval.json")")
}

# coverage SHARE: the documents that are wanted most get their new vectors.
coverage() {
    quiet backfill "$invar" backfill library --beir $data --model static@2 \
        --fraction "$1"
}

echo "-- a collection in static@1, a vector per document"
"$invar" collections create library --kind single --dim 96 --model static@1
"$invar" import library $data
measure "old model" library --model static@1

printf '\n-- 500 documents embedded again, adapters fitted and judged\n'
"$invar" upgrade library --model static@2 --text-from $data --pairs 500 \
    --methods procrustes,path:0.1,ridge,contrastive:0.02 --steps 100 \
    --stop-after fit

printf '\n-- live, with queries going on: bridge, cascade, cutover, rollback\n'
"$invar" bench library $data --seconds 600 --json \
    >"$work/load.json" 2>"$work/load.log" &
load=$!
quiet bridge "$invar" activate library static@2 --mode bridge --force
measure "bridge: new queries, old vectors" library --model static@2
quiet cascade "$invar" activate library static@2 --mode cascade --force
coverage .1
measure "cascade, 10 % have new vectors" library --model static@2
coverage .5
measure "cascade, 50 %" library --model static@2
coverage 1
measure "cascade, 100 %" library --model static@2
quiet cutover "$invar" activate library static@2 --mode cutover
measure "after cutover" library --model static@2
quiet rollback "$invar" rollback library
quiet again "$invar" activate library static@2 --mode cutover
stop_load
measure "a new index of the new model" abstracts --exact

printf '\n%-40s %8s %10s %7s\n' "300 claims" nDCG@10 recall@10 "p50 ms"
printf '%s\n' "${rows[@]}" |
    awk -F '\t' '{ printf "%-40s %8.3f %10.3f %7.2f\n", $1, $2, $3, $4 }'
jq -r '"queries meanwhile: \(.requests + .errors), failed: \(.errors)"' \
    "$work/load.json"
[ "$(jq .errors "$work/load.json")" = 0 ] || { cat "$work/load.log" >&2; exit 1; }
