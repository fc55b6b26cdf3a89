#!/usr/bin/env bash
# redis-benchmark, which pipelines to one node, or to the cluster with --cluster.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

readonly VARIANT=$1 MODE=$2
IFS=: read -r HOST PORT <<<"$(address RESP 0)"
benchmark=(timeout 60 redis-benchmark -h "$HOST" -p "$PORT")
if [[ $VARIANT == cluster ]]; then benchmark+=(--cluster); fi

# Runs a load that must do as many requests as it says, without an error.
load() {
    local said
    said=$("${benchmark[@]}" -q "$@" 2>&1) || fail "$said"
    [[ ${said,,} != *err* ]] || fail "$said"
    [[ $said == *'requests per second'* ]] || fail "nothing was measured: $said"
}

connect() {
    load -n 1000 -t ping
}
set_get() {
    load -n 5000 -r 1000 -t set,get
}
batch() {
    load -n 1000 -r 1000 -t mset
}
pipeline() {
    load -n 20000 -r 1000 -P 16 -t set,get
}

# A cluster that asks for a password and speaks nothing but TLS.
password_TLS() {
    load -n 1000 -t set,get -a "$TRY_PASSWORD" --tls --cacert "$TRY_TLS_CA"
}

client "redis-benchmark $(redis-benchmark --version | cut -d' ' -f2) $VARIANT"
case $MODE in
    basics) for name in connect 'set, get' batch pipeline; do scenario "$name"; done ;;
    secured) scenario 'password, TLS' ;;
esac
