#!/usr/bin/env bash
# Runs each fuzz target for so many executions, beginning with the inputs that are kept: node/fuzz/run.sh [RUNS] [TARGET...]
# What it finds on its way stays in target/fuzz for the next time; what breaks a target is named and kept there. Ends with
# 1 when a target broke, took more than 512 MiB, or was run less often than asked.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly CARGO_FUZZ=0.13.2
readonly RUNS=${1:-1000000}
shift || true
# No sanitizer: nothing of ours is unsafe, and what is looked for are panics, hangs and memory.
readonly OPTIONS=(--fuzz-dir node/fuzz --sanitizer none --target-dir target/fuzz)
# Cargo-fuzz passes a flag that only nightly compilers know, or those that are told so.
export RUSTC_BOOTSTRAP=1 CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}

[[ $(cargo fuzz --version 2>/dev/null) == *" $CARGO_FUZZ" ]] || cargo install --locked --debug "cargo-fuzz@$CARGO_FUZZ"
targets=("$@")
[[ ${#targets[@]} -gt 0 ]] || mapfile -t targets < <(cargo fuzz list --fuzz-dir node/fuzz)
# The versions that the product is built with.
cp Cargo.lock node/fuzz/Cargo.lock
cargo fuzz build "${OPTIONS[@]}"
for target in "${targets[@]}"; do
    corpus=target/fuzz/corpus/$target
    mkdir -p "$corpus" target/fuzz/broken
    log=target/fuzz/$target.log
    echo "=== $target"
    cargo fuzz run "${OPTIONS[@]}" "$target" "$corpus" "node/fuzz/seeds/$target" -- \
        -runs="$RUNS" -max_len=4096 -timeout=10 -rss_limit_mb=512 -print_final_stats=1 \
        -artifact_prefix="target/fuzz/broken/$target-" 2>&1 | tee "$log" |
        grep -v -E '^#[0-9]+\s+(NEW|REDUCE|RELOAD|pulse)'
    executed=$(awk '/^stat::number_of_executed_units:/ { print $2 }' "$log")
    if ((${executed:-0} < RUNS)); then
        echo "error: $target was to be run $RUNS times and was ${executed:-0} times" >&2
        exit 1
    fi
done
