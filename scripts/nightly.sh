#!/usr/bin/env bash
# What takes too long for every change: advisories, licences and sources of all crates, every fuzz target for a while, Miri.
# nightly.sh [SECONDS]: so long for each target (60). Works from any directory; needs a nightly toolchain.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

# need_deny: cargo-deny, compiled once if it is not there; that takes minutes.
need_deny() {
    cargo deny --version >/dev/null 2>&1 && return 0
    say "installing cargo-deny"
    cargo install --quiet --locked cargo-deny || fail "cargo-deny is missing and cannot be installed: cargo install cargo-deny"
}

need_build_tools
need_deny
say "advisories, licences, sources"
cargo deny --all-features check

say "fuzz"
scripts/fuzz.sh "${1:-60}"

say "miri"
scripts/miri.sh

say "all steps passed"
