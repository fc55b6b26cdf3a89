#!/usr/bin/env bash
# Has the clients people already use work with a cluster of three real nodes, one of which is killed and started again.
#
#   run.sh [--quick] [--markdown FILE] [CLIENT...]
#
# Prints a table and exits with an error if anything fails that exceptions.txt does not explain, if something passes that
# it says cannot, or if nothing ran. CLIENTs are names of programs, such as redis_py; --quick takes those that are ready
# within seconds. What they need is installed below target/clients. SHOAL names the command; without it, it is built.
# Programs are told by TRY_... where nodes are and what they ask for.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
readonly HERE=node/tests/clients

readonly NODES=3 ZONES=(default) MEMORY=256MiB
readonly FIRST=${FIRST:-26500}
# How long the killed node stays away, how long all clients may take to begin, and each to end, in seconds.
readonly AWAY=7 BEGINNING=60 ENDING=180
export CARGO_TARGET_DIR=target

# A program and a variant of its client.
readonly QUICK=(
    'redis_cli single' 'redis_cli cluster'
    'redis_py resp2' 'redis_py resp3' 'redis_py cluster' 'redis_py asyncio' 'redis_py asyncio-cluster'
    'ioredis single' 'ioredis cluster'
    'grpc_python reflection' 'curl rest'
)
readonly SLOW=(
    'redis_benchmark single' 'redis_benchmark cluster'
    'node_redis resp2' 'node_redis resp3' 'node_redis cluster'
    'rust redis-sync' 'rust redis-async' 'rust redis-cluster' 'rust redis-cluster-async'
    'rust fred-single' 'rust fred-cluster'
    'grpc_js proto-loader'
)
markdown=''
clients=("${QUICK[@]}" "${SLOW[@]}")
named=()
while [[ $# -gt 0 ]]; do
    case $1 in
        --quick) clients=("${QUICK[@]}") ;;
        --markdown) markdown=$2 && shift ;;
        *) named+=("$1") ;;
    esac
    shift
done
if [[ ${#named[@]} -gt 0 ]]; then
    chosen=()
    for client in "${clients[@]}"; do
        for name in "${named[@]}"; do if [[ $client == "$name "* ]]; then chosen+=("$client"); fi; done
    done
    clients=("${chosen[@]}")
fi

"$HERE/install.sh" "${clients[@]}"
SHOAL=${SHOAL:-target/debug/shoal}
if [[ $SHOAL == target/debug/shoal ]]; then cargo build --locked --bin shoal; fi
source docs/images/cluster.sh
TRY_RESP=$(addresses 0) TRY_HTTP=$(addresses 1) TRY_GRPC=$(addresses 2)
export TRY_RESP TRY_HTTP TRY_GRPC TRY_MARKS=$WORK/marks NODE_PATH=$PWD/target/clients/node_modules
mkdir "$TRY_MARKS" "$WORK/results"

# Runs one program, in one of its modes; what it says is kept.
try() {
    local program=$1 variant=$2 mode=$3 status=0 command
    case $program in
        rust) command=(target/clients/rust/debug/shoal-foreign-clients) ;;
        *) command=("$HERE"/*/"$program".*) ;;
    esac
    case ${command[0]} in
        *.py) command=(target/clients/venv/bin/python "${command[0]}") ;;
        *.js) command=(node "${command[0]}") ;;
    esac
    timeout "$ENDING" "${command[@]}" "$variant" "$mode" >>"$WORK/results/$program $variant" 2>"$WORK/complaints" || status=$?
    if [[ $status -ne 0 ]]; then
        echo "{\"ended\": $status, \"mode\": \"$mode\"}" >>"$WORK/results/$program $variant"
        sed "s/^/$program $variant: /" "$WORK/complaints" | tail -n 20
    fi
}

# All clients at once, while the first node dies.
kill_node() {
    local client jobs=() began=$SECONDS
    for client in "$@"; do
        # Two words.
        # shellcheck disable=SC2086
        try $client kill &
        jobs+=($!)
    done
    until [[ $(find "$TRY_MARKS" -name 'ready-*' | wc -l) -eq ${#jobs[@]} || $((SECONDS - began)) -gt $BEGINNING ]]; do sleep 0.1; done
    touch "$TRY_MARKS/killed"
    end "${started[0]}"
    sleep "$AWAY"
    start_node 0
    ready 0
    touch "$TRY_MARKS/back"
    wait "${jobs[@]}"
}

# A CA, and a certificate of it for these nodes.
certify() {
    local subject=subjectAltName=IP:127.0.0.1,DNS:localhost
    (
        cd "$WORK"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.pem
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout node.key -out node.csr
        openssl x509 -req -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile <(echo "$subject") -out node.pem
    ) 2>"$WORK/openssl.log" || fail "$(cat "$WORK/openssl.log")"
}

# A new cluster, which asks for a password and speaks nothing but TLS.
secure_nodes() {
    end "${started[@]}"
    rm -rf "$WORK"/state-*
    certify
    export TRY_PASSWORD=not-to-be-guessed-easily TRY_TLS_CA=$WORK/ca.pem
    echo "$TRY_PASSWORD" >"$WORK/password"
    chmod 600 "$WORK/password"
    SCHEME=https CURL_CA_BUNDLE=$TRY_TLS_CA start_nodes --password-file "$WORK/password" \
        --tls-cert-file "$WORK/node.pem" --tls-key-file "$WORK/node.key" --tls-ca-file "$TRY_TLS_CA"
}

start_nodes
for client in "${clients[@]}"; do
    echo "$client"
    # shellcheck disable=SC2086
    try $client basics
done
surviving=()
for client in "${clients[@]}"; do if [[ $client != redis_benchmark* ]]; then surviving+=("$client"); fi; done
echo "a node is killed under ${#surviving[@]} clients"
kill_node "${surviving[@]}"
secure_nodes
echo "a password and TLS"
for client in "${clients[@]}"; do
    # shellcheck disable=SC2086
    try $client secured
done
python3 "$HERE/table.py" "$WORK/results" "$HERE/exceptions.txt" ${markdown:+"$markdown"}
