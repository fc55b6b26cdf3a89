#!/usr/bin/env bash
# Latencies of a cache's user, through a Shoal cluster of three nodes and through one redis-server by turns: 95 % reads,
# misses loaded from an origin that takes 5 ms, at a tenth of what the slower of the two can do. Prints a line per run
# and the medians. Needs cargo, curl, perl and redis-server; everything stays on loopback.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly NODES=3 ZONES=(default) MEMORY=256MiB
readonly FIRST=${FIRST:-27500} REDIS=${REDIS:-27490}
# Turns of each, and how long one lasts and is warmed up for, in seconds.
readonly TURNS=${TURNS:-5} DURATION=${DURATION:-10} WARMUP=${WARMUP:-3}
source docs/images/cluster.sh

# The load: values live for 20 s, so that there are always misses.
load() {
    local nodes=$1
    shift
    "$SHOAL" bench --node "$nodes" --keys 100000 --read-ratio 0.95 --value-size 100 --ttl 20s --concurrency 50 \
        --json "$@"
}

field() {
    perl -MJSON::PP -0777 -ne 'my $value = decode_json($_); $value = $value->{$_} for split /\./, "'"$1"'"; print $value'
}

median() {
    sort -n | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] " (" value[1] " to " value[NR] ")" }'
}

build
start_nodes
redis-server --port "$REDIS" --save '' --appendonly no --maxmemory 256mb --maxmemory-policy allkeys-lru \
    --dir "$WORK" &>"$WORK/redis.log" &
started+=($!)
declare -A targets=([shoal]=$(addresses 0) [redis]=127.0.0.1:$REDIS)

slower=
for name in shoal redis; do
    peak=$(load "${targets[$name]}" --preload --duration "${DURATION}s" | field requests_per_second)
    echo "$name: at most ${peak%.*} requests/s, closed loop of 50 connections without pipelining"
    if [[ -z $slower || ${peak%.*} -lt $slower ]]; then slower=${peak%.*}; fi
done
rate=$((slower / 10))
echo "by turns at $rate requests/s"
for ((turn = 0; turn < TURNS; turn++)); do
    for name in shoal redis; do
        load "${targets[$name]}" --rate "$rate" --load-delay 5ms --warmup "${WARMUP}s" --duration "${DURATION}s" \
            >"$WORK/run"
        for what in get_hits.p50_us get_hits.p99_us loads.p50_us loads.p99_us; do
            field "$what" <"$WORK/run" >>"$WORK/$name.$what"
            echo >>"$WORK/$name.$what"
        done
        echo "$name: hit ratio $(field hit_ratio <"$WORK/run"), hit p99 $(field get_hits.p99_us <"$WORK/run") us," \
            "miss with its load p99 $(field loads.p99_us <"$WORK/run") us"
    done
done
for name in shoal redis; do
    for what in get_hits.p50_us get_hits.p99_us loads.p50_us loads.p99_us; do
        echo "$name $what: $(median <"$WORK/$name.$what")"
    done
done
