#!/usr/bin/env bash
# Serves a fleet for a long time under mixed stress: load over UDP and TCP, faults of every kind, connections that come and
# go, a reload every few seconds, every fourth with a broken file. Fails if memory or descriptors grow, if counts do not match
# the fault ledger, or if the program does not end properly. Bounded in time; listens on 127.0.0.1 only.
# Usage: scripts/soak.sh [MINUTES] [REQUESTS_A_SECOND]   (10 minutes, 2000 for each transport). Works from any directory.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

readonly RELOAD_SECONDS=5 LOAD_SECONDS=8 STOP_SECONDS=30
minutes=${1:-10} rate=${2:-2000}
[[ $minutes =~ ^[1-9][0-9]*$ && $rate =~ ^[1-9][0-9]*$ ]] || fail "usage: soak.sh [MINUTES] [REQUESTS_A_SECOND]"

need_build_tools
need python3 python3 "it judges the figures"
raise_open_files
cargo build --release --locked --quiet
program=$(target_dir)/release/fsu-mock
out=$PWD/target/soak
rm -rf "$out"
mkdir -p "$out"

mock='' load=''
finish() {
    for pid in $load $mock; do
        kill -KILL "$pid" 2>/dev/null || true
    done
}
trap finish EXIT
trap 'exit 130' INT TERM

# fleet FSUS DROP: writes the configuration and moves it into place.
fleet() {
    cat >"$out/next.json" <<END
{
  "log": {"dir": "$out/logs", "level": "warn"},
  "performance": {"enabled": true, "skip_delay": false, "skip_device_log": true},
  "faults": {
    "drop": $2, "duplicate": 0.01, "corrupt": 0.01, "bad_checksum": 0.01, "truncate": 0.01, "garbage": 0.01, "wrong_type": 0.01,
    "reorder_ms": {"p": 0.02, "ms": 40}, "extra_delay_ms": {"p": 0.02, "ms": 300}
  },
  "faults_at": [{"from_s": 20, "to_s": 25, "fsu": "soak_udp_0001*", "offline": true}],
  "fsu_list": [
    {"fsuname": "soak_udp", "fsuid": "3130303030303030", "port": 24000, "count": $1, "protocol_type": "udp",
     "heartbeat_interval": 2, "heartbeat_enable": true, "config_dir": "./sites/fleet", "faults": {"bad_verify": 0.01}},
    {"fsuname": "soak_tcp", "fsuid": "3230303030303030", "port": 25000, "count": 50, "protocol_type": "tcp",
     "config_dir": "./sites/bangsun_old",
     "faults": {"reset": 0.001, "stall": 0.0005, "half_close": 0.0005, "split": {"p": 0.05, "pieces": 3, "gap_ms": 5}}}
  ]
}
END
    mv "$out/next.json" "$out/fleet/sys_config.json"
}

# flood NAME OPTIONS...: one run. The faults cause wrong and lost replies; anything else is a failure.
flood() {
    local name=$1 rc=0
    shift
    "$program" flood --config "$out/load" --rate "$rate" --seconds "$LOAD_SECONDS" --timeout-ms 1500 --max-loss 100 --plain \
        --quiet --json "$out/$name.json" "$@" >"$out/$name.txt" 2>&1 || rc=$?
    [ "$rc" -le 1 ] || { echo "flood of $name: exit code $rc: $(tail -n 3 "$out/$name.txt")" >"$out/failed"; }
}

# keep_asking: asks until the end, with a fixed number of requests in flight.
keep_asking() {
    while [ ! -e "$out/over" ]; do
        flood udp --fsu 'soak_udp*' &
        flood tcp --fsu 'soak_tcp*' --tcp --connections 200
        wait
    done
}

"$program" init "$out/fleet" >/dev/null
fleet 300 0.01
cp -r "$out/fleet" "$out/load"
# What is asked for does not change: some FSUs are away for a while.
"$program" run --config "$out/fleet" --stats "$out/stats.json" --fault-ledger "$out/ledger.jsonl" >"$out/mock.txt" 2>"$out/mock.err" &
mock=$!
for _ in $(seq 100); do
    grep -qs '^ready' "$out/mock.txt" && break
    sleep 0.1
done
grep -q '^ready' "$out/mock.txt" || fail "it does not start: $(tail -n 5 "$out/mock.err")"
say "soak: $minutes minutes, 2 x $rate requests/s, figures in target/soak"
keep_asking &
load=$!

end=$((SECONDS + minutes * 60)) number=0
printf 'second\trss_kb\tdescriptors\n' >"$out/memory.tsv"
while [ "$SECONDS" -lt "$end" ]; do
    number=$((number + 1))
    case $((number % 4)) in
    0) echo '{"fsu_list": [{' >"$out/fleet/sys_config.json" ;;
    1) fleet 250 0.02 ;;
    2) fleet 300 0.01 ;;
    3) fleet 320 0 ;;
    esac
    kill -HUP "$mock"
    sleep "$RELOAD_SECONDS"
    [ -d "/proc/$mock" ] || fail "it has ended: $(tail -n 20 "$out/mock.err")"
    [ ! -e "$out/failed" ] || fail "$(cat "$out/failed")"
    printf '%d\t%d\t%d\n' "$SECONDS" "$(awk '/^VmRSS/ { print $2 }' "/proc/$mock/status")" \
        "$(find "/proc/$mock/fd" -mindepth 1 | wc -l)" >>"$out/memory.tsv"
done

: >"$out/over"
wait "$load"
load=
fleet 300 0.01
kill -HUP "$mock"
sleep "$RELOAD_SECONDS"
printf '%d\t%d\t%d\n' "$SECONDS" "$(awk '/^VmRSS/ { print $2 }' "/proc/$mock/status")" \
    "$(find "/proc/$mock/fd" -mindepth 1 | wc -l)" >>"$out/memory.tsv"
kill -TERM "$mock"
for _ in $(seq $((STOP_SECONDS * 10))); do
    kill -0 "$mock" 2>/dev/null || break
    sleep 0.1
done
code=0
wait "$mock" || code=$?
mock=
[ "$code" -eq 0 ] || fail "exit code $code: $(tail -n 20 "$out/mock.err")"
python3 scripts/soak.py "$out"
