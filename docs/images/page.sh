#!/usr/bin/env bash
# Takes the pictures of the cluster page, light and dark: six real nodes in three zones under load, one of them killed
# while the page watches. Needs cargo, perl, Redis' tools and Chromium; the last two are installed where apt-get is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly NODES=6 ZONES=(a b c) MEMORY=64MiB
readonly FIRST=${FIRST:-27100}
# How long the page watches, and after how much of it a node dies; in seconds.
readonly WATCH=${WATCH:-75} DEATH=${DEATH:-45}
readonly WIDTH=1280 HEIGHT=800
readonly OUT=${OUT:-docs/images}
source docs/images/cluster.sh

browser() {
    type -P chromium || type -P chromium-browser || type -P google-chrome
}

install_tools() {
    browser >/dev/null && type -P redis-benchmark >/dev/null && return
    local root=()
    [[ $(id -u) -eq 0 ]] || root=(sudo)
    "${root[@]}" apt-get update -qq
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium redis-tools
}

# What is asked for most, and over how many connections.
readonly HOT=(session:eu-west:4711 4 cart/1093/items 2 größe 1 price:{eur}:88 1 $'blob:\xff\xfe' 1)

# Many keys over all nodes, and a few popular ones.
make_load() {
    local i nodes
    IFS=, read -ra nodes <<<"$(addresses 0)"
    perl -e 'srand 7; print pack("V", int(60000 * rand() ** 3)) for 1..400000' >"$WORK/trace"
    # The last node is the one to die, and its clients with it.
    again replay "$(IFS=,; echo "${nodes[*]:0:NODES-1}")" 8 &
    started+=($!)
    again replay "${nodes[NODES - 1]}" 2 &
    started+=($!)
    for ((i = 0; i < ${#HOT[@]}; i += 2)); do
        again popular "$(port $((i / 2)) 0)" "${HOT[i]}" "${HOT[i + 1]}" &
        started+=($!)
    done
}

# Runs a command until the end of this script, whatever becomes of it.
again() {
    while true; do
        "$@" &>/dev/null || true
        sleep 0.5
    done
}

replay() {
    nice "$SHOAL" bench --trace "$WORK/trace" --node "$1" --threads 1 --concurrency "$2" \
        --value-size 600 --ttl 20m
}

popular() {
    redis-cli -p "$1" SET "$2" 42 EX 1200
    nice redis-benchmark -p "$1" -c "$3" -n 100000000 -q GET "$2"
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

install_tools
build
mkdir -p "$OUT"
start_nodes
make_load
start_browser
open_page "http://127.0.0.1:$(port 0 1)/"
sleep "$DEATH"
end "${started[NODES - 1]}"
sleep $((WATCH - DEATH))
take light
take dark
