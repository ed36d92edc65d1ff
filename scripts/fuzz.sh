#!/usr/bin/env bash
# Fuzzes every target in turn: fuzz.sh [SECONDS [TARGET...]]; by default 60 s each.
# Needs a nightly toolchain and cargo-fuzz, and says so. Exits with 1 if there was a finding; its input is then under
# fuzz/artifacts. With --keep first, new inputs are added to fuzz/corpus, reduced to the smallest ones.
# FUZZ_BYTES_MAX limits the size of inputs. FUZZ_RUNS=10000000 runs each target this many times, regardless of time.
# FUZZ_OPTIONS is passed to cargo fuzz: "--sanitizer address" looks for memory errors, "--no-trace-compares" runs faster.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

# Bytes of the longest input: enough for a few frames.
declare -A bytes_max=([outer]=320 [inner]=320 [framer]=320 [config]=4096 [replies]=512 [envelopes]=96 [expressions]=256 [shapes]=512 [log_text]=1024 [sockets]=160)
# Seconds that one input may take: 10, but for the one that itself gives a shard half a minute.
declare -A input_seconds=([sockets]=60)
# Where an input is slow, how often an edge was taken is not looked at: fewer inputs are kept, and each costs less.
declare -A more_options=([config]=-use_counters=0 [sockets]=-use_counters=0 [expressions]=-use_counters=0 [shapes]=-use_counters=0)
# Two of the targets are beyond the format and the conversation.
read -ra cargo_options <<<"--features serving ${FUZZ_OPTIONS:-}"
case " ${cargo_options[*]} " in
*" --sanitizer "*) ;;
*) cargo_options+=(--sanitizer none) ;;
esac
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

# run TARGET: fuzzes it; new inputs are kept beside the corpus.
run() {
    local target=$1 grown=$work/corpus/$1 out=$work/$1.log options rc=0
    mkdir -p "$grown"
    options=(-timeout="${input_seconds[$target]:-10}" -rss_limit_mb=3072 -max_len="${FUZZ_BYTES_MAX:-${bytes_max[$target]:-2048}}"
        -print_final_stats=1 -verbosity=1)
    [ -z "${more_options[$target]:-}" ] || options+=("${more_options[$target]}")
    if [ -n "${FUZZ_RUNS:-}" ]; then
        options+=(-runs="$FUZZ_RUNS")
        say "$target, $FUZZ_RUNS executions"
    else
        options+=(-max_total_time="$seconds")
        say "$target, $seconds s"
    fi
    [ ! -e "fuzz/$target.dict" ] || options+=(-dict="fuzz/$target.dict")
    cargo +nightly fuzz run "${cargo_options[@]}" "$target" "$grown" "fuzz/corpus/$target" -- "${options[@]}" \
        >"$out" 2>&1 || rc=$?
    local executions coverage
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out")
    # One that was killed has no statistics, but its lines begin with the number so far.
    executions=${executions:-$(sed -n 's/^#\([0-9]*\)\t.*/\1/p' "$out" | tail -1)}
    coverage=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$out" | tail -1)
    printf '%s\t%s\t%s\n' "$target" "${executions:-0}" "$seconds" >>"$log"
    printf '%s executions, %s edges\n' "${executions:-?}" "${coverage:-?}"
    if [ "$rc" -ne 0 ]; then
        findings+=("$target")
        grep -E 'panicked|SUMMARY|ERROR|Test unit written' -A3 "$out" >&2 || tail -20 "$out" >&2
    fi
}

# smallest TARGET: rebuilds the corpus from the smallest inputs with the same coverage as the old and new ones.
smallest() {
    local into=$work/smallest/$1
    rm -rf "$into"
    mkdir -p "$into"
    cargo +nightly fuzz run "${cargo_options[@]}" "$1" "$into" "$work/corpus/$1" "fuzz/corpus/$1" -- \
        -set_cover_merge=1 -use_counters=0 \
        -max_len="${bytes_max[$1]:-2048}" >"$work/$1.merge.log" 2>&1 || { tail -20 "$work/$1.merge.log" >&2; return 1; }
    # Inputs of findings stay, even if others have the same coverage.
    find "fuzz/corpus/$1" -type f ! -name 'finding_*' -delete
    cp "$into"/* "fuzz/corpus/$1/"
}

# table: the executions of every target so far, most first, as docs/internals/reliability.md has them.
table() {
    printf '| target | executions |\n|---|---|\n'
    awk -F '\t' '{ n[$1] += $2; all += $2 } END { for (t in n) printf "%d\t`%s`\n", n[t], t; printf "%d\tall\n", all }' "$log" |
        sort -rn | sed -E ':a; s/^([0-9]+)([0-9]{3})/\1,\2/; ta; s/^(.*)\t(.*)$/| \2 | \1 |/'
}

for target in "${targets[@]}"; do
    run "$target"
    if $keep; then
        smallest "$target"
    fi
done
rm -rf "$work/tmp"

say "executions so far ($log)"
table
[ "${#findings[@]}" -eq 0 ] || fail "findings in: ${findings[*]} (inputs under fuzz/artifacts)"
