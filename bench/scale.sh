#!/usr/bin/env bash
# What FSUs cost by the number of them, and whether 100,000 of them in one process do what docs/scale.md says: ready in 5 s, under 1 KiB of
# user memory each beyond the first, and all answer. As root, in a network namespace of its own.
#   bench/scale.sh [--bin FILE] [--fsus N]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

program=$(pwd)/target/release/fsu-mock
most=100000
while [ $# -gt 0 ]; do
    case $1 in
        --bin) program=$(readlink -f "${2:?}") ;;
        --fsus) most=${2:?} ;;
        *) fail "unknown option $1 (--bin FILE, --fsus N)" ;;
    esac
    shift 2
done
[ -x "$program" ] || fail "no release build: cargo build --release"
[ "$(id -u)" -eq 0 ] || fail "root is needed for --one-socket"
need python3 python3 "it makes the configurations and reads the statistics"
if [ "${FSU_SCALE_INSIDE:-}" != 1 ]; then
    FSU_SCALE_INSIDE=1 exec unshare --net bash "$0" --bin "$program" --fsus "$most"
fi
ip link set lo up
raise_open_files

work=$(mktemp -d "${TMPDIR:-/tmp}/fsu-scale.XXXXXX")
trap 'rm -rf "$work"' EXIT
"$program" init --minimal "$work/config" >/dev/null
cp "$work/config/sys_config.json" "$work/first.json"

# configure COUNT: that many FSUs, which do not send heartbeats.
configure() {
    python3 - "$work" "$1" <<'PY'
import json, sys
config = json.load(open(f"{sys.argv[1]}/first.json"))
one = config["fsu_list"][0]
del one["port"]
one.update(fsuname="fleet", fsuid="3130303030303031", count=int(sys.argv[2]), hosts="127.1.0.0/16", ports="22001-42000",
           heartbeat_enable=False)
config["limits"] = {"plan_bytes_max": 4 << 30}
json.dump(config, open(f"{sys.argv[1]}/config/sys_config.json", "w"))
PY
}

unreclaimable() { awk '/^SUnreclaim:/ { print $2 }' /proc/meminfo; }
anonymous() { awk '/^RssAnon:/ { print $2 }' "/proc/$job/status"; }
ticks() { awk '{ print $14 + $15 }' "/proc/$job/stat"; }

# serve COUNT OPTION...: starts that many, and sets job, ready_ms, user_kb, kernel_kb, files.
serve() {
    local begin before
    configure "$1"
    before=$(unreclaimable)
    begin=$(date +%s%N)
    "$program" run --config "$work/config" "${@:2}" --performance --seed 1 --log-dir "$work/logs" --control off \
        --stats "$work/stats.json" >"$work/out" 2>&1 &
    job=$!
    until grep -q '^ready' "$work/out"; do
        kill -0 "$job" 2>/dev/null || { tail -n 3 "$work/out"; return 1; }
        sleep 0.01
    done
    ready_ms=$((($(date +%s%N) - begin) / 1000000))
    sleep 1
    user_kb=$(anonymous) kernel_kb=$(($(unreclaimable) - before)) files=$(find "/proc/$job/fd" -mindepth 1 | wc -l)
}

end() {
    kill "$job"
    wait "$job" || true
}

printf '%-24s %9s %12s %14s %10s %10s\n' fleet ready_ms user_bytes kernel_bytes files idle_cpu
# row COUNT OPTION...: bytes are those of an FSU beyond the first.
row() {
    local from idle
    serve "$@" || return 0
    from=$(ticks)
    sleep 3
    idle=$(($(ticks) - from))
    printf '%-24s %9d %12d %14d %10d %9d%%\n' "$1 ${2:-a socket each}" "$ready_ms" $(((user_kb - one_kb) * 1024 / ($1 - 1))) \
        $((kernel_kb * 1024 / $1)) "$files" $((idle * 100 / 3 / $(getconf CLK_TCK)))
    end
}
serve 1
one_kb=$user_kb
end
row 1000
row 10000
serve 1 --one-socket
one_kb=$user_kb
end
row 10000 --one-socket
row "$most" --one-socket

echo
serve "$most" --one-socket
from=$(ticks)
# One request to each: a closed loop asks all before it asks one again.
"$program" flood --config "$work/config" --mix 01 --requests "$most" --seconds 120 --warmup 0 --timeout-ms 20000 --plain --quiet \
    --json "$work/flood.json" >"$work/said" || { tail -n 5 "$work/said"; exit 1; }
cpu=$(($(ticks) - from))
asked_kb=$(anonymous)
end
python3 - "$work" "$most" "$ready_ms" "$one_kb" "$user_kb" "$asked_kb" "$cpu" "$(getconf CLK_TCK)" <<'PY'
import json, sys
work = sys.argv[1]
most, ready_ms, one_kb, user_kb, asked_kb, ticks, a_second = map(int, sys.argv[2:])
stats, flood = (json.load(open(f"{work}/{name}.json")) for name in ("stats", "flood"))
answered = sum(1 for fsu in stats["fsus"] if fsu["answered"] > 0)
good = flood["totals"]["counts"]["good"] + flood["totals"]["counts"]["late"]
before, after = ((kb - one_kb) * 1024 / (most - 1) for kb in (user_kb, asked_kb))
print(f"{most} FSUs: ready in {ready_ms} ms; {before:.0f} bytes each, {after:.0f} once asked; {answered} answered, {good} replies verified; "
      f"{ticks / a_second / most * 1e6:.1f} us of processor time a request")
assert answered == most == good, "not all answered"
assert ready_ms <= 5_000 and before < 1_024 and after < 1_024
PY
