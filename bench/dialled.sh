#!/usr/bin/env bash
# One process dials out 20,000 times to a listening flood; then all connections are reset at once. Prints what the goals of
# docs/internals/performance.md ask for: how long it takes until all are up and registered, user memory of each, what was lost, and
# how soon all are back. Each FSU takes an open file on both sides: where fewer are allowed, as many as that are dialled.
# usage: bench/dialled.sh [--fsus N] [--program FILE] [--server-cpu N] [--generator-cpu N]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

# The first wait of the backoff, and what a goal allows beyond it: the time to dial that many takes.
readonly RECONNECT_MS=3000 BEYOND_MS=500 UP_MS_MAX=5000 BYTES_MAX=3072 RESET_AT_S=20 PATIENCE_S=60 PORT=9717

fsus=20000 program='' server_cpu='' generator_cpu=''
while [ $# -gt 0 ]; do
    case $1 in
        --fsus | --program | --server-cpu | --generator-cpu)
            [ $# -ge 2 ] || fail "$1 needs a value"
            variable=${1#--}
            printf -v "${variable//-/_}" '%s' "$2"
            shift 2
            ;;
        *) sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" | sed '/^set/,$d' >&2 && exit 2 ;;
    esac
done

need python3 python3 "it reads the reports"
need taskset util-linux "it pins the programs"
raise_open_files
choose_processors
allowed=$(($(ulimit -n) - 200))
if [ "$fsus" -gt "$allowed" ]; then
    echo "open files: $(ulimit -n); $allowed FSUs instead of $fsus" >&2
    fsus=$allowed
fi
if [ -z "$program" ]; then
    need_build_tools
    cargo build --release --locked --quiet --bin fsu-mock
    program=$(target_dir)/release/fsu-mock
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/fsu-mock-dialled.XXXXXX")
mock='' centre=''
finish() {
    [ -z "$mock" ] || kill -TERM "$mock" 2>/dev/null || true
    [ -z "$centre" ] || kill -TERM "$centre" 2>/dev/null || true
    wait || true
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# config NAME FSUS: sites that register on each connection, and say no more.
config() {
    mkdir -p "$work/$1"
    cp -r config/scenarios/site "$work/site"
    cat >"$work/site/default.json" <<'END'
{
  "messages": {
    "login": {
      "frame": "login", "on": "connect", "data": {"serial": "${count(serial, 1)}$", "site": "${param(site)}$"},
      "ack": {"frame": "ack", "match": {"of": "serial"}, "within_ms": 30000, "retries": 0, "else": "reconnect", "data": {"result": 0}}
    }
  },
  "10": {"data": {"voltage": 50}}
}
END
    cat >"$work/$1/sys_config.json" <<END
{
  "log": {"dir": "$work/logs", "level": "error"}, "performance": {"enabled": true, "skip_delay": false},
  "fsu_list": [{"fsuname": "site", "fsuid": "5230303030303031", "protocol_type": "tcp", "config_dir": "../site", "count": $2,
    "params": {"site": "R0000001"}, "connect": {"to": "127.0.0.1:$PORT", "reconnect_ms": [$RECONNECT_MS, 60000]}}]
}
END
}

# resident PID: KiB that are in memory.
resident() {
    awk '/^VmRSS/ { print $2 }' "/proc/$1/status"
}

# start CONFIG ARGS...: the mock, until it is ready.
start() {
    local name=$1 tries=3000
    shift
    : >"$work/$name.out"
    taskset -c "$server_cpu" "$program" run --config "$work/$name" --shards 1 "$@" >"$work/$name.out" 2>"$work/$name.err" &
    mock=$!
    until grep -q '^ready' "$work/$name.out"; do
        if ! kill -0 "$mock" 2>/dev/null || [ $((tries -= 1)) -le 0 ]; then
            cat "$work/$name.out" "$work/$name.err" >&2
            fail "the mock does not start"
        fi
        sleep 0.02
    done
}

stop_mock() {
    kill -TERM "$mock"
    wait "$mock" || true
    mock=''
}

rm -rf "$work/site"
config one 1
rm -rf "$work/site"
config all "$fsus"
taskset -c "$generator_cpu" "$program" flood --listen "127.0.0.1:$PORT" --config "$work/all" --reset-at "$RESET_AT_S" --quiet \
    --message-ledger "$work/centre.jsonl" --json "$work/centre.json" >"$work/centre.txt" 2>&1 &
centre=$!
until grep -q '^listening' "$work/centre.txt"; do
    kill -0 "$centre" 2>/dev/null || { cat "$work/centre.txt" >&2; fail "the centre does not start"; }
    sleep 0.02
done
start one
sleep 1
base_kib=$(resident "$mock")
stop_mock

began=$(date +%s%N)
start all --message-ledger "$work/mock.jsonl"
# The ledger has one more registration: that of the fleet of one.
acked() { grep -c '"acked"' "$work/centre.jsonl" || true; }
until_acked() {
    local end=$((SECONDS + PATIENCE_S))
    while [ "$(acked)" -lt "$1" ]; do
        [ "$SECONDS" -lt "$end" ] || fail "only $(acked) of $1 registrations after $PATIENCE_S s"
        sleep 0.05
    done
}
until_acked $((fsus + 1))
all_kib=$(resident "$mock")
until_acked $((2 * fsus + 1))
sleep 1
stop_mock
kill -INT "$centre"
wait "$centre" || true
centre=''
cat "$work/centre.txt"
python3 - "$work" "$fsus" "$began" "$base_kib" "$all_kib" <<END
import datetime, json, sys
work, fsus, began, base, all_kib = sys.argv[1], *map(int, sys.argv[2:])
report = json.load(open(f"{work}/centre.json"))["messages"]
login = next(of for of in report["messages"] if of["message"] == "login")
# When each connection's registration was acknowledged, in the order of the ledger; the first is that of the fleet of one.
stamps = [json.loads(line) for line in open(f"{work}/centre.jsonl") if '"acked"' in line][1:]
at = lambda line: datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp()
up_ms = (at(stamps[fsus - 1]) - began / 1e9) * 1e3
first = len({line["fsu"] for line in stamps[:fsus]})
again = len({line["fsu"] for line in stamps[fsus:]})
reset = report["connections"]["resets"][0]
bytes_each = (all_kib - base) * 1024 / (fsus - 1)
# The centre takes a while to reset them all, one after the other.
back_ms = reset["back_after"]["max_us"] / 1e3 - reset["took_ms"]
rows = [
    (f"{fsus} dialled, up and acknowledged after the start of the process", f"{up_ms:.0f} ms", up_ms < $UP_MS_MAX, "< $UP_MS_MAX ms"),
    ("user memory of each", f"{bytes_each:.0f} bytes", bytes_each < $BYTES_MAX, "< $BYTES_MAX bytes"),
    ("registered and acknowledged, each once", f"{first}", first == fsus, f"{fsus}"),
    ("reset at once", f"{reset['reset']}", reset["reset"] == fsus, f"{fsus}"),
    ("back", f"{reset['back']}", reset["back"] == fsus, f"{fsus}"),
    ("registered again, each once", f"{again}", again == fsus and login["received"] == 2 * fsus + 1, f"{fsus}"),
    ("the last of them back after the last was reset", f"{back_ms:.0f} ms", back_ms < $RECONNECT_MS + $BEYOND_MS, "< $RECONNECT_MS + $BEYOND_MS ms"),
    ("retried or sent again", f"{login['retried'] + login['duplicate']}", login["retried"] + login["duplicate"] == 0, "0"),
]
for what, value, met, goal in rows:
    print(f"{what:70} {value:>12}   goal {goal:16} {'met' if met else 'NOT MET'}")
sys.exit(not all(row[2] for row in rows))
END
