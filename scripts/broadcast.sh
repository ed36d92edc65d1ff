#!/usr/bin/env bash
# Transfers in full size: 1,000 of 1,000,000 bytes under 10 % loss each way, in memory; then the program over loopback.
# Usage: scripts/broadcast.sh [TRANSFERS] [SOCKETS]. Works from any directory; listens on 127.0.0.1:23901.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

transfers=${1:-1000}
sockets=${2:-4}
port=23901
dir=$(mktemp -d)
server=

finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$dir"
}
trap finish EXIT

say 'Under loss'
TRANSFER_BYTES=1000000 TRANSFERS=$transfers cargo test --release --quiet --test broadcast no_transfer -- --nocapture

say 'Over loopback'
cargo build --release --quiet
program=target/release/fsu-mock
"$program" init "$dir/fleet" >/dev/null
cat >"$dir/fleet/sys_config.json" <<END
{"fsu_list": [{"fsuname": "broadcast", "port": $port, "protocol_type": "broadcast", "config_dir": "./sites/broadcast"}]}
END
"$program" run --config "$dir/fleet" --performance --log-dir "$dir/logs" >"$dir/out" 2>&1 &
server=$!
for _ in $(seq 100); do
    grep -q '^ready' "$dir/out" && break
    sleep 0.1
done
grep -q '^ready' "$dir/out" || fail "the program does not start: $(cat "$dir/out")"
ask=("$program" ask --config "$dir/fleet" --fsu broadcast --parallel "$sockets")
echo "1,000,000 bytes (41):"
"${ask[@]}" --cmd 41 --repeat "$transfers"
echo "one data frame (21):"
"${ask[@]}" --cmd 21 --repeat 50000
echo "no data (51):"
"${ask[@]}" --cmd 51 --para 5A --repeat 50000
