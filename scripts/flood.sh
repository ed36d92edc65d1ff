#!/usr/bin/env bash
# Builds the program, serves a generated fleet on 127.0.0.1, floods it, prints the table, and leaves every report in one
# directory. If that saturates the server, a second, short run judges it at a fraction of the rate found. The server and
# the load generator get separate processors. Always stops what it started. Needs Rust and bash; works from any
# directory, as any user. With --xdp the two run in network namespaces with a pair of virtual devices between them, which are
# made for the run and always removed; that needs root and iproute2.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

readonly READY_SECONDS=60 STOP_SECONDS=20 JUDGE_SECONDS=3

usage() {
    cat <<'TEXT'
Usage: scripts/flood.sh [OPTIONS] [-- MORE OPTIONS OF `fsu-mock flood`]

  --fsus N            FSUs to serve [1000]
  --shards N          server threads, each pinned to its own processor [1]
  --threads N         load generator threads, each pinned to its own processor [1]
  --seconds S         seconds to send for [10]
  --warmup S          warm-up seconds before that, not counted [1]
  --window W          closed loop: requests in flight per port [1]
  --rate R            open loop: requests per second in total
  --tcp               TCP instead of UDP
  --broadcast         BroadCast instead: whole transfers of the broadcast device
  --connections N     TCP connections in total [one per FSU, at most 1000]
  --pipelining P      TCP: requests in flight per connection [1]
  --performance on|off  no delays and no device log [on]
  --driver NAME       how the server drives its sockets [auto; with --xdp: xdp]
  --xdp               over a pair of virtual devices between two network namespaces instead of 127.0.0.1, where the load
                      generator has AF_XDP as well; needs root
  --judge-at PART     if a closed loop saturates the server, restart it and judge it for 3 s at this fraction of the rate
                      found; off: do not [0.5]
  --fail-if EXPR      fail if this is true of the report, e.g. 'p99>20ms' or 'mock.p99>1ms'; may be repeated
  --late-limit-ms MS  latest that a server reply may leave after it is due [5]
  --sites LIST        site directories, separated by commas [all with one device]
  --port N            the first FSU's port [22000]
  --out DIR           directory for the reports; replaced if it exists [target/flood/DATE-TIME]
  --bin FILE          use this program instead of building one

For example: scripts/flood.sh --fsus 100 --window 16 -- --mix 108B
             scripts/flood.sh --fsus 10 --broadcast --window 4 -- --mix 41
TEXT
}

fsus=1000 shards=1 threads=1 seconds=10 warmup=1 window='' rate='' tcp='' broadcast='' connections='' pipelining=''
performance=on driver='' xdp='' judge_at=0.5 late_limit_ms=5 sites='' port=22000 out='' bin='' fail_if=()
while [ $# -gt 0 ]; do
    case $1 in
    --tcp) tcp=yes ;;
    --broadcast) broadcast=yes ;;
    --xdp) xdp=yes ;;
    --fail-if)
        [ $# -ge 2 ] || fail "$1 needs a value"
        fail_if+=("$2")
        shift
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    --)
        shift
        break
        ;;
    --fsus | --shards | --threads | --seconds | --warmup | --window | --rate | --connections | --pipelining | \
        --performance | --driver | --judge-at | --late-limit-ms | --sites | --port | --out | --bin)
        [ $# -ge 2 ] || fail "$1 needs a value"
        name=${1#--}
        declare "${name//-/_}=$2"
        shift
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
    shift
done
for number in fsus shards threads port; do
    [[ ${!number} =~ ^[1-9][0-9]*$ ]] || fail "--$number ${!number}: a number from 1"
done
[ $((port + fsus)) -le 65536 ] || fail "--fsus $fsus from --port $port: past 65535"
[ -z "$tcp" ] || [ -z "$broadcast" ] || fail "--tcp and --broadcast: one of them"
case $performance in on | off) ;; *) fail "--performance $performance: on or off" ;; esac
[[ $judge_at =~ ^(off|0?\.[0-9]*[1-9][0-9]*|1(\.0*)?)$ ]] || fail "--judge-at $judge_at: above 0 and at most 1, or off"

host=127.0.0.1
if [ -n "$xdp" ]; then
    [ "$(id -u)" -eq 0 ] || fail "--xdp makes network namespaces: run it as root"
    command -v ip >/dev/null || fail "--xdp makes network namespaces: ip is missing (apt install iproute2)"
    host=10.9.0.1
    driver=${driver:-xdp}
fi
driver=${driver:-auto}

mock='' served=() asks=() spaces=()
finish() {
    if [ -n "$mock" ] && kill -0 "$mock" 2>/dev/null; then
        kill -TERM "$mock" 2>/dev/null || true
        wait_gone || kill -KILL "$mock" 2>/dev/null || true
    fi
    for space in ${spaces[@]+"${spaces[@]}"}; do
        ip netns del "$space" 2>/dev/null || true
    done
}
trap finish EXIT
trap 'exit 130' INT TERM

# wait_gone: until the mock has ended; false when it takes too long.
wait_gone() {
    local tries=$((STOP_SECONDS * 10))
    while kill -0 "$mock" 2>/dev/null; do
        [ $((tries -= 1)) -gt 0 ] || return 1
        sleep 0.1
    done
}

# namespaces: two, with a device in each, a queue for each shard. What runs in one begins with `served`, in the other with `asks`.
namespaces() {
    local server=fsu-flood-$$-server generator=fsu-flood-$$-generator
    spaces=("$server" "$generator")
    ip netns add "$server"
    ip netns add "$generator"
    ip -n "$server" link add v0 numrxqueues "$shards" numtxqueues "$threads" type veth \
        peer name v1 numrxqueues "$threads" numtxqueues "$shards" netns "$generator"
    ip -n "$server" addr add 10.9.0.1/24 dev v0
    ip -n "$generator" addr add 10.9.0.2/24 dev v1
    ip -n "$server" link set v0 up
    ip -n "$generator" link set v1 up
    ip -n "$server" link set lo up
    served=(ip netns exec "$server") asks=(ip netns exec "$generator")
}

# join LIST...: with commas.
join() {
    local IFS=,
    printf '%s' "$*"
}

# fleet DIR: a configuration of that many FSUs, spread over the sites.
fleet() {
    local dir=$1 transport=udp site count first=0 each rest names=() index=0 comma=
    [ -z "$tcp" ] || transport=tcp
    [ -z "$broadcast" ] || transport=broadcast
    "$bin" init "$dir" >/dev/null
    if [ -n "$sites" ]; then
        IFS=, read -r -a names <<<"$sites"
    elif [ -n "$broadcast" ]; then
        names=(broadcast)
    else
        # Sites of one device: a TCP port leads straight to it. The broadcast device has no B interface.
        for site in "$dir"/sites/*/; do
            site=$(basename "$site")
            [ "$(grep -c '"protocol_template"' "$dir/sites/$site/fsu_devices.json")" -eq 1 ] || continue
            [ "$site" = broadcast ] || names+=("$site")
        done
    fi
    each=$((fsus / ${#names[@]})) rest=$((fsus % ${#names[@]}))
    {
        printf '{\n  "log": { "dir": "logs" },\n  "fsu_list": ['
        for site in "${names[@]}"; do
            [ -r "$dir/sites/$site/fsu_devices.json" ] || fail "--sites: there is no $site"
            count=$((each + (index < rest ? 1 : 0)))
            index=$((index + 1))
            [ "$count" -gt 0 ] || continue
            # An eight-digit id that `count` increments.
            printf '%s\n    { "fsuname": "%s", "fsuid": "%s", "host": "%s", "port": %d, "count": %d,' \
                "$comma" "$site" "$(printf '%08d' $((10000000 + first)) | od -An -v -tx1 | tr -d ' \n')" \
                "$host" $((port + first)) "$count"
            printf ' "protocol_type": "%s", "config_dir": "./sites/%s" }' "$transport" "$site"
            first=$((first + count)) comma=,
        done
        printf '\n  ]\n}\n'
    } >"$dir/sys_config.json"
}

if [ -z "$bin" ]; then
    need_build_tools
    say "building"
    cargo build --release --quiet
    bin=$(target_dir)/release/fsu-mock
fi
[ -x "$bin" ] || fail "--bin $bin: no such program"
raise_open_files

out=${out:-target/flood/$(date +%Y%m%d-%H%M%S)}
rm -rf "$out"
mkdir -p "$out"
fleet "$out/config"

mapfile -t processors < <(allowed_processors)
if [ "${#processors[@]}" -ge $((shards + threads)) ]; then
    server=("${processors[@]:0:shards}") generator=("${processors[@]:shards:threads}")
else
    printf 'only %d processors for %d shards and %d threads: they share\n' "${#processors[@]}" "$shards" "$threads" >&2
    server=("${processors[@]}") generator=("${processors[@]}")
fi

serve=(run --config "$out/config" --shards "$shards" --cpus "$(join "${server[@]}")" --driver "$driver"
    --late-limit-ms "$late_limit_ms")
[ "$performance" = off ] || serve+=(--performance)
[ "$driver" != xdp ] || serve+=(--xdp-dev v0)
[ -z "$xdp" ] || namespaces

# start DIR: the mock, with its logs and statistics there, until it is ready.
start() {
    local dir=$1 tries=$((READY_SECONDS * 10))
    ${served[@]+"${served[@]}"} "$bin" "${serve[@]}" --control off --stats "$dir/stats.json" --log-dir "$dir/logs" >"$dir/mock.log" 2>&1 &
    mock=$!
    until grep -q '^ready' "$dir/mock.log"; do
        kill -0 "$mock" 2>/dev/null || fail "the mock has ended: $(tail -n 5 "$dir/mock.log")"
        [ $((tries -= 1)) -gt 0 ] || fail "the mock is not ready after $READY_SECONDS s; see $dir/mock.log"
        sleep 0.1
    done
    grep '^ready' "$dir/mock.log"
}

# thresholds: those of --fail-if into `all`, and without those of the mock's own lateness, which is known at its end, into `first`.
thresholds() {
    local one
    all=() first=()
    for one in ${fail_if[@]+"${fail_if[@]}"}; do
        all+=(--fail-if "$one")
        [[ $one =~ ^[[:space:]]*mock\. ]] || first+=(--fail-if "$one")
    done
}

# flood DIR OPTIONS...: floods the mock, ends it, and adds its own statistics to the report. True if everything passed, the
# thresholds in `first` and `all` included.
flood() {
    local dir=$1 status=0 again=0
    shift
    ${asks[@]+"${asks[@]}"} "$bin" "${ask[@]}" "$@" ${first[@]+"${first[@]}"} --json "$dir/report.json" >"$dir/table.txt" ||
        status=$?
    # The mock's own counts are complete when it has ended.
    kill -TERM "$mock" 2>/dev/null || true
    wait_gone || fail "the mock does not end"
    mock=
    [ -r "$dir/report.json" ] || return "$status"
    # The verdict of the run is the exit code of both, unless a threshold of the mock's lateness is true.
    "$bin" flood --from "$dir/report.json" --mock-stats "$dir/stats.json" --json "$dir/report.json" \
        --html "$dir/report.html" ${all[@]+"${all[@]}"} >"$dir/table.txt" || again=$?
    { [ "$again" -eq "$status" ] || [ "$again $status" = "1 0" ]; } || fail "the reports cannot be written"
    return "$again"
}

# judge_rate: the rate at which to judge the mock; empty if the run did not saturate it.
judge_rate() {
    local found
    [ "$judge_at" != off ] && [ -r "$out/report.json" ] || return 0
    found=$(sed -n 's/^ *"saturated_per_s": \([0-9.e+]*\),*$/\1/p' "$out/report.json")
    [ -z "$found" ] || awk -v found="$found" -v part="$judge_at" \
        'BEGIN { rate = found * part; printf "%.0f\n", rate < 1 ? 1 : rate }'
}

# without_pace OPTIONS...: into `rest`, without what belongs to a closed loop.
without_pace() {
    rest=()
    while [ $# -gt 0 ]; do
        case $1 in
        --window | --pipelining) shift ;;
        --window=* | --pipelining=*) ;;
        *) rest+=("$1") ;;
        esac
        [ $# -eq 0 ] || shift
    done
}

start "$out"
ask=(flood --config "$out/config" --threads "$threads" --cpus "$(join "${generator[@]}")")
[ -z "$broadcast" ] || ask+=(--broadcast)
[ -z "$xdp" ] || [ -n "$tcp$broadcast" ] || ask+=(--xdp v1)
[ -z "$tcp" ] || ask+=(--tcp --connections "${connections:-$((fsus < 1000 ? fsus : 1000))}")
pace=(--seconds "$seconds" --warmup "$warmup")
[ -z "$rate" ] || pace+=(--rate "$rate")
[ -z "$window" ] || pace+=(--window "$window")
[ -z "$tcp" ] || [ -z "$pipelining" ] || pace+=(--pipelining "$pipelining")
say "flooding $fsus FSUs"
status=0
thresholds
flood "$out" "${pace[@]}" "$@" || status=$?
# They are about this run alone.
all=() first=()
judge_per_s=$(judge_rate)
if [ -n "$judge_per_s" ]; then
    # The mock's lateness is one count from its start to its end: it is started again.
    say "saturated: judging the mock at $judge_per_s requests/s, $judge_at of the rate found"
    mkdir "$out/judged"
    start "$out/judged"
    without_pace "$@"
    judged=0
    flood "$out/judged" --seconds "$JUDGE_SECONDS" --rate "$judge_per_s" "${rest[@]}" || judged=$?
    [ "$judged" -le 1 ] || fail "the second run has ended with $judged; see $out/judged"
    again=0
    "$bin" flood --from "$out/report.json" --mock-stats "$out/stats.json" --judged "$out/judged/report.json" \
        --json "$out/report.json" --html "$out/report.html" >"$out/table.txt" || again=$?
    [ "$again" -eq $((status > judged ? status : judged)) ] || fail "the reports cannot be written"
    status=$again
fi
cat "$out/table.txt"
say "reports in $out"
ls "$out"
[ "$status" -eq 0 ] || exit "$status"
