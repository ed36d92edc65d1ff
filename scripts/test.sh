#!/usr/bin/env bash
# Everything that CI runs, on a fresh Debian with Rust: installs or names what is missing, then stops at the first step
# that fails and says which. Works from any directory.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

step=prerequisites
trap 'tell_failure $?' EXIT

tell_failure() {
    [ "$1" -eq 0 ] || printf '\nFAILED: %s\n' "$step" >&2
}

# run NAME COMMAND...: one step.
run() {
    step=$1
    shift
    say "$step"
    "$@"
}

# component NAME SUBCOMMAND: installs a toolchain component with a cargo subcommand.
component() {
    cargo "$2" --version >/dev/null 2>&1 && return 0
    have rustup && rustup component add "$1" >/dev/null 2>&1
    cargo "$2" --version >/dev/null 2>&1 || fail "cargo $2 is missing: rustup component add $1"
}

lint_scripts() {
    local scripts=(scripts/*.sh bench/*.sh deploy/*/*.sh .ci/run)
    for script in "${scripts[@]}"; do
        bash -n "$script"
    done
    if have shellcheck || apt_install shellcheck; then
        shellcheck -x "${scripts[@]}"
    else
        echo "shellcheck is not installed and cannot be: only the syntax was checked"
    fi
}

check_configurations() {
    local directory
    for directory in config docs/examples/*/; do
        printf '%s: ' "${directory%/}"
        cargo run --quiet --locked -- check --strict "$directory"
    done
}

say "$step"
need_build_tools
component rustfmt fmt
component clippy clippy
need promtool prometheus "tests/control checks the metrics with it"
need zsh zsh "tests/control completes words in it"
need fish fish "tests/control completes words in it"
need chromedriver chromium-driver "tests/page drives a browser with it"
need chromium chromium "tests/page looks at the dashboard in it"
raise_open_files
# A fixed seed for property tests, so that a failure is due to the change; nightly.sh uses new seeds.
export PROPTEST_RNG_SEED=${PROPTEST_RNG_SEED:-20261121}
printf '%s, %s, open files: %s\n' "$(cargo --version)" "$(cc --version | sed 1q)" "$(ulimit -n)"

run "format" cargo fmt --all --check
run "clippy" cargo clippy --locked --all-targets --all-features -- -D warnings
run "scripts" lint_scripts
run "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items
run "tests" cargo test --locked --all-features
run "charts" scripts/charts.sh
run "models" scripts/models.sh
run "shipped configurations" check_configurations

say "all steps passed"
