#!/usr/bin/env bash
# Runs Redis's own tests of strings, expiry and the key space against a node of a Shoal cluster, and holds what fails against
# redis_suite.txt, which explains every failure that is meant.
#
#   redis_suite.sh [UNIT...]
#
# The tests come with Debian's source of Redis and are kept below target/clients. Needs tclsh, apt-get and curl. SHOAL names
# the command; without it, it is built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
readonly HERE=$PWD/node/tests/clients OUT=$PWD/target/clients/redis

readonly NODES=3 ZONES=(default) MEMORY=256MiB
readonly FIRST=${FIRST:-26800}
readonly UNITS=(unit/type/string unit/expire unit/keyspace unit/scan unit/other unit/protocol unit/quit)
readonly RELEASE=bookworm VERSION=7.0.15
# For one unit and for one test, in seconds.
readonly PATIENCE=300

fetch() {
    local options=(-o "Dir::Etc::sourcelist=$OUT/source.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$OUT/lists")
    command -v tclsh >/dev/null || fail "tclsh is not installed"
    mkdir -p "$OUT/lists/partial"
    echo "deb-src http://deb.debian.org/debian $RELEASE main" >"$OUT/source.list"
    (
        cd "$OUT"
        apt-get "${options[@]}" update -qq
        apt-get "${options[@]}" source -qq --download-only redis
        tar -xf "redis_$VERSION.orig.tar.gz"
    )
    # Before each unit the suite empties the server and changes settings of Redis; Shoal has no functions to flush and not all
    # of the settings.
    sed -i 's/^    r function flush$/    catch {r function flush}/; s/^\( *\)r config set \$param \$val$/\1catch {r config set $param $val}/' \
        "$OUT/redis-$VERSION/tests/support/server.tcl"
}

# Runs a unit or what is left of it by `--only`; it tells of each test in a line that begins with [ok], [err] or so.
suite() {
    (
        cd "$OUT/redis-$VERSION"
        timeout "$PATIENCE" tclsh tests/test_helper.tcl --host 127.0.0.1 --port "$(port 0 0)" --singledb --cluster-mode \
            --ignore-encoding --ignore-digest --no-latency --durable --clients 1 --single "$@" 2>&1
    ) | sed 's/\x1b\[[0-9;]*m//g'
}

SHOAL=${SHOAL:-target/debug/shoal}
if [[ $SHOAL == target/debug/shoal ]]; then CARGO_TARGET_DIR=target cargo build --locked --bin shoal; fi
source docs/images/cluster.sh
[[ -e $OUT/redis-$VERSION/tests/test_helper.tcl ]] || fetch
start_nodes
units=("$@")
if [[ ${#units[@]} -eq 0 ]]; then units=("${UNITS[@]}"); fi
mkdir "$WORK/results"
for unit in "${units[@]}"; do
    said=$WORK/results/${unit//\//-}
    suite "$unit" >"$said" || true
    # A test that fails half-way leaves its connection as no other test expects it: those that failed run once more, alone.
    sed -n "s|^\[err\]: \(.*\) in tests/$unit.tcl\$|\1|p" "$said" | sort -u | while read -r name; do
        suite "$unit" --only "$name" </dev/null >"$said.alone" || true
        grep -E -A 1 '^\[(ok|err|exception)\]' "$said.alone" | sed 's/^\[/[alone &/' >>"$said"
    done
    rm -f "$said.alone"
    echo "$unit: $(grep -c '^\[ok\]' "$said" || true) passed at once"
done
if [[ -n ${KEEP:-} ]]; then cp -r "$WORK/results" "$KEEP"; fi
python3 "$HERE/redis_suite.py" "$WORK/results" "$HERE/redis_suite.txt" "${units[@]}"
