#!/usr/bin/env bash
# Mutants of plan, wire, core and the log's queue: code changes that a test should notice (docs/internals/mutants.md).
# mutants.sh                     all of them: a day
# mutants.sh --sample N [SEED]   N random ones; the same seed (1) gives the same ones
# mutants.sh --only FILE         the mutants listed in FILE, one per line, as `cargo mutants --list` writes them
# MUTANTS_OUT (target/mutants) holds the copy of the sources, the builds and the outcomes; a RAM disk is faster. MUTANTS_ROUND
# (30) is the number of mutants after which the score is printed, and MUTANTS_UNTESTED=1 leaves out the tests without a mutant.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

# Mutants between two prints of the score. In an interrupted run the finished ones count.
ROUND=${MUTANTS_ROUND:-30}
# Seconds a mutant may take: far more than its tests do.
QUICK_MAX=60
SLOW_MAX=240

need_build_tools
need python3 python3 "it picks the sample"
if ! cargo mutants --version >/dev/null 2>&1; then
    say "installing cargo-mutants"
    cargo install --quiet --locked cargo-mutants || fail "cargo-mutants is missing and cannot be installed: cargo install cargo-mutants"
fi

here=$PWD
out=${MUTANTS_OUT:-$here/target/mutants}
tree=$out/tree
mkdir -p "$tree"
out=$(realpath "$out")
tree=$out/tree
rm -rf "$out"/round-* "$out"/part-*

# copy_sources: copies the files known to git. Times are kept, so that nothing is compiled twice.
copy_sources() {
    rm -rf "$tree"/{src,tests,config,docs}
    git ls-files -z --cached --others --exclude-standard | xargs -0 -r cp --parents --preserve=timestamps --target-directory "$tree" 2>/dev/null || true
}

# mutate NAME FILE SECONDS OPTION...: one run of cargo-mutants in the copy, over the mutants listed in FILE.
mutate() {
    local name=$1 file=$2 seconds=$3
    shift 3
    python3 scripts/mutants/pick.py config "$out/list.txt" "$file" "$out/$name"
    (cd "$tree" && "${linker[@]}" cargo mutants --in-place --iterate --baseline=skip --no-times --colors never \
        --config "$out/$name/config.toml" --output "$out/$name" --timeout "$seconds" --build-timeout 600 \
        --cargo-arg=--locked "$@" >"$out/$name.log" 2>&1) || true
}

export CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0
export PROPTEST_CASES=16 PROPTEST_RNG_SEED=20261121 PROPTEST_DISABLE_FAILURE_PERSISTENCE=1
export CARGO_TARGET_DIR=$out/target
runner=CARGO_TARGET_$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')_RUNNER
export "$runner=$here/scripts/mutants/runner.sh"
linker=()
have mold && linker=(mold -run)
wide=()
for test in computed lengths names places properties schema_agrees shipped vectors transfers; do
    wide+=("--cargo-arg=--test=$test")
done

say "sources"
copy_sources
cp scripts/mutants/mutants.toml "$out/all.toml"
(cd "$tree" && cargo mutants --list --config "$out/all.toml" >"$out/list.txt")
case ${1:-} in
--sample) python3 scripts/mutants/pick.py sample "$out/list.txt" "${2:?how many}" "${3:-1}" >"$out/sample.txt" ;;
--only) cp "${2:?a file}" "$out/sample.txt" ;;
"") python3 scripts/mutants/pick.py sample "$out/list.txt" 0 1 >"$out/sample.txt" ;;
*) fail "unknown: $1" ;;
esac
printf '%s of %s mutants\n' "$(wc -l <"$out/sample.txt")" "$(wc -l <"$out/list.txt")"

say "the tests, unchanged"
[ -n "${MUTANTS_UNTESTED:-}" ] || (cd "$tree" &&
    "${linker[@]}" cargo test --locked -p fsu-plan -p fsu-core -p fsu-serve --lib >"$out/baseline.log" 2>&1 &&
    "${linker[@]}" cargo test --locked -p fsu-core "${wide[@]#--cargo-arg=}" >>"$out/baseline.log" 2>&1) ||
    fail "they fail: $out/baseline.log"

split -l "$ROUND" -d -a 4 "$out/sample.txt" "$out/part-"
for part in "$out"/part-*; do
    round=round-${part##*-}
    mkdir -p "$out/$round"
    # The tests beside the code; those of the queue are another crate's. Then the tests that know the base format.
    grep -v '^src/serve/' "$part" >"$out/$round/quick.txt" || true
    grep '^src/serve/' "$part" >"$out/$round/queue.txt" || true
    mutate "$round/quick" "$out/$round/quick.txt" "$QUICK_MAX" --test-package=fsu-plan,fsu-core --cargo-arg=--lib
    [ ! -s "$out/$round/queue.txt" ] ||
        mutate "$round/queue" "$out/$round/queue.txt" "$QUICK_MAX" --test-package=fsu-serve --cargo-arg=--lib
    missed=$out/$round/quick/mutants.out/missed.txt
    [ ! -s "$missed" ] || mutate "$round/slow" "$missed" "$SLOW_MAX" --test-package=fsu-core "${wide[@]}"
    rm "$part"
    say "$round"
    python3 scripts/mutants/pick.py score "$out"
done
printf 'those that no test notices: %s\n' "$out/missed.txt"
