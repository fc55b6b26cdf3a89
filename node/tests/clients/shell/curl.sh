#!/usr/bin/env bash
# curl, against the HTTP door.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

readonly MODE=$2
CACHE=http://$(address HTTP 0)/cache
readonly JSON='Content-Type: application/json' BYTES='Content-Type: application/octet-stream'
SCRATCH=$(mktemp -d)
readonly SCRATCH
trap 'rm -rf "$SCRATCH"' EXIT
curl=(curl -s --max-time 5)

connect() {
    expect_like '{"ready":true*' "${curl[@]}" "${CACHE%cache}health/ready"
}

set_get() {
    expect '{"status":"stored"}' "${curl[@]}" "$CACHE/curl:a" -H "$JSON" -d '{"value": "hello"}'
    expect '{"value":"hello"}' "${curl[@]}" "$CACHE/curl:a"
    expect 404 "${curl[@]}" -o "$SCRATCH/missing" -w '%{http_code}' "$CACHE/curl:missing"
}

binary() {
    head -c 65536 /dev/urandom >"$SCRATCH/value"
    expect 204 "${curl[@]}" -w '%{http_code}' -X PUT "$CACHE/curl%00%FF" -H "$BYTES" --data-binary "@$SCRATCH/value"
    "${curl[@]}" -f "$CACHE/curl%00%FF" -H 'Accept: application/octet-stream' >"$SCRATCH/got" || fail "it cannot be read"
    cmp "$SCRATCH/value" "$SCRATCH/got" || fail "another value came back"
}

delete() {
    expect '{"status":"stored"}' "${curl[@]}" "$CACHE/curl:gone" -H "$JSON" -d '{"value": "x"}'
    expect '{"status":"deleted","existed":true}' "${curl[@]}" -X DELETE "$CACHE/curl:gone"
    expect 404 "${curl[@]}" -o "$SCRATCH/gone" -w '%{http_code}' "$CACHE/curl:gone"
}

expiry() {
    expect '{"status":"stored"}' "${curl[@]}" "$CACHE/curl:expiring" -H "$JSON" -d '{"value": "x", "ttlSeconds": 1}'
    expect_like '@([0-9]|[0-9][0-9]|[0-9][0-9][0-9]|1000)' "${curl[@]}" -o "$SCRATCH/ttl" -w '%header{shoal-ttl-ms}' "$CACHE/curl:expiring"
    until [[ $("${curl[@]}" -o "$SCRATCH/ttl" -w '%{http_code}' "$CACHE/curl:expiring") == 404 ]]; do sleep 0.05; done
    echo "whole seconds"
}

batch() {
    local i
    for i in 1 2 3; do expect 201 "${curl[@]}" -o "$SCRATCH/set" -w '%{http_code}' "$CACHE/curl:$i" -H "$JSON" -d "{\"value\": \"$i\"}"; done
    expect '{"curl:1":"1","curl:2":"2","curl:missing":null}' "${curl[@]}" "$CACHE?keys=curl:1,curl:2,curl:missing"
    echo "reads"
}

pipeline() {
    local codes
    codes=$("${curl[@]}" --max-time 60 -o "$SCRATCH/piped" -w '%{http_code} %{num_connects}\n' -H "$JSON" -d '{"value": "x"}' \
        "$CACHE/curl:p[1-1000]" | awk '$1 == 201 { stored++ } { connections += $2 } END { print stored, connections }')
    [[ $codes == '1000 1' ]] || fail "stored and connections: $codes"
    echo "one after another"
}

level() {
    expect QUORUM "${curl[@]}" -o "$SCRATCH/put" -w '%header{shoal-reached}' -X PUT "$CACHE/curl:level?consistency=quorum" -H "$BYTES" -d x
    expect ALL "${curl[@]}" -o "$SCRATCH/get" -w '%header{shoal-reached}' "$CACHE/curl:level" -H 'Shoal-Consistency: all'
    expect_like '*unknown consistency level*' "${curl[@]}" "$CACHE/curl:level?consistency=most"
}

refusal() {
    expect_like '*"kind":"unsupported"*' "${curl[@]}" -X PUT "$CACHE/curl:a" -H "$BYTES" -H 'If-None-Match: *' -d x
}

# A cluster that asks for a password and speaks nothing but TLS.
password_TLS() {
    local secure=${CACHE/http:/https:}/curl:secret
    curl+=(--cacert "$TRY_TLS_CA" -w '%{http_code}')
    expect 204 "${curl[@]}" -X PUT "$secure" -u "default:$TRY_PASSWORD" -H "$BYTES" -d secret
    expect '{"value":"secret"}200' "${curl[@]}" "$secure" -H "Authorization: Bearer $TRY_PASSWORD"
    expect_like '*401' "${curl[@]}" "$secure" -u 'default:not the password'
    expect_like '*401' "${curl[@]}" "$secure"
    expect_like '*000' "${curl[@]}" "$CACHE/curl:secret" -u "default:$TRY_PASSWORD"
}

# Any node will do: the next one is asked when one is away.
write() {
    local node
    for node in 0 1 2; do
        if "${curl[@]}" -f -X PUT "http://$(address HTTP $node)/cache/$1?consistency=quorum" -H "$BYTES" -d "$1"; then return; fi
    done
    return 1
}
read_back() {
    local node
    for node in 0 1 2; do
        if "${curl[@]}" -f "http://$(address HTTP $node)/cache/$1?consistency=quorum" -H 'Accept: application/octet-stream'; then return; fi
    done
    return 1
}

client "curl $(curl --version | head -n 1 | cut -d' ' -f2)"
shopt -s extglob
case $MODE in
    basics)
        for name in connect 'set, get' binary delete expiry batch pipeline level refusal; do scenario "$name"; done
        ;;
    secured) scenario 'password, TLS' ;;
    kill) scenario 'node killed' curl true ;;
esac
