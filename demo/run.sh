#!/usr/bin/env bash
# The demonstration (make demo): from a checkout to answered questions. It
# installs and builds what is missing, starts a daemon of its own on a free port
# with a fresh directory, imports SciFact twice (a vector per token, a vector
# per document), asks, measures, upgrades a third collection to another model
# while it is asked (upgrade.sh), and stops what it started. KEEP=1 leaves the
# daemon up until Ctrl-C.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=build/${VARIANT:-release}
data=demo/scifact
qrels=$data/qrels/test.tsv.gz
questions=(641 399 1099) # three of the 300 claims that are answered well
stages=()
work=
daemon=

stop() {
    if [ -n "$daemon" ] && kill "$daemon" 2>/dev/null; then
        wait "$daemon" 2>/dev/null || true
    fi
    [ -z "$work" ] || rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM

now() { echo "${EPOCHREALTIME/[.,]/}"; }

# stage NAME COMMAND...: a heading, the command, how long it took.
stage() {
    local name=$1 from took
    shift
    printf '\n== %s\n' "$name"
    from=$(now)
    "$@"
    took=$((($(now) - from + 50000) / 100000))
    stages+=("$(printf '%-34s %4d.%d s' "$name" $((took / 10)) $((took % 10)))")
}

start_daemon() {
    local i
    work=$(mktemp -d "${TMPDIR:-/tmp}/invar-demo.XXXXXX")
    env -u INVAR_KEY "$build/invard" --data "$work/data" --models demo/models \
        --listen 127.0.0.1:0 >"$work/out" 2>"$work/log" &
    daemon=$!
    for ((i = 0; i < 100; i++)); do
        if grep -q '^listening on ' "$work/out"; then break; fi
        kill -0 "$daemon" 2>/dev/null || i=100
        sleep 0.1
    done
    INVAR_URL=$(sed -n 's/^listening on //p' "$work/out")
    if [ -z "$INVAR_URL" ]; then
        cat "$work/log" >&2
        echo "demo: the daemon did not start" >&2
        exit 1
    fi
    export INVAR_URL
    unset INVAR_KEY
    echo "invard listens on $INVAR_URL and writes to $work/data"
}

import_multi() {
    "$invar" collections create papers --kind multi --dim 96 --model static@2
    "$invar" import papers $data
}

import_single() {
    "$invar" collections create abstracts --kind single --dim 96 \
        --model static@2 --encoder matryoshka --dims 24,48,96
    "$invar" import abstracts $data
}

# Waits for what the daemon would do by itself two seconds later: learn the
# centre of the tokens and seal the segments.
seal() {
    "$invar" rebuild papers
    "$invar" rebuild abstracts
}

ask() {
    local id text
    for id in "${questions[@]}"; do
        text=$(gzip -dc $data/queries.jsonl.gz |
            jq -r --arg id "$id" 'select(._id == $id).text')
        printf '\n-- %s\n\n' "$text"
        "$invar" search papers --limit 3 --qrels $qrels --query-id "$id" "$text"
    done
}

# row LABEL JSON-KEY FILE
row() {
    jq -r --arg name "$1" --arg key "$2" \
        '[$name, .[$key]."ndcg@10", .[$key]."recall@10", .[$key].p50_ms,
          .[$key].queries_per_second] | @tsv' "$3" |
        awk -F '\t' '{ printf "%-44s %8.3f %10.3f %7.2f %10.0f\n",
                       $1, $2, $3, $4, $5 }'
}

measure() {
    local c
    for c in papers abstracts; do
        "$invar" eval $c $data --sample 30 --against-exact --json \
            >"$work/$c.json" 2>"$work/eval" || { cat "$work/eval" >&2; exit 1; }
    done
    "$invar" eval abstracts $data --sample 30 --json \
        --params '{"dims":[24,48,96],"keep":[400,100]}' \
        >"$work/funnel.json" 2>/dev/null
    printf '%-44s %8s %10s %7s %10s\n' "30 claims, one connection" \
        nDCG@10 recall@10 "p50 ms" queries/s
    row "papers: muvera+, then MaxSim of 200" result "$work/papers.json"
    row "papers: exact MaxSim of all" exact "$work/papers.json"
    row "abstracts: 24 dims, 500 rescored at 96" result "$work/abstracts.json"
    row "abstracts: funnel 24 (400) 48 (100) 96" result "$work/funnel.json"
    row "abstracts: exact, 96 dims" exact "$work/abstracts.json"
    echo "(all 300 claims and more ways to search: make bench-scifact)"
}

explore() {
    if [ "${KEEP:-}" = 1 ]; then
        cat <<EOF

The daemon is up. In another terminal, from $PWD:

  export INVAR_URL=$INVAR_URL
  $invar collections
  $invar search papers do vitamins help against colds
  $invar search abstracts "does vitamin D protect against fractures" --explain
  $invar rebuild papers --index hnsw
  $invar migration library
  $invar rollback library
  curl -s $INVAR_URL/v1/collections/papers/search \\
    -H 'Content-Type: application/json' \\
    -d '{"text":"does vitamin D protect against fractures","limit":3,"with":{"payload":["title"]}}'

Ctrl-C stops it and removes its data.
EOF
        trap 'exit 0' INT TERM
        wait "$daemon" || true
        return
    fi
    cat <<EOF

To go on exploring: \`make demo KEEP=1\` leaves the daemon up and shows commands
to try. For one of your own, that keeps its data:

  $build/invard --data ~/invar-data --models demo/models
  $invar collections create papers --kind multi --dim 96 --model static@2
  $invar import papers $data
  $invar search papers do vitamins help against colds

README.md has the same in curl, docs/getting-started.md the next steps, and
docs/upgrading.md what happened in the last act: a new model over old vectors.
EOF
}

invar=$build/invar
stage "packages" deploy/install-deps.sh
stage "FAISS (once per machine)" deploy/install-faiss.sh
stage "build" deploy/build.sh all
stage "start" start_daemon
stage "import, a vector per token" import_multi
stage "import, a vector per document" import_single
stage "learn and seal" seal
stage "three questions" ask
stage "quality and speed" measure
stage "a new model, live" demo/upgrade.sh "$invar" "$work"

printf '\n== seconds\n'
printf '%s\n' "${stages[@]}"
explore
