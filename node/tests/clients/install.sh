#!/usr/bin/env bash
# Installs what the programs named need, each as `PROGRAM VARIANT`; all without arguments. Versions are pinned.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
readonly HERE=node/tests/clients OUT=target/clients
mkdir -p "$OUT"

# Whether one of these programs is wanted.
wanted() {
    local client name
    if [[ ${#clients[@]} -eq 0 ]]; then return; fi
    for client in "${clients[@]}"; do for name; do if [[ $client == "$name "* ]]; then return; fi; done; done
    return 1
}

# Runs the rest unless it ran for this very list.
unless_done() {
    local list=$1 done=$OUT/$2
    shift 2
    if ! cmp -s "$list" "$done"; then "$@" && cp "$list" "$done"; fi
}

# Whether one of these programs is not here.
lacking() {
    local name
    for name; do if ! command -v "$name" >/dev/null; then return; fi; done
    return 1
}

as_root() {
    if [[ $(id -u) -eq 0 ]]; then "$@"; else sudo "$@"; fi
}

packages() {
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@"
}

python() {
    python3 -m venv --clear "$OUT/venv"
    "$OUT/venv/bin/pip" install --quiet --disable-pip-version-check -r "$HERE/python/requirements.txt"
}

javascript() {
    cp "$HERE/node/package.json" "$HERE/node/package-lock.json" "$OUT"
    npm ci --prefix "$OUT" --silent --no-audit --no-fund --ignore-scripts
}

clients=("$@")
if wanted redis_cli redis_benchmark curl && lacking redis-cli redis-benchmark curl openssl; then
    packages redis-tools curl openssl
fi
if wanted redis_py grpc_python; then
    if lacking python3 || ! python3 -c 'import ensurepip' 2>/dev/null; then packages python3 python3-venv; fi
    unless_done "$HERE/python/requirements.txt" python-done python
fi
if wanted ioredis node_redis grpc_js; then
    if lacking node npm; then packages nodejs npm; fi
    unless_done "$HERE/node/package-lock.json" javascript-done javascript
fi
if wanted rust; then
    CARGO_TARGET_DIR=$OUT/rust cargo build --quiet --locked --manifest-path "$HERE/rust/Cargo.toml"
fi
