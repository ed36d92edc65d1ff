#!/usr/bin/env bash
# Measures the influence of neighbours: one UDP FSU is asked at a low, fixed rate while others on its shard get garbage or good
# requests at full speed. Reports its latency and loss, and the load of the others. With --base, alternates with another
# program and reports the ratios. Needs two otherwise idle processors; docs/internals/method.md says how to read it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

readonly CASES="none garbage starts good udp-garbage udp-good"

usage() {
    cat <<END
usage: bench/fair.sh [CASE...] [OPTION...]
CASE: $CASES, or all (default)
  none         the neighbour alone
  garbage      connections that send bytes that begin no frame
  starts       connections that send bytes that may each begin a frame
  good         connections in a closed loop at full speed
  udp-garbage  datagrams of garbage to another FSU
  udp-good     another UDP FSU, in a closed loop at full speed
  --program FILE      the mock (this build of it)
  --base FILE         another program to compare with, e.g. of the previous commit
  --connections N     connections (256)
  --pipelining N      requests in flight per connection (64)
  --rate R            requests per second to the neighbour (200)
  --rounds N          rounds; the figures are their medians (3)
  --seconds S         seconds per round (4)
  --drivers LIST      e.g. ring,poll (ring,poll)
  --server-cpu N      processor of the mock (the first one allowed)
  --generator-cpu N   processor of the generators (the last one allowed)
END
}

program='' base='' connections=256 pipelining=64 rate=200 rounds=3 seconds=4 drivers=ring,poll server_cpu='' generator_cpu=''
asked=()
while [ $# -gt 0 ]; do
    case $1 in
        --program | --base | --connections | --pipelining | --rate | --rounds | --seconds | --drivers | --server-cpu | \
            --generator-cpu)
            [ $# -ge 2 ] || fail "$1 needs a value"
            variable=${1#--}
            printf -v "${variable//-/_}" '%s' "$2"
            shift
            ;;
        -h | --help) usage && exit 0 ;;
        all) read -ra asked <<<"$CASES" ;;
        *)
            case " $CASES " in
                *" $1 "*) asked+=("$1") ;;
                *) usage >&2 && fail "what is $1?" ;;
            esac
            ;;
    esac
    shift
done
[ ${#asked[@]} -gt 0 ] || read -ra asked <<<"$CASES"

need python3 python3 "it sends garbage and makes the table"
need taskset util-linux "it pins programs"
raise_open_files
choose_processors
[ "$server_cpu" != "$generator_cpu" ] || fail "one processor: the mock and those who ask it need one each"
if [ -z "$program" ]; then
    need_build_tools
    cargo build --release --locked --quiet --bin fsu-mock
    program=$(target_dir)/release/fsu-mock
fi
for file in "$program" ${base:+"$base"}; do
    [ -x "$file" ] || fail "no program $file"
done

work=$(mktemp -d "${TMPDIR:-/tmp}/fsu-mock-fair.XXXXXX")
rounds_file=$work/rounds
# Of these bench/lib.sh needs to know; no echo is measured.
# shellcheck disable=SC2034
examples='' warmup=0 flood_echo=''
# shellcheck source=bench/lib.sh
. bench/lib.sh
noise=
stop_noise() {
    [ -n "$noise" ] || return 0
    kill -TERM "$noise" 2>/dev/null || true
    wait "$noise" 2>/dev/null || true
    noise=
}
finish() {
    stop_noise
    stop_server
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM
wait_ports

# The neighbour at the first port, another UDP FSU at the next, one with connections at the third.
fsu() {
    local id=''
    [ "$2" = tcp ] || id="\"fsuid\": \"323032363030303$3\", "
    printf '{"fsuname": "%s", %s"host": "%s", "port": %d, "protocol_type": "%s", "config_dir": "%s"}' \
        "$1" "$id" "$addr" $((FIRST_PORT + $3)) "$2" "$PWD/config/sites/bangsun_old"
}
cat >"$work/sys_config.json" <<END
{"performance": {"enabled": true, "skip_delay": true, "skip_device_log": true}, "log": {"level": "warn"},
 "fsu_list": [$(fsu neighbour udp 0), $(fsu other udp 1), $(fsu noisy tcp 2)]}
END

# figure FILE KEY...: a number of a report.
figure() {
    python3 -c 'import functools, json, sys
print(functools.reduce(lambda at, key: at[key], sys.argv[2:], json.load(open(sys.argv[1]))))' "$@"
}

# begin_noise CASE PROGRAM: what the others send, a little longer than the neighbour asks. It gives way to who asks the neighbour.
begin_noise() {
    local time=$((seconds + 2)) ask=(flood --config "$work" --mix 108B=1 --seconds $((seconds + 2)) --seed 1 --quiet --json "$work/noise.json")
    local run=(taskset -c "$generator_cpu" nice -n 5 timeout $((seconds + GRACE_SECONDS)))
    rm -f "$work/noise.json" "$work/noise.out"
    case $1 in
        none) return 0 ;;
        garbage) run+=(python3 bench/noise.py tcp "$addr" $((FIRST_PORT + 2)) "$connections" "$time" 00) ;;
        starts) run+=(python3 bench/noise.py tcp "$addr" $((FIRST_PORT + 2)) "$connections" "$time" 7e) ;;
        good) run+=("$program" "${ask[@]}" --tcp --fsu noisy --connections "$connections" --pipelining "$pipelining") ;;
        udp-garbage) run+=(python3 bench/noise.py udp "$addr" $((FIRST_PORT + 1)) 4 "$time" 00) ;;
        udp-good) run+=("$program" "${ask[@]}" --fsu other --window 512) ;;
    esac
    "${run[@]}" >"$work/noise.out" 2>&1 &
    noise=$!
}

# one CASE DRIVER WHICH FILE: a round of one program, a line in $rounds_file.
one() {
    local case=$1 driver=$2 which=$3 file=$4 others=0 status=0 ticks
    server_cpus=$server_cpu
    start_server "$file" run --config "$work" --performance --driver "$driver" --shards 1 --cpus "$server_cpu" \
        --log-dir "$work/logs" --stats "$work/stats.json"
    ticks=$(cpu_ticks)
    begin_noise "$case"
    sleep 1
    taskset -c "$generator_cpu" timeout $((seconds + GRACE_SECONDS)) "$program" flood --config "$work" --fsu neighbour \
        --mix 108B=1 --rate "$rate" --seconds "$seconds" --seed 1 --quiet --json "$work/flood.json" \
        >"$work/flood.out" 2>&1 || status=$?
    # 1: replies were wrong or lost, which the report says.
    if [ "$status" -gt 1 ] || [ ! -s "$work/flood.json" ]; then
        tail -n 20 "$work/flood.out" >&2
        fail "exit code $status of the neighbour's generator"
    fi
    if [ -n "$noise" ]; then
        status=0
        wait "$noise" || status=$?
        # 1 likewise; 124: it was not let finish.
        [ "$status" -le 1 ] || { tail -n 20 "$work/noise.out" >&2; fail "exit code $status of the others' generator"; }
        noise=
    fi
    ticks=$(($(cpu_ticks) - ticks))
    stop_server
    case $case in
        none) ;;
        garbage | starts) others=$(tail -n 1 "$work/noise.out") ;;
        # What a socket has no room for is lost on its way: what counts is what was looked at.
        udp-garbage) others=$(figure "$work/stats.json" totals received) ;;
        *) others=$(figure "$work/noise.json" totals replies_per_s) ;;
    esac
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$case" "$driver" "$which" "$(figure "$work/flood.json" latency p50_us)" \
        "$(figure "$work/flood.json" latency p99_us)" "$(figure "$work/flood.json" totals counts lost)" "$others" "$ticks" \
        >>"$rounds_file"
    rm -rf "$work/logs" "$work/stats.json" "$work/flood.json"
}

IFS=, read -ra driver_list <<<"$drivers"
for ((number = 1; number <= rounds; number++)); do
    for case in "${asked[@]}"; do
        for driver in "${driver_list[@]}"; do
            # The first one may have an advantage: they alternate.
            pair=(new "$program" base "$base")
            if [ $((number % 2)) -eq 0 ]; then pair=(base "$base" new "$program"); fi
            for at in 0 2; do
                if [ -n "${pair[at + 1]}" ]; then one "$case" "$driver" "${pair[at]}" "${pair[at + 1]}"; fi
            done
        done
    done
    printf 'round %d of %d\n' "$number" "$rounds" >&2
done

say "neighbour of $connections connections, $rate requests a second; medians of $rounds rounds (goal: p99 below 20 ms, nothing lost, others within 5 %)"
python3 - "$rounds_file" <<'END'
import collections
import statistics
import sys

rounds = collections.defaultdict(list)
for line in open(sys.argv[1]):
    case, driver, which, *figures = line.split("\t")
    rounds[case, driver, which].append([float(figure) for figure in figures])
row = "{:<12} {:<6} {:<5} {:>10} {:>10} {:>12} {:>6} {:>16} {:>20} {:>22}"


def ratio(mine, base, of):
    """Of the rounds of each pair: the median, and the least and the most."""
    ratios = [of(*one) / of(*other) for one, other in zip(mine, base)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


print(row.format("others", "driver", "", "p50, ms", "p99, ms", "worst p99", "lost", "others, /s", "ratio to base",
                 "of processor time"))
for (case, driver, which), figures in rounds.items():
    p50, p99, lost, others, _ = zip(*figures)
    ratios = ["-", "-"]
    base = rounds.get((case, driver, "base"))
    if which == "new" and base and base[0][3]:
        # With few ticks the second figure means nothing.
        ratios = [ratio(figures, base, lambda *one: one[3]), ratio(figures, base, lambda *one: one[3] / max(one[4], 1))]
    print(row.format(case, driver, which, f"{statistics.median(p50) / 1e3:.2f}", f"{statistics.median(p99) / 1e3:.2f}",
                     f"{max(p99) / 1e3:.2f}", f"{sum(lost):.0f}", f"{statistics.median(others):,.0f}", *ratios))
END
