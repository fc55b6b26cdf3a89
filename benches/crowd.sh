#!/usr/bin/env bash
# What well-behaved clients notice of a crowd of bad ones: one node, an open loop of `shoal bench`, by turns alone and
# beside 10,000 idle connections, 100 clients that ask for large values and read a byte a second, and 100 that send
# garbage and half requests and break off. Prints a line per run, the medians with their spread, the ratio of the
# medians, and the most memory the node has had, beside its bound. With HUNGRY=1 the broken ones ask for 8 MiB each before
# they go, about 1 GB/s in all. Needs cargo, curl and perl; all stays on loopback.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly NODES=1 ZONES=(default) MEMORY=256MiB
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

good() {
    "$SHOAL" bench --node "$(addresses 0)" --keys 10000 --read-ratio 0.9 --value-size 100 --concurrency 50 \
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
    sort -n | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] " (" value[1] " to " value[NR] ")" }'
}

memory() {
    awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/${started[0]}/status"
}

connections() {
    curl -sf "http://$(addresses 1)/metrics" | awk '/^shoal_connections\{door="resp"\}/ { print $2 }'
}

build
CROWD=$(cargo bench --locked -p shoal-benches --bench crowd --no-run --message-format json 2>/dev/null |
    perl -MJSON::PP -ne 'my $m = decode_json($_); print $m->{executable} if ($m->{target}{name} // "") eq "crowd" && $m->{executable}')
start_nodes() {
    start_node 0 --replicas 1 --max-clients "$MAX_CLIENTS" --client-memory "${CLIENT_MEMORY}MiB"
    ready 0
}
start_nodes
good --preload >/dev/null
echo "node: $MEMORY of values, $(memory) MiB at rest, load of the machine $(cut -d' ' -f1 /proc/loadavg)"

for ((turn = 0; turn < TURNS; turn++)); do
    good >"$WORK/run"
    p99 >>"$WORK/alone"
    echo "alone:  p99 $(tail -1 "$WORK/alone") us, $(errors) errors, $(memory) MiB"

    : >"$WORK/crowd"
    # What the crowd itself costs is elsewhere in life: here it gets the processor time that the others leave.
    nice -n 19 "$CROWD" "$(addresses 0)" --idle "$IDLE" --slow "$SLOW" --broken "$BROKEN" ${HUNGRY:+--hungry} >"$WORK/crowd" 2>"$WORK/crowd.log" &
    started[1]=$!
    until grep -q ready "$WORK/crowd"; do sleep 0.1; kill -0 "${started[1]}" || fail "$(cat "$WORK/crowd.log")"; done
    good >"$WORK/run"
    p99 >>"$WORK/crowded"
    echo "crowd:  p99 $(tail -1 "$WORK/crowded") us, $(errors) errors, $(memory) MiB," \
        "$(connections) connections; $(tail -1 "$WORK/crowd.log")"
    end "${started[1]}"
    until (($(connections) < 10)); do sleep 0.1; done
done
alone=$(median <"$WORK/alone") crowded=$(median <"$WORK/crowded")
echo "p99 alone: $alone us; beside the crowd: $crowded us; ratio of the medians:" \
    "$(awk -v a="${alone%% *}" -v b="${crowded%% *}" 'BEGIN { printf "%.2f", b / a }')"
# Values, hints (a tenth), what clients hold, 16 KiB for each connection, and 64 MiB for the program itself.
echo "memory at its highest: $(memory) MiB, of at most" \
    "$((256 + 26 + CLIENT_MEMORY + MAX_CLIENTS * 16 / 1024 + 64)) MiB"
curl -sf "http://$(addresses 1)/metrics" | grep '^shoal_connections_ended_total{door="resp"' | grep -v ' 0$'
