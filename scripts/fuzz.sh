#!/usr/bin/env bash
# Fuzzes every target for a while, one after another: fuzz.sh [SECONDS [TARGET...]]; 60 s each without more.
# Needs a nightly toolchain and cargo-fuzz, and says so. Ends with 1 when there was a finding; the input that shows it is
# under fuzz/artifacts then. With --keep in front what is new goes into fuzz/corpus, the smallest inputs only.
# FUZZ_BYTES_MAX bounds the inputs.
# FUZZ_OPTIONS is handed to cargo fuzz: "--sanitizer address" looks for memory errors, "--no-trace-compares" runs faster.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

# Bytes of the longest input: enough for a few frames where the target is fast on short ones.
declare -A bytes_max=([outer]=320 [inner]=320 [framer]=320 [config]=8192 [replies]=1024 [log_text]=1024)
read -ra cargo_options <<<"--sanitizer none ${FUZZ_OPTIONS:-}"
keep=false
if [ "${1:-}" = --keep ]; then
    keep=true
    shift
fi
seconds=${1:-60}
case $seconds in '' | *[!0-9]*) fail "$seconds is no number of seconds" ;; esac
[ "$#" -eq 0 ] || shift
targets=("$@")

need_build_tools
have rustup || fail "rustup is missing: fuzzing needs a nightly toolchain"
rustup run nightly rustc --version >/dev/null 2>&1 || fail "a nightly toolchain is missing: rustup toolchain install nightly"
cargo fuzz --version >/dev/null 2>&1 || fail "cargo-fuzz is missing: cargo install cargo-fuzz"
need c++ build-essential "libFuzzer is C++"

if [ "${#targets[@]}" -eq 0 ]; then
    mapfile -t targets < <(cargo +nightly fuzz list)
fi
say "build, ${cargo_options[*]}"
cargo +nightly fuzz build "${cargo_options[@]}"

work=fuzz/target/run
mkdir -p "$work/tmp"
export TMPDIR=$PWD/$work/tmp
log=$work/executions.tsv
findings=()

# run TARGET: fuzzes it; what is new is kept beside the corpus.
run() {
    local target=$1 grown=$work/corpus/$1 out=$work/$1.log options rc=0
    mkdir -p "$grown"
    options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=3072 -max_len="${FUZZ_BYTES_MAX:-${bytes_max[$target]:-2048}}"
        -print_final_stats=1 -verbosity=1)
    [ ! -e "fuzz/$target.dict" ] || options+=(-dict="fuzz/$target.dict")
    say "$target, $seconds s"
    cargo +nightly fuzz run "${cargo_options[@]}" "$target" "$grown" "fuzz/corpus/$target" -- "${options[@]}" \
        >"$out" 2>&1 || rc=$?
    local executions coverage
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out")
    coverage=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$out" | tail -1)
    printf '%s\t%s\t%s\n' "$target" "${executions:-0}" "$seconds" >>"$log"
    printf '%s executions, %s edges\n' "${executions:-?}" "${coverage:-?}"
    if [ "$rc" -ne 0 ]; then
        findings+=("$target")
        grep -E 'panicked|SUMMARY|ERROR|Test unit written' -A3 "$out" >&2 || tail -20 "$out" >&2
    fi
}

# smallest TARGET: the corpus again, of the smallest inputs that reach what the old and the new ones reach.
smallest() {
    local into=$work/smallest/$1
    rm -rf "$into"
    mkdir -p "$into"
    cargo +nightly fuzz run "${cargo_options[@]}" "$1" "$into" "$work/corpus/$1" "fuzz/corpus/$1" -- -merge=1 \
        -max_len="${bytes_max[$1]:-2048}" >"$work/$1.merge.log" 2>&1 || { tail -20 "$work/$1.merge.log" >&2; return 1; }
    rm -f "fuzz/corpus/$1"/*
    cp "$into"/* "fuzz/corpus/$1/"
}

for target in "${targets[@]}"; do
    run "$target"
    if $keep; then
        smallest "$target"
    fi
done
rm -rf "$work/tmp"

say "executions so far ($log)"
awk -F '\t' '{ n[$1] += $2; all += $2 } END { for (t in n) printf "%-10s %15d\n", t, n[t]; printf "%-10s %15d\n", "all", all }' "$log"
[ "${#findings[@]}" -eq 0 ] || fail "findings in: ${findings[*]} (inputs under fuzz/artifacts)"
