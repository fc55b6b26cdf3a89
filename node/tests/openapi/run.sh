#!/usr/bin/env bash
# Holds real nodes to their OpenAPI document: validates the document, then sends requests drawn from it, valid ones and
# broken ones, and fails on a status, header, type or body that it does not describe, on broken requests that are
# accepted, and on valid ones that are refused. EXAMPLES=1000 looks longer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

readonly EXAMPLES=${EXAMPLES:-100} SEED=${SEED:-1} CASES_MIN=2000
readonly TOOLS=(schemathesis==4.32.5 openapi-spec-validator==0.9.0)
readonly HOME_OF_TOOLS=$PWD/target/openapi
readonly TOKEN=what-whoever-tests-is-known-by
readonly HERE=$PWD/node/tests/openapi

fail() {
    echo "error: $*" >&2
    exit 1
}

install_tools() {
    [[ $(cat "$HOME_OF_TOOLS/installed" 2>/dev/null) == "${TOOLS[*]}" ]] && return
    rm -rf "$HOME_OF_TOOLS"
    python3 -m venv "$HOME_OF_TOOLS" || fail "python3 has no venv: install python3-venv"
    "$HOME_OF_TOOLS/bin/pip" install --quiet --disable-pip-version-check "${TOOLS[@]}"
    echo "${TOOLS[*]}" >"$HOME_OF_TOOLS/installed"
}

# A request with the token that the nodes ask for.
ask() {
    curl -s -H "Authorization: Bearer $TOKEN" "$@"
}

# Three nodes, so that every level can be met.
start_nodes() {
    local base=$((20000 + RANDOM % 10000)) i seeds
    echo "tester write $TOKEN" >"$work/tokens"
    seeds=$(for i in 0 1 2; do echo "127.0.0.1:$((base + 10 * i + 3))"; done | paste -sd,)
    for i in 0 1 2; do
        target/debug/shoal serve --seed "$seeds" --state-dir "$work/state-$i" --tokens-file "$work/tokens" \
            --resp "127.0.0.1:$((base + 10 * i))" --http "127.0.0.1:$((base + 10 * i + 1))" \
            --grpc "127.0.0.1:$((base + 10 * i + 2))" --gossip "127.0.0.1:$((base + 10 * i + 3))" \
            >"$work/node-$i.log" 2>&1 &
        nodes+=($!)
    done
    url=http://127.0.0.1:$((base + 1))
    for ((i = 0; i < 300; i++)); do
        [[ $(ask "$url/cluster.json" | grep -o '"state":"up"' | wc -l) -eq 3 ]] && return
        sleep 0.1
    done
    cat "$work"/node-*.log >&2
    fail "the nodes did not become ready"
}

stop() {
    [[ ${#nodes[@]} -eq 0 ]] || kill "${nodes[@]}" 2>/dev/null || true
    wait
    rm -rf "$work"
}

work=$(mktemp -d) nodes=() url=''
trap stop EXIT
install_tools
cargo build --locked --quiet -p shoal-node --bin shoal
start_nodes

ask -f "$url/openapi.json" >"$work/openapi.json"
"$HOME_OF_TOOLS/bin/openapi-spec-validator" "$work/openapi.json"

status=0
(cd "$work" && SCHEMATHESIS_HOOKS=$HERE/hooks.py "$HOME_OF_TOOLS/bin/schemathesis" \
    --config-file "$HERE/schemathesis.toml" run "$url/openapi.json" \
    --header "Authorization: Bearer $TOKEN" --checks all --seed "$SEED" \
    --max-examples "$EXAMPLES" --continue-on-failure --warnings off) |
    tee "$work/report" || status=$?

cases=$(sed -n 's/^ *\([0-9]*\) generated.*/\1/p' "$work/report")
[[ ${cases:-0} -ge $CASES_MIN ]] || fail "only ${cases:-0} requests were made, $CASES_MIN are needed"
[[ $(curl -s -o /dev/null -w '%{http_code}' "$url/health/ready") == 200 ]] || fail "the node is not ready any more"
if grep -h panicked "$work"/node-*.log >&2; then fail "a node panicked"; fi
exit "$status"
