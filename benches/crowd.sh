#!/usr/bin/env bash
# What well-behaved clients notice of a crowd of bad ones: an open loop of `shoal bench` on one node, by turns alone, while
# the crowd is at another node of this machine, and while it is at the same one. The crowd is 10,000 idle connections, 100
# clients that ask for large values and read a byte a second, and 100 that send garbage and half requests and break off.
# Prints a line per run, the medians with their spread, their ratios, and the most memory the node has had, beside its bound.
# Of the first ratio a part is the machine's, whose processors the crowd uses wherever it is; the last one is what sharing
# the node adds. With HUNGRY=1 the broken ones ask for 8 MiB each before they go, about 1 GB/s in all. CROWD names the program of the crowd; without it, it
# is built. Needs cargo, curl and perl; all stays on loopback.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly NODES=2 ZONES=(default) MEMORY=256MiB
readonly FIRST=${FIRST:-27600}
readonly TURNS=${TURNS:-5} DURATION=${DURATION:-10} WARMUP=${WARMUP:-3} RATE=${RATE:-2000}
readonly SLOW=${SLOW:-100} BROKEN=${BROKEN:-100}
# What the node is told that matters for its memory, in MiB, besides MEMORY.
readonly CLIENT_MEMORY=256 MAX_CLIENTS=20000
source docs/images/cluster.sh

# Both sides need a file for every connection.
ulimit -n "$(ulimit -Hn)"
IDLE=${IDLE:-10000}
if (($(ulimit -n) < IDLE + 1000)); then
    IDLE=$(($(ulimit -n) - 1000))
    echo "the system allows $(ulimit -n) open files: $IDLE idle connections instead of 10000"
fi
readonly IDLE

# The address of one door of node 0, where good clients are, or 1, where nobody else is.
door() {
    echo "127.0.0.1:$(port "$1" "$2")"
}

good() {
    "$SHOAL" bench --node "$(door 0 0)" --keys 10000 --read-ratio 0.9 --value-size 100 --concurrency 50 \
        --rate "$RATE" --warmup "${WARMUP}s" --duration "${DURATION}s" --json "$@"
}

# Of reads that hit, as the last run was.
p99() {
    perl -MJSON::PP -0777 -ne 'print decode_json($_)->{get_hits}{p99_us}, "\n"' "$WORK/run"
}

errors() {
    perl -MJSON::PP -0777 -ne 'my $sum = 0; $sum += $_->{count} for values %{decode_json($_)->{errors}}; print $sum' "$WORK/run"
}

median() {
    sort -n "$WORK/$1" | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] " (" value[1] " to " value[NR] ")" }'
}

ratio() {
    awk -v a="$(median "$1")" -v b="$(median "$2")" 'BEGIN { printf "%.2f", a / b }'
}

memory() {
    awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/${started[0]}/status"
}

# RESP connections of a node.
connections() {
    curl -sf "http://$(door "$1" 1)/metrics" | awk '/^shoal_connections\{door="resp"\}/ { print $2 }'
}

# One run, under the name of its kind.
measure() {
    good >"$WORK/run"
    p99 >>"$WORK/$1"
    echo "$1: p99 $(tail -1 "$WORK/$1") us, $(errors) errors, $(memory) MiB"
}

# One run while the crowd is at a node.
measure_beside() {
    : >"$WORK/crowd"
    # What the crowd itself costs is elsewhere in life: here it gets the processor time that the others leave.
    nice -n 19 "$CROWD" "$(door "$2" 0)" --idle "$IDLE" --slow "$SLOW" --broken "$BROKEN" ${HUNGRY:+--hungry} \
        >"$WORK/crowd" 2>"$WORK/crowd.log" &
    started[2]=$!
    until grep -q ready "$WORK/crowd"; do sleep 0.1; kill -0 "${started[2]}" || fail "$(cat "$WORK/crowd.log")"; done
    measure "$1"
    echo "    $(connections "$2") connections at the crowd's node; $(tail -1 "$WORK/crowd.log")"
    end "${started[2]}"
    until (($(connections "$2") < 10)); do sleep 0.1; done
}

build
if [[ -z ${CROWD:-} ]]; then
    CROWD=$(cargo bench --locked -p shoal-benches --bench crowd --no-run --message-format json 2>/dev/null |
        perl -MJSON::PP -ne 'my $m = decode_json($_); print $m->{executable} if ($m->{target}{name} // "") eq "crowd" && $m->{executable}')
fi
for node in 0 1; do
    SEEDS=$(door "$node" 3) start_node "$node" --replicas 1 --max-clients "$MAX_CLIENTS" --client-memory "${CLIENT_MEMORY}MiB"
    ready "$node"
done
good --preload >/dev/null
echo "node: $MEMORY of values, $(memory) MiB at rest, load of the machine $(cut -d' ' -f1 /proc/loadavg)"

for ((turn = 0; turn < TURNS; turn++)); do
    measure alone
    measure_beside elsewhere 1
    measure_beside crowded 0
done
echo "p99 alone: $(median alone) us; the crowd elsewhere: $(median elsewhere) us; at the same node: $(median crowded) us"
echo "ratios of the medians: $(ratio crowded alone) of the same node to alone, $(ratio elsewhere alone) of elsewhere to alone," \
    "$(ratio crowded elsewhere) of the same node to elsewhere"
# Values, hints (a tenth), what clients hold, 16 KiB for each connection, and 64 MiB for the program itself.
echo "memory at its highest: $(memory) MiB, of at most" \
    "$((256 + 26 + CLIENT_MEMORY + MAX_CLIENTS * 16 / 1024 + 64)) MiB"
curl -sf "http://$(door 0 1)/metrics" | grep '^shoal_connections_ended_total{door="resp"' | grep -v ' 0$'
