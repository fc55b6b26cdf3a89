#!/usr/bin/env bash
# redis-cli: one node, or the cluster with -c.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

readonly VARIANT=$1 MODE=$2
IFS=: read -r HOST PORT <<<"$(address RESP 0)"
cli=(timeout 5 redis-cli -h "$HOST" -p "$PORT")
if [[ $VARIANT == cluster ]]; then cli+=(-c); fi
cli() {
    "${cli[@]}" "$@"
}

connect() {
    expect PONG cli PING
    expect PONG cli -3 PING
}

set_get() {
    expect OK cli SET cli:a hello
    expect hello cli GET cli:a
    expect '' cli GET cli:missing
}

binary() {
    local bytes
    bytes=$(printf '\x01\xff\r\n\x80' | base64)
    expect OK cli -x SET cli:binary < <(printf '\x01\xff\r\n\x80')
    expect "$bytes" bash -c '"$@" | head -c -1 | base64' - "${cli[@]}" GET cli:binary
}

delete() {
    expect OK cli SET cli:gone x
    expect 1 cli DEL cli:gone
    expect 0 cli EXISTS cli:gone
}

expiry() {
    expect OK cli SET cli:expiring x EX 100
    expect_like '@(99|100)' cli TTL cli:expiring
    expect 1 cli PEXPIRE cli:expiring 5000
    expect_like '@(4[0-9][0-9][0-9]|5000)' cli PTTL cli:expiring
    expect 1 cli PERSIST cli:expiring
    expect -1 cli TTL cli:expiring
    expect OK cli SET cli:expiring x PX 30
    until [[ $(cli EXISTS cli:expiring) == 0 ]]; do sleep 0.01; done
}

batch() {
    local i keys=() pairs=()
    for ((i = 0; i < 100; i++)); do keys+=("cli:$i") pairs+=("cli:$i" "$i"); done
    expect OK cli MSET "${pairs[@]}"
    expect "$(seq 0 99)" cli MGET "${keys[@]}"
    expect 100 cli DEL "${keys[@]}"
}

pipeline() {
    expect_like '*errors: 0, replies: 1000' cli --pipe < <(for ((i = 0; i < 1000; i++)); do echo "SET cli:p$i $i"; done)
    expect 999 cli GET cli:p999
}

level() {
    expect OK cli CL QUORUM SET cli:level x
    expect x cli CL ALL GET cli:level
    expect_like "*unknown consistency level 'MOST'*" cli CL MOST GET cli:level
    expect $'OK\nQUORUM\nx' cli < <(printf 'CL QUORUM\nCL\nGET cli:level\n')
}

refusal() {
    expect_like "ERR 'INCR' is a read-modify-write*" cli INCR cli:n
    expect PONG cli PING
}

# A cluster that asks for a password and speaks nothing but TLS.
password_TLS() {
    local tls=(--tls --cacert "$TRY_TLS_CA")
    export REDISCLI_AUTH=$TRY_PASSWORD
    expect OK cli "${tls[@]}" SET cli:secret secret
    expect secret cli "${tls[@]}" GET cli:secret
    expect_like '*Error*' cli GET cli:secret
    REDISCLI_AUTH='not the password' expect_like '*WRONGPASS*' cli "${tls[@]}" GET cli:secret
    unset REDISCLI_AUTH
    expect_like 'NOAUTH*' cli "${tls[@]}" GET cli:secret
}

write() {
    [[ $(cli CL QUORUM SET "$1" "$1" 2>&1) == OK ]]
}
read_back() {
    cli -e CL QUORUM GET "$1" 2>&1
}

client "redis-cli $(redis-cli --version | cut -d' ' -f2) $VARIANT"
shopt -s extglob
case $MODE in
    basics)
        for name in connect 'set, get' binary delete expiry batch pipeline level refusal; do scenario "$name"; done
        ;;
    secured) scenario 'password, TLS' ;;
    kill) scenario 'node killed' "redis-cli-$VARIANT" false ;;
esac
