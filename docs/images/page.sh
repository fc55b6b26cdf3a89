#!/usr/bin/env bash
# Takes the pictures of the cluster page, light and dark: six real nodes in three zones under load, one of them killed
# while the page watches. Needs cargo, perl and Chromium, which is installed where apt-get is at hand.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly NODES=6 ZONES=(a b c)
# Node i listens on FIRST + 10 i and the three ports above.
readonly FIRST=${FIRST:-27100}
# How long the page watches, and after how much of it a node dies; in seconds.
readonly WATCH=${WATCH:-75} DEATH=${DEATH:-45}
readonly WIDTH=1280 HEIGHT=800
readonly OUT=${OUT:-docs/images}
WORK=$(mktemp -d)
readonly WORK

fail() {
    echo "error: $*" >&2
    exit 1
}

# Every process this script has started, and none other.
started=()
cleanup() {
    kill -KILL "${started[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$WORK"
}
trap cleanup EXIT

browser() {
    type -P chromium || type -P chromium-browser || type -P google-chrome
}

install_chromium() {
    browser >/dev/null && return
    local root=()
    [[ $(id -u) -eq 0 ]] || root=(sudo)
    "${root[@]}" apt-get update -qq
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium
}

port() {
    echo $((FIRST + 10 * $1 + $2))
}

start_nodes() {
    local i seeds=()
    for ((i = 0; i < NODES; i++)); do seeds+=("127.0.0.1:$(port "$i" 3)"); done
    for ((i = 0; i < NODES; i++)); do
        "$SHOAL" serve --seed "$(IFS=,; echo "${seeds[*]}")" --zone "${ZONES[i % ${#ZONES[@]}]}" \
            --resp "127.0.0.1:$(port "$i" 0)" --http "127.0.0.1:$(port "$i" 1)" \
            --grpc "127.0.0.1:$(port "$i" 2)" --gossip "127.0.0.1:$(port "$i" 3)" \
            --state-dir "$WORK/state-$i" --max-memory 64MiB --log warn &>"$WORK/node-$i.log" &
        started+=($!)
    done
    for ((i = 0; i < NODES; i++)); do
        curl -sf --retry 60 --retry-delay 1 --retry-all-errors -o "$WORK/ready" \
            "http://127.0.0.1:$(port "$i" 1)/health/ready" || fail "node $i is not ready: $(cat "$WORK/node-$i.log")"
    done
}

# Two streams of requests: many keys over RESP, and a few popular ones over REST.
make_load() {
    local i nodes=()
    for ((i = 0; i < NODES; i++)); do nodes+=("127.0.0.1:$(port "$i" 0)"); done
    perl -e 'srand 7; print pack("V", int(60000 * rand() ** 3)) for 1..400000' >"$WORK/trace"
    # Not through the last node, which is the one to die.
    unset 'nodes[-1]'
    (
        exec &>"$WORK/bench.log"
        trap 'kill $(jobs -p); exit' TERM
        while true; do
            "$SHOAL" bench --trace "$WORK/trace" --node "$(IFS=,; echo "${nodes[*]}")" --threads 1 \
                --concurrency 8 --value-size 600 --ttl 20m &
            wait $! || true
        done
    ) &
    started+=($!)
    for ((i = 0; i < NODES - 1; i++)); do popular "$i" & started+=($!); done
}

popular() {
    local url keys=(session:eu-west:4711 'cart%2F1093%2Fitems' 'gr%C3%B6%C3%9Fe' 'price:{eur}:88' 'blob:%FF%FE')
    url=http://127.0.0.1:$(port "$1" 1)/cache
    while true; do
        curl -s -o "$WORK/popular-$1" -X PUT -H 'Content-Type: application/octet-stream' -d 42 \
            "$url/{$(IFS=,; echo "${keys[*]/\{eur\}/%7Beur%7D}")}" \
            --next -s -o "$WORK/popular-$1" "$url/session:eu-west:4711?[1-90]" || true
    done
}

# ---- the browser, by its own protocol: one JSON object after the other, each ended by a zero byte ----

calls=0
session=

start_browser() {
    mkfifo "$WORK/to" "$WORK/from"
    "$(browser)" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars \
        --disable-background-networking --disable-component-update --disable-sync --user-data-dir="$WORK/profile" \
        --remote-debugging-pipe 3<"$WORK/to" 4>"$WORK/from" &>"$WORK/browser.log" &
    started+=($!)
    exec 5>"$WORK/to" 6<"$WORK/from"
}

# Calls a method of the browser and leaves its answer in REPLY.
call() {
    calls=$((calls + 1))
    printf '{"id":%d,%s"method":"%s","params":%s}\0' "$calls" "$session" "$1" "$2" >&5
    while IFS= read -r -d '' -t 60 REPLY <&6; do
        if [[ $REPLY == "{\"id\":$calls,"* ]]; then
            [[ $REPLY != *'"error":{'* ]] || fail "$1: $REPLY"
            return
        fi
    done
    fail "$1: the browser does not answer: $(tail -n 5 "$WORK/browser.log")"
}

# The text of a field of REPLY.
field() {
    sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" <<<"$REPLY"
}

open_page() {
    call Target.createTarget '{"url":"about:blank"}'
    call Target.attachToTarget "{\"targetId\":\"$(field targetId)\",\"flatten\":true}"
    session="\"sessionId\":\"$(field sessionId)\","
    call Emulation.setDeviceMetricsOverride \
        "{\"width\":$WIDTH,\"height\":$HEIGHT,\"deviceScaleFactor\":1,\"mobile\":false}"
    call Page.navigate "{\"url\":\"$1\"}"
}

# Takes a picture in the light or the dark.
take() {
    call Emulation.setEmulatedMedia "{\"features\":[{\"name\":\"prefers-color-scheme\",\"value\":\"$1\"}]}"
    call Page.captureScreenshot '{"format":"png"}'
    field data | base64 -d >"$OUT/page-$1.png"
    echo "$OUT/page-$1.png: $(stat -c %s "$OUT/page-$1.png") bytes"
}

install_chromium
if [[ -z ${SHOAL:-} ]]; then
    cargo build --locked --release --bin shoal
    SHOAL=target/release/shoal
fi
mkdir -p "$OUT"
start_nodes
make_load
start_browser
open_page "http://127.0.0.1:$(port 0 1)/"
sleep "$DEATH"
kill -KILL "${started[NODES - 1]}"
sleep $((WATCH - DEATH))
take light
take dark
