# What the scripts in this folder share: a line of JSON per scenario, and the loop in which a node dies.
# shellcheck shell=bash

# How long a client may fail after the node it needs is gone or back, and how long it is watched then, in milliseconds.
PATIENCE=5000
WATCH=6000

# The address of a node at a door, the one that will be killed first.
address() {
    local variable=TRY_$1
    cut -d, -f"$(($2 + 1))" <<<"${!variable}"
}

client() {
    echo "{\"client\": \"$1\"}"
}

# Runs one scenario, a function of that name with underscores; what it prints last is worth a note.
scenario() {
    local said ok=true name=${1//, /_}
    said=$("${name// /_}" "${@:2}" 2>&1) || ok=false
    said=$(tail -n 1 <<<"$said" | tr -d '"\\' | tr -c '[:print:]' ' ')
    echo "{\"scenario\": \"$1\", \"ok\": $ok, \"note\": \"${said% }\"}"
}

# Fails unless a command prints this.
expect() {
    local wanted=$1 got
    shift
    got=$("$@" 2>&1) || true
    [[ $got == "$wanted" ]] || fail "$*: $got instead of $wanted"
}

# Fails unless a command prints something like this.
expect_like() {
    local wanted=$1 got
    shift
    got=$("$@" 2>&1) || true
    # The pattern is meant as one.
    # shellcheck disable=SC2053
    [[ $got == $wanted ]] || fail "$*: $got instead of $wanted"
}

fail() {
    echo "$*"
    exit 1
}

# Milliseconds since 1970: now, or when the script left a mark, if it has.
now() {
    date +%s%3N
}
mark() {
    [[ -e $TRY_MARKS/$1 ]] && date +%s%3N -r "$TRY_MARKS/$1"
}

# Writes and reads by the functions `write` and `read_back` while a node is killed and started again. The first argument
# names the client, the second says whether it knows several nodes.
node_killed() {
    local name=$1 several=$2 kept=() errors=() back='' key at killed start late
    while [[ -z $back || $(now) -lt $((back + WATCH)) ]]; do
        key=$name:${#kept[@]}:${#errors[@]}
        if write "$key" && kept+=("$key") && got=$(read_back "${kept[RANDOM % ${#kept[@]}]}"); then
            [[ $got == "$name":* ]] || fail "read $got"
        else
            errors+=("$(now)")
        fi
        if [[ ${#kept[@]} -eq 50 ]]; then touch "$TRY_MARKS/ready-$name"; fi
        back=$(mark back || true)
        sleep 0.02
    done
    for key in "${kept[@]}"; do expect "$key" read_back "$key"; done
    killed=$(mark killed)
    if $several; then start=$((killed + PATIENCE)); else start=$back; fi
    late=0
    for at in "${errors[@]}"; do
        if ((at < killed || (start < at && at < back) || at > back + PATIENCE)); then late=$((late + 1)); fi
    done
    [[ $late -eq 0 ]] || fail "$late of ${#errors[@]} errors came too late"
    echo "${#errors[@]} failed; ${#kept[@]} writes kept"
}
