#!/usr/bin/env bash
# bad_input_table.sh: what a client can get wrong and the answer it gets, as a
# table. Starts a daemon on a free port and a fresh directory, asks it with
# curl, stops it. Exit code 1 when an answer has another status than expected
# here or something has changed. The same cases are tested by
# tests/http/test_api*.c.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

daemon=${INVARD:-build/${VARIANT:-release}/invard}
case ${1:-} in
'') ;;
*)
    echo "usage: tests/http/bad_input_table.sh   (INVARD=path of the daemon)"
    [ "$1" = --help ] && exit 0
    exit 2
    ;;
esac
[ -x "$daemon" ] || { echo "$daemon is not there: make" >&2 && exit 2; }

work=$(mktemp -d "${TMPDIR:-/tmp}/invar-table.XXXXXX")
pid=
stop() {
    if [ -n "$pid" ]; then
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM
mkfifo "$work/out"
cat >"$work/conf" <<'CONF'
max_body = 100000
CONF
"$daemon" --data "$work/data" --listen 127.0.0.1:0 --config "$work/conf" \
    >"$work/out" 2>"$work/log" &
pid=$!
read -r line <"$work/out" || { cat "$work/log" >&2 && exit 1; }
base=${line#listening on }/v1
one=$base/collections/one
many=$base/collections/many
two=$base/collections/two

ask() { # METHOD URL [curl's arguments]: body to $work/body, status to stdout
    local method=$1 url=$2
    shift 2
    curl -sS -o "$work/body" -w '%{http_code}' -X "$method" "$@" "$url"
}
json() {
    ask "$1" "$2" -H 'Content-Type: application/json' --data-binary "$3"
}
good() { # WHAT STATUS
    case $2 in
    2*) ;;
    *) echo "$1: $2 $(cat "$work/body")" >&2 && exit 1 ;;
    esac
}
state() {
    local c
    for c in "$one" "$many" "$two"; do
        ask POST "$c/documents/count" >/dev/null
        cat "$work/body"
        json POST "$c/documents/scroll" \
            '{"limit":100,"with":{"payload":true,"vectors":true}}' >/dev/null
        cat "$work/body"
    done
    ask GET "$two/models" >/dev/null
    cat "$work/body"
    ask GET "$two/migration" >/dev/null
    cat "$work/body"
}

good one "$(json PUT "$one" '{"kind":"single","dim":4,
    "model":{"name":"mini","revision":"1"},
    "encoder":{"type":"matryoshka","dims":[2,4]},
    "payload_index":{"lang":"keyword","year":"integer"}}')"
good many "$(json PUT "$many" '{"kind":"multi","dim":4,
    "encoder":{"type":"muvera","R":4,"k":2,"m":4}}')"
good documents "$(json PUT "$one/documents" '{"documents":[
    {"id":"a","vector":[1,0,0,0],"payload":{"year":1999}},
    {"id":"b","vector":[0,1,0,0],"payload":{"lang":"en"}}]}')"
good tokens "$(json PUT "$many/documents" '{"documents":[
    {"id":"a","vectors":[[1,0,0,0],[0,1,0,0]]}]}')"
good alias "$(json PUT "$base/aliases/live" '{"collection":"one"}')"
good two "$(json PUT "$two" '{"kind":"single","dim":2,
    "model":{"name":"mini","revision":"1"}}')"
good documents "$(json PUT "$two/documents" '{"documents":[
    {"id":"a","vector":[1,0]},{"id":"b","vector":[0,1]}]}')"
good model "$(json PUT "$two/models/mini@2" '{"dim":3}')"
good vectors "$(json POST "$two/models/mini@2/vectors" '{"vectors":[
    {"id":"a","vector":[1,0,0]}]}')"
before=$(state)
failed=0

row() { # WHAT EXPECTED GOT
    local code detail mark=
    code=$(sed -n 's/.*"code":"\([^"]*\)".*/\1/p' "$work/body")
    detail=$(sed -n 's/.*"detail":"\(\([^"\\]\|\\.\)*\)","request_id.*/\1/p' \
        "$work/body" | sed 's/\\"/"/g; s/|/\\|/g')
    if [ "$3" != "$2" ]; then
        mark=" (expected $2)"
        failed=1
    fi
    if [ "$(state)" != "$before" ]; then
        mark="$mark (something changed)"
        failed=1
    fi
    # shellcheck disable=SC2016 # backquotes are Markdown's
    printf '| %s | %s%s | `%s` | %s |\n' "$1" "$3" "$mark" "$code" "$detail"
}
document() { # WHAT STATUS DOCUMENT
    row "$1" "$2" "$(json PUT "$one/documents" \
        "{\"documents\":[{\"id\":\"a\",\"vector\":[0,0,0,1]},$3]}")"
}
tokens() { # WHAT STATUS TOKENS
    row "$1" "$2" "$(json PUT "$many/documents" \
        "{\"documents\":[{\"id\":\"n\",\"vectors\":$3}]}")"
}
search() { # WHAT STATUS REST
    row "$1" "$2" "$(json POST "$one/search" "{\"vector\":[1,0,0,0],$3}")"
}

echo '| bad input | status | code | detail |'
echo '|---|---|---|---|'
row 'malformed JSON' 400 "$(json PUT "$one/documents" \
    '{"documents":[{"id":"n","vector":[1,0,0,0]},}]}')"
row 'truncated JSON' 400 "$(json PUT "$one/documents" \
    '{"documents":[{"id":"n","vector":[1,0')"
printf '{"documents":[{"id":"caf\xe9","vector":[1,0,0,0]}]}' >"$work/latin"
row 'invalid UTF-8' 400 "$(json PUT "$one/documents" "@$work/latin")"
document 'wrong dimension' 400 '{"id":"n","vector":[1,0,0]}'
tokens 'ragged matrix' 400 '[[1,0,0,0],[1,0,0]]'
document 'NaN' 400 '{"id":"n","vector":[1,NaN,0,0]}'
document 'NaN in base64' 400 \
    '{"id":"n","vector":{"b64":"AACAPwAAwH8AAAAAAAAAAA==","shape":[4]}}'
document 'Infinity' 400 '{"id":"n","vector":[1,Infinity,0,0]}'
document '1e30' 400 '{"id":"n","vector":[1,0,1e30,0]}'
document '1e39' 400 '{"id":"n","vector":[1,0,1e39,0]}'
document 'zero vector, cosine' 400 '{"id":"n","vector":[0,0,0,0]}'
tokens 'no tokens' 400 '[]'
tokens 'only zero tokens' 400 '[[0,0,0,0],[0,0,0,0]]'
tokens 'token beyond f16' 400 '[[70000,0,0,0]]'
document 'unknown field' 400 '{"id":"n","vectr":[1,0,0,0]}'
search 'unknown field in a search' 400 '"fitler":{}'
row 'unknown argument' 400 "$(json PUT "$one/documents?mod=insert" \
    '{"documents":[{"id":"n","vector":[1,0,0,0]}]}')"
row 'unknown collection' 404 \
    "$(json POST "$base/collections/none/search" '{"vector":[1,0,0,0]}')"
row 'unknown document' 404 "$(ask GET "$one/documents/none")"
row 'unknown route' 404 "$(ask GET "$base/serach")"
row 'another method' 405 "$(ask GET "$one/search")"
document 'another model' 409 '{"id":"n","vector":[1,0,0,0],"model":"maxi@1"}'
search 'another model in a search' 409 '"model":"mini@2"'
document 'duplicate id in a batch' 400 '{"id":"a","vector":[1,0,0,0]}'
document 'id too long' 400 \
    "{\"id\":\"$(printf '%0513d' 0)\",\"vector\":[1,0,0,0]}"
document 'empty id' 400 '{"id":"","vector":[1,0,0,0]}'
document 'text without a built-in model' 400 '{"id":"n","text":"cats"}'
document 'payload of the wrong type' 400 \
    '{"id":"n","vector":[1,0,0,0],"payload":{"year":"1999"}}'
search 'filter of the wrong type' 400 \
    '"filter":{"must":[{"key":"year","match":"1999"}]}'
search 'dims that are not declared' 400 '"params":{"dims":[3,4]}'
search 'limit 0' 400 '"limit":0'
head -c 100001 /dev/zero | tr '\0' ' ' >"$work/large"
row 'body over the limit' 413 "$(json PUT "$one/documents" "@$work/large")"
row 'wrong content type' 415 "$(ask PUT "$one/documents" \
    -H 'Content-Type: text/plain' --data-binary '{}')"
printf '\x93NUMPY\x01\x00\x76\x00%-117s\n\x00\x00\x80\x3f' \
    "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }" >"$work/npy"
row 'truncated npy query' 400 "$(ask POST "$one/search" \
    -H 'Content-Type: application/x-npy' --data-binary "@$work/npy")"
printf 'INVB\x01\x00\x00\x00\x01\x00n\x01\x00\x00\x00\x04\x00' >"$work/frames"
row 'truncated frame in bulk' 400 "$(ask POST "$one/documents/bulk" \
    -H 'Content-Type: application/x-invar' --data-binary "@$work/frames")"
row 'insert of what is there' 409 "$(json PUT "$one/documents?mode=insert" \
    '{"documents":[{"id":"n","vector":[1,0,0,0]},
      {"id":"b","vector":[1,0,0,0]}]}')"
row 'update of what is not there' 404 "$(json PUT "$one/documents?mode=update" \
    '{"documents":[{"id":"a","vector":[0,0,0,1]},
      {"id":"n","vector":[1,0,0,0]}]}')"
row 'If-Match of another version' 412 "$(ask PATCH "$one/documents/a" \
    -H 'Content-Type: application/json' -H 'If-Match: "999"' \
    --data-binary '{"payload":{"year":1}}')"
row 'collection with another body' 409 \
    "$(json PUT "$one" '{"kind":"single","dim":8}')"
row 'alias that shadows a collection' 409 \
    "$(json PUT "$base/aliases/many" '{"collection":"one"}')"
row 'collection named like an alias' 409 \
    "$(json PUT "$base/collections/live" '{"kind":"single","dim":4}')"
beside() { # WHAT STATUS VECTOR
    row "$1" "$2" "$(json POST "$two/models/mini@2/vectors" \
        "{\"vectors\":[$3]}")"
}
activate() { # WHAT STATUS REST
    row "$1" "$2" "$(json POST "$two/activate" "{\"model\":$3}")"
}
row 'no model, two are known' 409 "$(json PUT "$two/documents" \
    '{"documents":[{"id":"n","vector":[1,0]}]}')"
row 'model with another body' 409 "$(json PUT "$two/models/mini@2" \
    '{"dim":4}')"
row 'model without a dimension' 400 "$(json PUT "$two/models/mini@3" '{}')"
row 'model of another kind' 400 "$(json PUT "$two/models/mini@3" \
    '{"dim":3,"kind":"multi"}')"
row 'unknown model' 404 "$(ask GET "$two/models/mini@3")"
row 'model that has vectors, deleted' 409 "$(ask DELETE "$two/models/mini@2")"
row 'model of the gallery, deleted' 409 "$(ask DELETE "$two/models/mini@1")"
row 'vectors of the gallery, dropped' 409 \
    "$(ask DELETE "$two/models/mini@1/vectors")"
beside 'vector of an unknown document' 404 '{"id":"n","vector":[1,0,0]}'
beside 'stale vector' 409 '{"id":"a","vector":[1,0,0],"seq":7}'
beside 'vector of another dimension' 400 '{"id":"a","vector":[1,0]}'
beside 'vectors twice for a document' 400 \
    '{"id":"b","vector":[1,0,0]},{"id":"b","vector":[0,1,0]}'
row 'vectors of an unknown model' 409 \
    "$(json POST "$two/models/mini@3/vectors" \
        '{"vectors":[{"id":"a","vector":[1,0,0]}]}')"
row 'query that pairs with nothing' 400 \
    "$(json POST "$two/models/mini@2/queries" \
        '{"queries":[{"id":"q","vector":[1,0,0]}]}')"
row 'query with an unknown old model' 409 \
    "$(json POST "$two/models/mini@2/queries" '{"queries":[{"id":"q",
        "vector":[1,0,0],"old":{"model":"mini@3","vector":[1,0]}}]}')"
activate 'bridge without an adapter' 409 '"mini@2","mode":"bridge"'
activate 'activation of an unknown model' 409 '"mini@3","mode":"shadow"'
activate 'cutover before it was activated' 409 '"mini@2","mode":"cutover"'
activate 'unknown mode' 400 '"mini@2","mode":"swap"'
row 'rollback of nothing' 409 "$(json POST "$two/rollback" '{}')"
row 'bad percent escape' 400 "$(ask GET "$one/documents/100%")"

# A client that leaves: the length announced is more than what comes.
host=${base#http://}
host=${host%/v1}
exec 3<>"/dev/tcp/${host%:*}/${host##*:}"
printf 'PUT /v1/collections/one/documents HTTP/1.1\r\nHost: x\r\n' >&3
printf 'Content-Type: application/json\r\nContent-Length: 500\r\n\r\n' >&3
printf '{"documents":[{"id":"n","vector":[1,0,0,0]}' >&3
exec 3>&-
sleep 0.2
echo '"code":"none","detail":"no answer, nothing changed","request_id' \
    >"$work/body"
row 'client leaves amid its body' - -
[ $failed -eq 0 ]
