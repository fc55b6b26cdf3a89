# A cluster of real processes for the scripts that draw and measure, which source it after setting NODES, ZONES, FIRST and
# MEMORY. Node i listens on FIRST + 10 i and the three ports above.
# shellcheck shell=bash

# Every job leads a group of processes, so that it can be ended with all it has started.
set -m
WORK=$(mktemp -d)
readonly WORK

fail() {
    echo "error: $*" >&2
    exit 1
}

# Every job this script has started, and none other; the nodes come first, in order.
started=()
end() {
    local job
    for job; do kill -KILL -- "-$job" && wait "$job"; done 2>/dev/null || true
}
cleanup() {
    end "${started[@]}"
    rm -rf "$WORK"
}
trap cleanup EXIT

# Builds the command, unless SHOAL names one.
build() {
    if [[ -z ${SHOAL:-} ]]; then
        cargo build --locked --release --bin shoal
        SHOAL=target/release/shoal
    fi
}

port() {
    echo $((FIRST + 10 * $1 + $2))
}

# The addresses of one door of all nodes: 0 RESP, 1 HTTP, 2 gRPC, 3 gossip.
addresses() {
    local i list=()
    for ((i = 0; i < NODES; i++)); do list+=("127.0.0.1:$(port "$i" "$1")"); done
    (IFS=,; echo "${list[*]}")
}

# Starts one node; arguments after its number are more of its own. It is of the cluster that SEEDS names, if that is another.
start_node() {
    local i=$1
    shift
    "$SHOAL" serve --seed "${SEEDS:-$(addresses 3)}" --zone "${ZONES[i % ${#ZONES[@]}]}" \
        --resp "127.0.0.1:$(port "$i" 0)" --http "127.0.0.1:$(port "$i" 1)" \
        --grpc "127.0.0.1:$(port "$i" 2)" --gossip "127.0.0.1:$(port "$i" 3)" \
        --state-dir "$WORK/state-$i" --max-memory "$MEMORY" --log warn "$@" &>>"$WORK/node-$i.log" &
    started[i]=$!
}

# Waits for a node; SCHEME is https where it speaks TLS.
ready() {
    curl -sf --retry 60 --retry-delay 1 --retry-all-errors -o "$WORK/ready" \
        "${SCHEME:-http}://127.0.0.1:$(port "$1" 1)/health/ready" || fail "node $1 is not ready: $(cat "$WORK/node-$1.log")"
}

# Starts all of them; arguments are more of each of them.
start_nodes() {
    local i
    for ((i = 0; i < NODES; i++)); do start_node "$i" "$@"; done
    for ((i = 0; i < NODES; i++)); do ready "$i"; done
}
