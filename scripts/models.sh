#!/usr/bin/env bash
# The log's queue and the commands of shards under loom, which tries every order of their steps (docs/internals/models.md).
# MODELS_LARGE=1: with larger bounds, for minutes. Arguments go to the tests: models.sh past_half.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

need_build_tools

# ring_source: the directory of the ring's crate, in the version that the program uses.
ring_source() {
    cargo metadata --format-version 1 --locked | tr '{,' '\n' | sed -n 's/^"manifest_path":"\(.*\/rtrb-[0-9.]*\)\/Cargo.toml"$/\1/p' | sed 1q
}

# The unchanged ring, with loom's atomics.
source=$(ring_source)
[ -d "$source" ] || fail "the source of rtrb is not where cargo says: '$source'"
ring=target/models/rtrb
rm -rf "$ring"
mkdir -p "$ring"
cp -r "$source/src" "$source/Cargo.toml" "$ring"
chmod -R u+w "$ring"
sed -i 's/core::sync::atomic::/loom::sync::atomic::/' "$ring"/src/*.rs
grep -q 'loom::sync::atomic::{AtomicU8, AtomicUsize, Ordering}' "$ring/src/lib.rs" || fail "rtrb names its atomics in another way now"
# Without its tests and benchmarks.
sed -i '/^\[\[/,$d' "$ring/Cargo.toml"
printf '[dependencies]\nloom = "0.7"\n' >>"$ring/Cargo.toml"

CARGO_TARGET_DIR=$PWD/target/models/target exec cargo test --quiet --locked --manifest-path models/Cargo.toml -- "$@"
