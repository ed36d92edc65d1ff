#!/usr/bin/env bash
# Plays one of the scenarios of config/scenarios: a fleet that speaks first, and a centre that has to hold. Without --to the
# centre is `fsu-mock flood --listen`, and both ledgers are compared message by message. Ends with one line that says whether
# the centre held; exit code 0: it did, 1: it did not, 2: it could not be played, or nothing tells.
#
#   scripts/scenario.sh power-cut                     our own centre, on 127.0.0.1
#   scripts/scenario.sh power-cut --to 192.0.2.1:9000 your centre
#   scripts/scenario.sh slow-centre --fsus 500 --seconds 20
#
# FSU_MOCK=PROGRAM uses that program instead of building it. Results stay in target/scenarios/NAME.
set -euo pipefail
# The lines below wait for words of the program.
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    echo "scenarios: $(cd config/scenarios && printf '%s ' */sys_config.json | sed 's#/sys_config.json##g')" >&2
    exit 2
}

name=${1:-}
if [ -z "$name" ] || [ ! -f "config/scenarios/$name/sys_config.json" ]; then usage; fi
shift
to='' fsus='' seconds=''
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case $1 in
        --to) to=$2 ;;
        --fsus) fsus=$2 ;;
        --seconds) seconds=$2 ;;
        *) usage ;;
    esac
    shift 2
done

# How long each takes, and how our own centre behaves.
centre=()
case $name in
    power-cut) : "${seconds:=75}" ;;
    slow-centre)
        : "${seconds:=45}"
        centre=(--ack-delay 500-2500 --ack-drop 5%)
        ;;
    flapping) : "${seconds:=50}" ;;
    *) : "${seconds:=45}" ;;
esac

program=${FSU_MOCK:-}
if [ -z "$program" ]; then
    cargo build --release --quiet --package fsu-mock
    program=target/release/fsu-mock
fi
out=target/scenarios/$name
rm -rf "$out"
mkdir -p "$out"
cp -r config/scenarios "$out/config"
main=$out/config/$name/sys_config.json
[ -z "$fsus" ] || sed -i -E "s/(\"count\": )[0-9]+/\1$fsus/" "$main"
[ -z "$to" ] || sed -i -E "s/(\"to\": \")[^\"]+/\1$to/" "$main"

pids=()
# shellcheck disable=SC2317,SC2329 # the trap calls it
finish() {
    for pid in "${pids[@]}"; do
        kill -TERM "$pid" 2>/dev/null || true
    done
}
trap finish EXIT
trap 'exit 130' INT TERM

if [ -z "$to" ]; then
    "$program" flood --listen 127.0.0.1:9000 --config "$out/config/$name" --message-ledger "$out/centre.jsonl" \
        --json "$out/centre.json" --html "$out/centre.html" "${centre[@]}" >"$out/centre.txt" 2>&1 &
    listener=$!
    pids+=("$listener")
    for _ in $(seq 100); do
        ! grep -q '^listening' "$out/centre.txt" || break
        kill -0 "$listener" 2>/dev/null || { cat "$out/centre.txt" >&2; exit 2; }
        sleep 0.1
    done
fi
"$program" run --config "$out/config/$name" --message-ledger "$out/mock.jsonl" --stats "$out/stats.json" \
    --log-dir "$out/logs" >"$out/mock.txt" 2>&1 &
mock=$!
pids=("$mock" "${pids[@]}")
for ((left = seconds; left > 0; left--)); do
    kill -0 "$mock" 2>/dev/null || { cat "$out/mock.txt" >&2; exit 2; }
    sleep 1
done
kill -TERM "$mock"
wait "$mock" || true
sed -n '/^ready/,$p' "$out/mock.txt"

codes=()
if [ -z "$to" ]; then
    kill -INT "$listener"
    code=0
    wait "$listener" || code=$?
    codes+=("$code")
    sed -n '/^ *vendor/,$p' "$out/centre.txt"
    code=0
    "$program" flood --reconcile "$out/mock.jsonl" "$out/centre.jsonl" || code=$?
    codes+=("$code")
fi
pids=()
echo
echo "results in $out"
exec python3 scripts/held.py "$name" "$out/stats.json" "${codes[@]}"
