#!/usr/bin/env bash
# Runs full-size transfers: 1,000 of 1,000,000 bytes at 10 % loss each way, in memory and with the program over loopback; then
# with the program without loss. Usage: scripts/broadcast.sh [TRANSFERS] [WINDOW]; BIN=FILE uses that program instead of
# building one. Works from any directory; listens on 127.0.0.1:23901 and 23902.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

transfers=${1:-1000}
window=${2:-32}
port=23901
dir=$(mktemp -d)
server=

finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM

program=${BIN:-}
if [ -z "$program" ]; then
    need_build_tools
    say 'Under loss, in memory'
    TRANSFER_BYTES=1000000 TRANSFERS=$transfers cargo test --release --quiet --test broadcast no_transfer -- --nocapture
    cargo build --release --quiet
    program=$(target_dir)/release/fsu-mock
fi

"$program" init "$dir/fleet" >/dev/null
cat >"$dir/fleet/sys_config.json" <<END
{"fsu_list": [
  {"fsuname": "lossy", "port": $port, "protocol_type": "broadcast", "config_dir": "./sites/broadcast", "faults": {"drop": 0.1}},
  {"fsuname": "sound", "port": $((port + 1)), "protocol_type": "broadcast", "config_dir": "./sites/broadcast"}
]}
END
"$program" run --config "$dir/fleet" --performance --log-dir "$dir/logs" --stats "$dir/stats.json" \
    --fault-ledger "$dir/ledger.jsonl" >"$dir/out" 2>&1 &
server=$!
for _ in $(seq 100); do
    grep -q '^ready' "$dir/out" && break
    sleep 0.1
done
grep -q '^ready' "$dir/out" || fail "the program does not start: $(cat "$dir/out")"
flood=("$program" flood --config "$dir/fleet" --broadcast --quiet)

say "Under loss, over loopback: $transfers transfers of 1,000,000 bytes, 10 % of the datagrams lost each way"
"${flood[@]}" --fsu lossy --mix 41 --requests "$transfers" --seconds 3600 --window "$window" --sockets 4 --drop 10 \
    --timeout-ms 20 --retries 12 --max-loss 1

say 'Without loss: 1,000,000 bytes (41)'
"${flood[@]}" --fsu sound --mix 41 --window 4 --seconds 5
say 'Without loss: one data frame (21)'
"${flood[@]}" --fsu sound --mix 21 --window 16 --seconds 5
say 'Without loss: no data (51)'
"${flood[@]}" --fsu sound --mix 51 --window 16 --seconds 5

kill -TERM "$server"
wait "$server" || fail "the program ended with exit code $?"
server=
say 'What the program says'
grep -E 'transfers were|made on purpose|drop' "$dir/out" || tail -n 5 "$dir/out"
printf '%s lines in the fault ledger\n' "$(wc -l <"$dir/ledger.jsonl")"
