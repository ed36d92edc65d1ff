#!/usr/bin/env bash
# The tests of fsu-plan and fsu-core under Miri, which finds undefined behaviour. Neither crate has `unsafe` code, so this
# checks the crates that they use. Needs a nightly toolchain with Miri, and says so.
# Other tests can be named: miri.sh wire::envelope.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

need_build_tools
have rustup || fail "rustup is missing: Miri is a component of a nightly toolchain"
rustup run nightly rustc --version >/dev/null 2>&1 || fail "a nightly toolchain is missing: rustup toolchain install nightly"
if ! cargo +nightly miri --version >/dev/null 2>&1; then
    rustup component add --toolchain nightly miri rust-src >/dev/null 2>&1 ||
        fail "Miri is missing: rustup component add --toolchain nightly miri rust-src"
fi

# Tests of the compiler write their configurations to files. Miri is some hundred times slower than the machine.
export MIRIFLAGS="${MIRIFLAGS:-} -Zmiri-disable-isolation"
export PROPTEST_CASES=${PROPTEST_CASES:-4}
exec cargo +nightly miri test --locked -p fsu-plan -p fsu-core --lib -- "$@"
