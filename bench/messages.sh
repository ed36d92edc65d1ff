#!/usr/bin/env bash
# Measures what a message costs one shard, beside a loop of sendmmsg that sends the same bytes from as many sockets to the same place,
# and what an idle fleet costs. Rounds alternate; the ratio is of processor time, so a busy machine disturbs it less. The receiver
# is a socket that nobody reads: the same for both.
# usage: bench/messages.sh [busy|telemetry|idle]... [--rounds N] [--fsus N] [--driver D] [--program FILE] [--loop FILE]
#   busy       messages with a counter and a parameter (goal: 0.85 of the loop)
#   telemetry  the same with two sines besides
#   idle       each FSU says one message in 60 s (goal: under 2 % of a processor)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

# What is offered, below what a shard can: 20 messages a second of each FSU.
readonly PORT=9718 SECONDS_A_ROUND=4 WARMUP_S=2 IDLE_S=20 EVERY_MS=50

cases=() rounds=5 fsus=10000 driver=auto program='' loop='' server_cpu='' generator_cpu=''
while [ $# -gt 0 ]; do
    case $1 in
        busy | telemetry | idle) cases+=("$1") ;;
        --rounds | --fsus | --driver | --program | --loop)
            [ $# -ge 2 ] || fail "$1 needs a value"
            printf -v "${1#--}" '%s' "$2"
            shift
            ;;
        *) sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
    esac
    shift
done
[ ${#cases[@]} -gt 0 ] || cases=(busy telemetry idle)

need python3 python3 "it receives"
need taskset util-linux "it pins the programs"
raise_open_files
choose_processors
if [ -z "$program" ] || [ -z "$loop" ]; then
    need_build_tools
    cargo build --release --locked --quiet --bin fsu-mock --example udp_messages
    target=$(target_dir)
    program=${program:-$target/release/fsu-mock} loop=${loop:-$target/release/examples/udp_messages}
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/fsu-mock-messages.XXXXXX")
mock='' sink='' hertz=$(getconf CLK_TCK)
# shellcheck disable=SC2317,SC2329 # the trap calls it
finish() {
    [ -z "$mock" ] || kill -TERM "$mock" 2>/dev/null || true
    [ -z "$sink" ] || kill -TERM "$sink" 2>/dev/null || true
    wait || true
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# config NAME EVERY_MS VOLTAGE TEMPERATURE
config() {
    mkdir -p "$work/$1"
    cp -r config/scenarios/meter "$work/$1/meter"
    cat >"$work/$1/meter/default.json" <<END
{
  "messages": {
    "report": {
      "frame": "telemetry", "every_ms": $2,
      "data": {"serial": "\${count(serial, 1)}\$", "site": "\${param(site)}\$", "voltage": $3, "temperature": $4}
    }
  },
  "10": {"data": {"voltage": 220}}
}
END
    cat >"$work/$1/sys_config.json" <<END
{
  "log": {"dir": "$work/logs", "level": "error"}, "performance": {"enabled": true, "skip_delay": false},
  "fsu_list": [{"fsuname": "meter", "fsuid": "4D30303030303031", "protocol_type": "udp", "config_dir": "./meter", "count": $fsus,
    "heartbeat_enable": false, "params": {"site": "M0000001"}, "connect": {"to": "127.0.0.1:$PORT"}}]
}
END
}

# receive: a small buffer that is never read; what comes first is printed.
receive() {
    taskset -c "$generator_cpu" python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
s.bind(("127.0.0.1", int(sys.argv[1])))
print("bound", flush=True)
print(s.recv(2048).hex(), flush=True)
time.sleep(3600)' "$PORT" >"$work/hex" &
    sink=$!
    until grep -q bound "$work/hex"; do sleep 0.02; done
}

stop() {
    kill -TERM "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

# ticks: processor time of the mock so far, in ticks.
ticks() {
    awk '{ print $14 + $15 }' "/proc/$mock/stat"
}

# play NAME SECONDS: sets busy_ticks to the processor time after the warm-up, and each_second to the messages for each second of
# processor time since it was ready.
play() {
    local tries=3000
    : >"$work/out"
    taskset -c "$server_cpu" "$program" run --config "$work/$1" --shards 1 --driver "$driver" --stats "$work/stats.json" \
        >"$work/out" 2>"$work/err" &
    mock=$!
    until grep -q '^ready' "$work/out"; do
        if ! kill -0 "$mock" 2>/dev/null || [ $((tries -= 1)) -le 0 ]; then
            cat "$work/out" "$work/err" >&2
            fail "the mock does not start"
        fi
        sleep 0.02
    done
    local ready before after
    ready=$(ticks)
    sleep "$WARMUP_S"
    before=$(ticks)
    sleep "$2"
    after=$(ticks)
    stop "$mock"
    mock=''
    busy_ticks=$((after - before))
    each_second=$(python3 -c "
import json
print(json.load(open('$work/stats.json'))['totals']['messages_sent'] * $hertz // $((after - ready)))")
}

missed=0
# busy NAME VOLTAGE TEMPERATURE [GOAL]
busy() {
    local round ours theirs ratios=()
    config "$1" "$EVERY_MS" "$2" "$3"
    for ((round = 1; round <= rounds; round++)); do
        receive
        play "$1" "$SECONDS_A_ROUND"
        # What was offered was sent, or the mock says that it was late.
        grep -q '^valid' "$work/out" || echo "warning: round $round: $(grep '^not valid' "$work/out")" >&2
        ours=$each_second
        theirs=$(taskset -c "$server_cpu" "$loop" "$PORT" "$fsus" "$(sed -n 2p "$work/hex")" 2)
        stop "$sink"
        sink=''
        ratios+=("$(python3 -c "print(f'{$ours / $theirs:.3f}')")")
        echo "$1, round $round: $ours messages for each second of processor time, the loop $theirs: ${ratios[-1]}"
    done
    python3 - "$1" "${4:-0}" "${ratios[@]}" <<'END' || missed=1
import statistics, sys
name, goal, ratios = sys.argv[1], float(sys.argv[2]), sorted(map(float, sys.argv[3:]))
middle = statistics.median(ratios)
verdict = "no goal" if not goal else f"goal >= {goal:.2f} {'met' if middle >= goal else 'NOT MET'}"
print(f"{name}: {middle:.2f} of the loop ({ratios[0]:.2f} to {ratios[-1]:.2f}), {verdict}")
sys.exit(bool(goal) and middle < goal)
END
}

idle() {
    config idle 60000 220 21.5
    receive
    play idle "$IDLE_S"
    stop "$sink"
    sink=''
    python3 -c "
import sys
percent = $busy_ticks / $hertz / $IDLE_S * 100
print(f'idle: {percent:.2f} % of a processor, goal < 2 % {\"met\" if percent < 2 else \"NOT MET\"}')
sys.exit(percent >= 2)" || missed=1
}

# The expressions of `telemetry` are those of the mock, not of the shell.
# shellcheck disable=SC2016
for each in "${cases[@]}"; do
    case $each in
        busy) busy busy 220 21.5 0.85 ;;
        telemetry) busy telemetry '"${sine(210, 240, 86400)}$"' '"${sine(-5, 35, 86400)}$"' ;;
        idle) idle ;;
    esac
done
exit "$missed"
