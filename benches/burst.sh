#!/usr/bin/env bash
# What others notice when a million keys expire within the same second: one node, an open loop of `shoal bench` from before
# it until after it. Prints for every turn the p99 of hits before that second and in it (the median over windows of 100 ms),
# and how long after it the last of those keys was gone from memory; then the medians, and whether they are what they should
# be: at most twice the p99, at most a second. Needs cargo, curl, perl and redis-cli; all stays on loopback.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly NODES=1 ZONES=(default) MEMORY=1GiB
readonly FIRST=${FIRST:-27700}
readonly TURNS=${TURNS:-5} KEYS=${KEYS:-1000000} RATE=${RATE:-2000}
# Seconds that a million keys may take to be written, and for which load is measured before and after they expire.
readonly WRITING=${WRITING:-30} BEFORE=${BEFORE:-6} AFTER=${AFTER:-4} WARMUP=2
# What the load reads: keys that do not expire.
readonly OTHERS=10000
source docs/images/cluster.sh

load() {
    "$SHOAL" bench --node "$(addresses 0)" --keys "$OTHERS" --read-ratio 0.95 --value-size 100 --concurrency 50 "$@"
}

millis() {
    date +%s%3N
}

# Writes keys that expire from a moment on, in Unix milliseconds, evenly over a second.
fill() {
    perl -e '
        my ($keys, $at) = @ARGV;
        my $value = "v" x 100;
        for my $n (0 .. $keys - 1) {
            my $key = sprintf "burst:%010d", $n;
            my $due = $at + int($n * 1000 / $keys);
            print "*5\r\n\$3\r\nSET\r\n\$16\r\n$key\r\n\$100\r\n$value\r\n\$4\r\nPXAT\r\n\$13\r\n$due\r\n";
        }' "$KEYS" "$1" | redis-cli -p "$(port 0 0)" --pipe >"$WORK/fill" || fail "$(cat "$WORK/fill")"
    grep -q "errors: 0" "$WORK/fill" || fail "$(cat "$WORK/fill")"
}

entries() {
    curl -sf "http://$(addresses 1)/metrics" | awk '/^shoal_store_entries / { print $2 }'
}

# The median p99 of the windows that begin within a part of the run, in seconds from the mark.
p99() {
    perl -MJSON::PP -0777 -e '
        my ($file, $from, $to) = @ARGV;
        open my $in, "<", $file or die;
        my $run = decode_json(<$in>);
        my $mark = $run->{marks}[0]{seconds} // die "the keys expired after the run";
        my @p99 = sort { $a <=> $b } map { $_->{p99_us} // () }
            grep { $_->{seconds} >= $mark + $from && $_->{seconds} < $mark + $to } @{$run->{points}};
        print $p99[$#p99 / 2], "\n"' "$WORK/timeline" "$1" "$2"
}

median() {
    sort -n | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] " (" value[1] " to " value[NR] ")" }'
}

build
start_nodes --replicas 1
load --preload --duration 1s >/dev/null
echo "$(nproc) processors, load of the machine $(cut -d' ' -f1 /proc/loadavg), $KEYS keys, $RATE requests/s"

for ((turn = 0; turn < TURNS; turn++)); do
    begin=$(($(millis) + (WRITING + BEFORE + WARMUP) * 1000))
    fill "$begin"
    (($(millis) < begin - (BEFORE + WARMUP) * 1000)) || fail "writing took too long: give it more with WRITING=60"
    until (($(millis) >= begin - (BEFORE + WARMUP) * 1000)); do sleep 0.01; done
    held=$(entries)
    ((held == KEYS + OTHERS)) || fail "$held values are held, not $((KEYS + OTHERS))"
    : >"$WORK/marks"
    load --rate "$RATE" --warmup "${WARMUP}s" --duration "$((BEFORE + AFTER))s" --marks "$WORK/marks" \
        --timeline "$WORK/timeline" --json >"$WORK/run" &
    started[1]=$!
    until (($(millis) >= begin)); do sleep 0.005; done
    echo "keys expire" >>"$WORK/marks"
    until (($(millis) >= begin + 1000)); do sleep 0.005; done
    until (($(entries) <= OTHERS)); do sleep 0.02; done
    gone=$(($(millis) - begin - 1000))
    wait "${started[1]}" || fail "$(cat "$WORK/run")"
    p99 -5 -0.5 >>"$WORK/before"
    p99 0 1 >>"$WORK/during"
    echo "$gone" >>"$WORK/gone"
    echo "before: p99 $(tail -1 "$WORK/before") us; while they expire: $(tail -1 "$WORK/during") us; all gone $gone ms after the last was due"
done
before=$(median <"$WORK/before") during=$(median <"$WORK/during") gone=$(median <"$WORK/gone")
ratio=$(awk -v a="${before%% *}" -v b="${during%% *}" 'BEGIN { printf "%.2f", b / a }')
echo "medians: before $before us, while they expire $during us"
status=0
if awk -v r="$ratio" 'BEGIN { exit r > 2 }'; then verdict=PASS; else verdict=MISS status=1; fi
echo "$verdict p99 of the others grows by $ratio, at most 2"
if ((${gone%% *} <= 1000)); then verdict=PASS; else verdict=MISS status=1; fi
echo "$verdict the last is gone $gone ms after it was due, at most 1000"
exit "$status"
