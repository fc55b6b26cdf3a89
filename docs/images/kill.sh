#!/usr/bin/env bash
# Draws what clients see when a node is killed: three real processes under load through the Rust client, one of them
# killed with SIGKILL, once at ONE and once at QUORUM. Writes kill-one.svg and kill-quorum.svg, and prints what failed
# and when. Needs cargo and curl.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly NODES=3 ZONES=(default) MEMORY=256MiB
readonly FIRST=${FIRST:-27300}
# Requests per second; how long they come, and after how much of it the node dies, in seconds.
readonly RATE=${RATE:-2000} DURATION=${DURATION:-20} DEATH=${DEATH:-8}
readonly OUT=${OUT:-docs/images}
source docs/images/cluster.sh

# Makes load at a level, kills node 1 in the middle of it, and starts it again.
run() {
    local level=$1 load
    : >"$WORK/marks"
    "$SHOAL" bench --door grpc --node "$(addresses 2)" --consistency "$level" --rate "$RATE" --duration "${DURATION}s" \
        --preload --keys 20000 --marks "$WORK/marks" --plot "$OUT/kill-$level.svg" --json >"$WORK/$level.json" &
    load=$!
    started+=("$load")
    # The load begins when every key has been written.
    until curl -sf "http://127.0.0.1:$(port 0 1)/metrics" | grep -Eq '^shoal_requests_total\{.*"get".*\} [1-9]'; do
        sleep 0.1
    done
    sleep "$DEATH"
    end "${started[1]}"
    echo "node killed" >>"$WORK/marks"
    wait "$load" || fail "the load at $level failed: $(cat "$WORK/$level.json")"
    echo "$level: $(cat "$WORK/$level.json")"
}

build
mkdir -p "$OUT"
start_nodes
run one
end "${started[@]}"
started=()
rm -rf "$WORK"/state-*
start_nodes
run quorum
