#!/usr/bin/env bash
# The demonstration's second act (run.sh calls it, with a daemon at INVAR_URL):
# a collection in the small model static@1 is upgraded to static@2 without a
# pause. Queries go on from the first swap to the last; those that fail are
# counted. Half of the claims are there to fit and judge adapters; the other half
# is asked at each stage: quality on queries that a fit has seen would flatter it.
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

# Every other claim to each folder: fit/ and ask/.
split_claims() {
    local part
    for part in fit ask; do
        mkdir -p "$work/$part/qrels"
        ln -sf "$PWD/$data/corpus.jsonl.gz" "$work/$part/corpus.jsonl.gz"
        ln -sf "$PWD/$data/qrels/test.tsv.gz" "$work/$part/qrels/test.tsv.gz"
    done
    gzip -dc $data/queries.jsonl.gz |
        awk -v fit="$work/fit/queries.jsonl" -v ask="$work/ask/queries.jsonl" \
            '{ print > (NR % 2 ? fit : ask) }'
}

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
    "$invar" eval "$collection" "$work/ask" --json "$@" \
        >"$work/eval.json" 2>"$work/eval.log" ||
        { cat "$work/eval.log" >&2; exit 1; }
    rows+=("$(jq -r --arg name "$label" \
        '[$name, .result."ndcg@10", .result."recall@10", .result.p50_ms] | @tsv' \
        "$work/eval.json")")
}

# coverage SHARE: the documents that are wanted most get their new vectors.
coverage() {
    quiet backfill "$invar" backfill library --beir $data --model static@2 \
        --fraction "$1"
}

split_claims
echo "-- a collection in static@1, a vector per document"
"$invar" collections create library --kind single --dim 96 --model static@1
"$invar" import library $data
measure "old model" library --model static@1

# upgrade OPTION...: the guided command, in steps to measure between them.
upgrade() {
    "$invar" upgrade library --model static@2 --text-from "$work/fit" --pairs 500 \
        --methods procrustes,path:0.1,ridge,contrastive:0.02 --steps 60 \
        --yes "$@"
}

printf '\n-- 500 documents embedded again, adapters fitted and judged\n'
upgrade --stop-after fit

printf '\n-- live, with queries going on: bridge, cascade, cutover, rollback\n'
echo "(--force goes below what the gate permits, to show what it saves you from)"
"$invar" bench library $data --seconds 600 --json \
    >"$work/load.json" 2>"$work/load.log" &
load=$!
quiet bridge upgrade --mode bridge --force --stop-after activate
measure "bridge: new queries, old vectors" library --model static@2
quiet cascade upgrade --mode cascade --force --stop-after activate
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

printf '\n%-40s %8s %10s %7s\n' \
    "150 claims that no fit has seen" nDCG@10 recall@10 "p50 ms"
printf '%s\n' "${rows[@]}" |
    awk -F '\t' '{ printf "%-40s %8.3f %10.3f %7.2f\n", $1, $2, $3, $4 }'
jq -r '"queries meanwhile: \(.requests + .errors), failed: \(.errors)"' \
    "$work/load.json"
[ "$(jq .errors "$work/load.json")" = 0 ] || { cat "$work/load.log" >&2; exit 1; }
