#!/usr/bin/env bash
# Checks that take too long for every change: advisories, licences and sources of all crates, properties over new cases, the drivers over more
# seeds, every system call and allocation made to fail, instructions counted, every fuzz target for a while, Miri, models with larger
# bounds.
# nightly.sh [SECONDS]: time for each fuzz target (60). Works from any directory; installs missing tools once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

# need_deny: cargo-deny, compiled once if missing, which takes minutes.
need_deny() {
    cargo deny --version >/dev/null 2>&1 && return 0
    say "installing cargo-deny"
    cargo install --quiet --locked cargo-deny || fail "cargo-deny is missing and cannot be installed: cargo install cargo-deny"
}

# need_fuzz: a nightly toolchain beside the stable one, and cargo-fuzz.
need_fuzz() {
    have rustup || fail "rustup is missing: fuzzing and Miri need a nightly toolchain beside the stable one"
    if ! rustup run nightly rustc --version >/dev/null 2>&1; then
        say "installing a nightly toolchain"
        rustup toolchain install nightly --profile minimal || fail "no nightly toolchain: rustup toolchain install nightly"
    fi
    cargo fuzz --version >/dev/null 2>&1 && return 0
    say "installing cargo-fuzz"
    cargo install --quiet --locked cargo-fuzz || fail "cargo-fuzz is missing and cannot be installed: cargo install cargo-fuzz"
}

need_build_tools
need valgrind valgrind "instructions are counted with it"
need_deny
need_fuzz
say "advisories, licences, sources"
cargo deny --all-features check

say "properties, cases never tried before"
PROPTEST_CASES=50000 cargo test --locked --release --test properties --test transfers

say "requests by profile and without, a million of the shipped templates"
PROPTEST_CASES=1000000 cargo test --locked --release --test profiles profiles_answer_shipped
PROPTEST_CASES=50000 cargo test --locked --release --test profiles profiles_answer_random

say "the drivers over a simulated kernel, 100,000 seeds"
FSU_MOCK_SEEDS=${FSU_MOCK_SEEDS:-100000} cargo test --locked --release -p fsu-serve --lib driven::with_any

say "every system call and every allocation fails; twice the input, twice the work"
FSU_MOCK_THOROUGH=1 cargo test --locked --release --test failing --test complexity -- --nocapture

say "fuzz"
scripts/fuzz.sh "${1:-60}"

say "miri"
scripts/miri.sh

say "models"
MODELS_LARGE=1 scripts/models.sh

say "all steps passed"
