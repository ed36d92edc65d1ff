#!/usr/bin/env bash
# Measures the mock against echo servers that do no work, alternating under the same load, and reports which goals are met.
# Builds once, records every round in target/bench/, stops whatever it started. Needs two otherwise idle processors;
# docs/internals/method.md explains how and why.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

readonly MEASURES="udp tcp broadcast gso halfload peer modes devicelog shards start loss onesocket xdp fleet tracker"

usage() {
    cat <<END
usage: bench/run.sh [MEASURE...] [OPTION...]
MEASURE: $MEASURES, or all (default)
  --rounds N            rounds; the figures are their medians (5)
  --seconds S           seconds of load per round (5)
  --warmup S            warm-up seconds before that, not counted (1)
  --server-cpu N        processor of the server (the first one allowed)
  --generator-cpu N     processor of the generator (the last one allowed)
  --drivers LIST        drivers of the mock, e.g. ring,poll (all available)
  --with-python         also measure asyncio and uvloop echoes
  --name NAME           name in target/bench/DATE-NAME.jsonl (the kind of machine)
  --no-record           write no record
END
}

rounds=5 seconds=5 warmup=1 server_cpu='' generator_cpu='' drivers='' with_python='' name='' record=1 asked=()
while [ $# -gt 0 ]; do
    case $1 in
        --rounds | --seconds | --warmup | --server-cpu | --generator-cpu | --drivers | --name)
            [ $# -ge 2 ] || fail "$1 needs a value"
            variable=${1#--}
            printf -v "${variable//-/_}" '%s' "$2"
            shift
            ;;
        --with-python) with_python=1 ;;
        --no-record) record= ;;
        -h | --help) usage && exit 0 ;;
        all) read -ra asked <<<"$MEASURES" ;;
        *)
            case " $MEASURES " in
                *" $1 "*) asked+=("$1") ;;
                *) usage >&2 && fail "what is $1?" ;;
            esac
            ;;
    esac
    shift
done
[ ${#asked[@]} -gt 0 ] || read -ra asked <<<"$MEASURES"

need_build_tools
need python3 python3 "it makes the tables"
need taskset util-linux "it pins servers"
raise_open_files

choose_processors
[ "$server_cpu" != "$generator_cpu" ] || echo "warning: one processor for both sides: only ratios of processor time mean anything" >&2

work=$(mktemp -d "${TMPDIR:-/tmp}/fsu-mock-bench.XXXXXX")
rounds_file=$work/rounds.jsonl
: >"$rounds_file"
program='' examples='' flood_echo='' flood_gso=''
# shellcheck source=bench/lib.sh
. bench/lib.sh
finish() {
    stop_generator
    stop_server
    remove_spaces
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM
wait_ports

say "build"
cargo build --release --locked --quiet --bin fsu-mock --examples
target=$(target_dir)
program=$target/release/fsu-mock examples=$target/release/examples
flood_help=$("$program" flood --help) || fail "this build has no load generator: fsu-mock flood"
has() { grep -q -- "$1" <<<"$flood_help"; }
if has ' --echo'; then flood_echo=--echo; fi
# The generator joins runs of datagrams by itself; that is measured on its own. So does the mock, and is measured without it, too.
plain=()
if has ' --no-gso'; then flood_gso=1 plain=(--no-gso); fi
[ -n "$flood_echo" ] || echo "warning: flood has no --echo: replies of echo servers are counted, but as wrong ones" >&2
if [ -z "$drivers" ]; then
    drivers=poll
    # Named as a possible value, and able to start here.
    if "$program" run --help | grep -A12 -- '--driver' | grep -q 'ring'; then drivers=ring,poll; fi
fi
IFS=, read -ra driver_list <<<"$drivers"
# The mock with each driver.
ours=$(printf 'ours-%s ' "${driver_list[@]}")
# The same with each reply as a separate datagram, like the echoes.
single=$(printf 'ours-%s-single ' "${driver_list[@]}")
python_echoes=
if [ -n "$with_python" ]; then
    python_echoes=asyncio-echo
    if python3 -c 'import uvloop' 2>/dev/null; then python_echoes+=" uvloop-echo"; fi
fi
# Receive buffers hold some 500 datagrams where net.core.rmem_max is at its default: the generator takes several sockets.
udp_load=(--mix 108B=1 --timeout-ms 1000 --sockets 16 "${plain[@]}")
tcp_load=(--tcp --mix 108B=1 --timeout-ms 1000)

measure_udp() {
    local fsus window
    while read -r -u 3 fsus window; do
        config "udp-$fsus" udp "$fsus"
        floor "$fsus"
        interleave udp "$fsus FSUs, $window under way each" "$ours${single}epoll-echo ring-echo epoll-tuned-echo ring-tuned-echo $python_echoes" \
            udp "$fsus" "udp-$fsus" "${udp_load[@]}" --window "$window" --warmup "$warmup"
    done 3<<<$'1 64\n100 16\n1000 4\n5000 1'
}

# floor FSUS: what one thread alone gets through, for the table's foot.
floor() {
    local number per_s
    for ((number = 1; number <= rounds; number++)); do
        per_s=$(timeout 60 taskset -c "$server_cpu" "$examples/udp_floor" "$addr" "$FIRST_PORT" "$1" 1 | sed -n '$p')
        python3 bench/table.py value "$rounds_file" --measure udp --case "$1 FSUs, floor" --round "$number" \
            --server floor per_s="$per_s"
    done
}

measure_tcp() {
    local connections pipelining
    while read -r -u 3 connections pipelining; do
        config "tcp-$connections" tcp "$connections"
        interleave tcp "$connections connections, $pipelining under way each" \
            "${ours}epoll-echo ring-echo $python_echoes" tcp "$connections" "tcp-$connections" "${tcp_load[@]}" \
            --connections "$connections" --pipelining "$pipelining" --warmup "$warmup"
    done 3<<<$'100 1\n100 16\n1000 1\n1000 16'
}

measure_broadcast() {
    local fsus window load=(--broadcast --timeout-ms 1000 "${plain[@]}" --warmup "$warmup")
    # One frame each way, 16 bytes: a command without data, which the rule accepts.
    echo '{"51": {"Para": "5A"}}' >"$work/values.json"
    while read -r -u 3 fsus window; do
        config "broadcast-$fsus" broadcast "$fsus"
        interleave broadcast "$fsus FSUs, $window under way each" "${ours}epoll-echo ring-echo" \
            broadcast "$fsus" "broadcast-$fsus" "${load[@]}" --mix 51 --values "$work/values.json" --sockets 16 \
            --window "$window"
    done 3<<<$'1 64\n100 16\n1000 4\n5000 1'
    # Whole transfers of 1,000,000 bytes; there is nothing that does no work to set beside them.
    while read -r -u 3 fsus window; do
        config "broadcast-$fsus" broadcast "$fsus"
        interleave transfers "$fsus FSUs, $window under way each" "$ours" broadcast "$fsus" "broadcast-$fsus" \
            "${load[@]}" --mix 41 --sockets 16 --window "$window"
    done 3<<<$'1 1\n1 16\n100 1'
}

measure_gso() {
    if [ -z "$flood_gso" ]; then
        echo "gso: this generator does not know segmentation offload, nothing is measured" >&2
        return 0
    fi
    # One socket and one port: only then are there runs to join. 512 replies are what a socket holds at the least.
    local number driver load=(--mix 108B=1 --timeout-ms 1000 --window 512 --warmup "$warmup")
    config udp-1 udp 1
    for ((number = 1; number <= rounds; number++)); do
        for driver in "${driver_list[@]}"; do
            round gso "1 FSU, 512 under way" "$number" "ours-$driver" udp 1 udp-1 "${load[@]}"
        done
        round gso "1 FSU, 512 under way" "$number" epoll-echo udp 1 udp-1 "${load[@]}" "${plain[@]}"
    done
}

measure_halfload() {
    local rate before=$warmup
    config udp-1000 udp 1000
    round halfload "1000 FSUs, full load" 1 epoll-echo udp 1000 udp-1000 "${udp_load[@]}" --window 4 --warmup "$warmup"
    rate=$(python3 bench/table.py half "$rounds_file")
    # Processor time is that of the whole run, so all of it has to count.
    warmup=0
    interleave halfload "1000 FSUs, half of the epoll echo's most" "${ours}epoll-echo ring-echo" udp 1000 udp-1000 \
        "${udp_load[@]}" --rate "$rate"
    warmup=$before
}

measure_peer() {
    config udp-1000 udp 1000
    # The slower of them needs its time for all that is under way.
    interleave peer "1000 FSUs, 4 under way each" "${single}asyncio-peer" udp 1000 udp-1000 --mix 108B=1 --sockets 16 \
        "${plain[@]}" --timeout-ms 10000 --window 4 --warmup "$warmup"
    # The generator as it comes sends what is under way on a port as one burst.
    interleave peer "1000 FSUs, 4 under way each, in bursts" "${ours}asyncio-peer" udp 1000 udp-1000 --mix 108B=1 \
        --sockets 16 --timeout-ms 10000 --window 4 --warmup "$warmup"
}

measure_modes() {
    # Without performance mode delays are kept and the device log is written, so the load is one that both get through.
    local number driver per_s=20000 before=$warmup
    warmup=0
    config udp-1000 udp 1000
    config plain udp 1000 false false
    for ((number = 1; number <= rounds; number++)); do
        for driver in "${driver_list[@]}"; do
            round modes "1000 FSUs, $per_s/s" "$number" "ours-$driver-fast" udp 1000 udp-1000 "${udp_load[@]}" \
                --rate "$per_s"
            round modes "1000 FSUs, $per_s/s" "$number" "ours-$driver-plain" udp 1000 plain "${udp_load[@]}" \
                --rate "$per_s"
            rm -rf "$work/logs"
        done
        echo "modes: round $number of $rounds" >&2
    done
    warmup=$before
}

measure_devicelog() {
    local number driver
    config nolog udp 1000
    config log udp 1000 false
    for ((number = 1; number <= rounds; number++)); do
        for driver in "${driver_list[@]}"; do
            round devicelog "1000 FSUs, 50000/s" "$number" "ours-$driver-nolog" udp 1000 nolog "${udp_load[@]}" \
                --rate 50000 --warmup "$warmup"
            round devicelog "1000 FSUs, 50000/s" "$number" "ours-$driver-log" udp 1000 log "${udp_load[@]}" \
                --rate 50000 --warmup "$warmup"
            rm -rf "$work/logs"
        done
        echo "devicelog: round $number of $rounds" >&2
    done
}

measure_shards() {
    # Each shard has the same load, as batches grow with it.
    local number driver before=$warmup per_shard=50000
    warmup=0
    config udp-1000 udp 1000
    for ((number = 1; number <= rounds; number++)); do
        for driver in "${driver_list[@]}"; do
            round shards "1000 FSUs, $per_shard/s a shard" "$number" "ours-$driver-1shard" udp 1000 udp-1000 \
                "${udp_load[@]}" --rate "$per_shard"
            round shards "1000 FSUs, $per_shard/s a shard" "$number" "ours-$driver-2shards" udp 1000 udp-1000 \
                "${udp_load[@]}" --rate $((2 * per_shard))
        done
        echo "shards: round $number of $rounds" >&2
    done
    warmup=$before
}

measure_start() {
    local number driver fsus began ready
    [ "$(ulimit -n)" -ge 10200 ] || fail "10,000 FSUs need 10,200 open files; ulimit -n says $(ulimit -n)"
    for ((number = 1; number <= rounds; number++)); do
        for driver in "${driver_list[@]}"; do
            # One FSU is the program, its executor and its rings alone.
            for fsus in 1 10000; do
                config "udp-$fsus" udp "$fsus"
                began=$(date +%s%N)
                serve "ours-$driver" udp "$fsus"
                ready=$((($(date +%s%N) - began) / 1000000))
                python3 bench/table.py value "$rounds_file" --measure start --case "$fsus FSUs" --round "$number" \
                    --server "ours-$driver" --server-command "$server_command" rss_kib="$(resident_kib)" \
                    ready_wall_ms="$ready" \
                    ready_ms="$(sed -n 's/^ready:.*, \([0-9]*\) ms.*/\1/p' "$work/out")"
                stop_server
            done
        done
        echo "start: round $number of $rounds" >&2
    done
}

measure_loss() {
    local fsus
    for fsus in 1 100; do
        config "udp-$fsus" udp "$fsus"
        interleave loss "$fsus FSUs, 128 under way each" "${ours}epoll-echo" udp "$fsus" "udp-$fsus" \
            --mix 108B=1 --timeout-ms 1000 --sockets 64 "${plain[@]}" --window 128 --warmup "$warmup"
    done
}

# can_lead_datagrams MEASURE: whether BPF programs can be loaded and namespaces made here; says so where not.
can_lead_datagrams() {
    if [ "$(id -u)" -eq 0 ] && command -v ip >/dev/null; then return 0; fi
    echo "$1: it loads a BPF program and makes network namespaces; that needs root and ip (iproute2). Nothing is measured" >&2
    return 1
}

measure_onesocket() {
    can_lead_datagrams onesocket || return 0
    local fsus window
    while read -r -u 3 fsus window; do
        config "udp-$fsus" udp "$fsus"
        interleave onesocket "$fsus FSUs, $window under way each" "ours-poll-one-single epoll-echo ring-echo" \
            udp "$fsus" "udp-$fsus" "${udp_load[@]}" --window "$window" --warmup "$warmup"
    done 3<<<$'1000 4\n5000 1'
}

measure_xdp() {
    can_lead_datagrams xdp || return 0
    local fsus window generator load
    make_spaces
    while read -r -u 3 fsus window; do
        config "udp-$fsus" udp "$fsus"
        # The generator on AF_XDP, so that it is not what limits; then on sockets. A virtual device holds 256 datagrams.
        for generator in "AF_XDP" sockets; do
            load=("${udp_load[@]}" --window "$window")
            [ "$generator" = sockets ] || load+=(--xdp v1)
            interleave xdp "$fsus FSUs, $window under way each, generator on $generator" \
                "ours-xdp-single ours-ring-single epoll-echo ring-echo" udp "$fsus" "udp-$fsus" "${load[@]}" --warmup "$warmup"
        done
    done 3<<<$'1000 1\n5000 1'
    remove_spaces
}

measure_fleet() {
    can_lead_datagrams fleet || return 0
    local number name fsus began ready said=()
    make_spaces
    for ((number = 1; number <= rounds; number++)); do
        for name in ours-poll-one ours-xdp-one; do
            for fsus in 1 50000; do
                config "udp-$fsus" udp "$fsus"
                began=$(date +%s%N)
                serve "$name" udp "$fsus"
                ready=$((($(date +%s%N) - began) / 1000000))
                flood "$name" --config "$work/udp-$fsus" "${udp_load[@]}" --rate 50000
                read -ra said < <(python3 bench/table.py asked "$work/flood.json")
                python3 bench/table.py value "$rounds_file" --measure fleet --case "$fsus FSUs" --round "$number" \
                    --server "$name" --server-command "$server_command" rss_kib="$(resident_kib)" ready_wall_ms="$ready" \
                    "${said[@]}"
                stop_server
            done
        done
        echo "fleet: round $number of $rounds" >&2
    done
    remove_spaces
}

# tracker ROUND: a public UDP server under the generator that comes with it, pinned as ours are.
tracker() {
    local before after began ended answers
    cat >"$work/tracker.toml" <<END
socket_workers = 1
[network]
address = "$addr:$FIRST_PORT"
[cleaning]
torrent_cleaning_interval = 3600
END
    cat >"$work/load.toml" <<END
server_address = "$addr:$FIRST_PORT"
duration = $(awk -v a="$seconds" -v b="$warmup" 'BEGIN { printf "%d", a + b + 0.5 }')
summarize_last = $(awk -v a="$seconds" 'BEGIN { printf "%d", a }')
END
    taskset -c "$server_cpu" "$trackers/aquatic_udp" -c "$work/tracker.toml" >"$work/out" 2>"$work/err" &
    server=$!
    sleep 0.5
    before=$(cpu_ticks) began=$(date +%s.%N)
    timeout $((${seconds%.*} + GRACE_SECONDS)) taskset -c "$generator_cpu" "$trackers/aquatic_udp_load_test" -c "$work/load.toml" \
        >"$work/load.out" 2>&1 || { tail -n 20 "$work/load.out" "$work/err" >&2 && fail "the load test of aquatic_udp has failed"; }
    after=$(cpu_ticks) ended=$(date +%s.%N)
    stop_server
    answers=$(sed -n 's/^Average responses per second: //p' "$work/load.out")
    python3 bench/table.py value "$rounds_file" --measure tracker --case "a request, each on its own wire" --round "$1" --server aquatic_udp \
        --server-command "aquatic_udp, one socket worker" per_s="$answers" \
        cpu_us="$(awk -v t=$((after - before)) -v hz="$(getconf CLK_TCK)" -v b="$began" -v e="$ended" -v r="$answers" \
            'BEGIN { print t / hz * 1e6 / (r * (e - b)) }')"
}

# aquatic_udp, from crates.io, looks up and answers each datagram. It is built here, and only for this measure.
measure_tracker() {
    local number fsus trackers
    trackers=$(target_dir)/bench/trackers/bin
    if [ ! -x "$trackers/aquatic_udp" ]; then
        cargo install --quiet --locked --root "${trackers%/bin}" aquatic_udp_load_test@0.9.0
        # Without its statistics, whose crate no longer builds.
        cargo install --quiet --locked --root "${trackers%/bin}" --no-default-features --features mimalloc aquatic_udp@0.9.0
    fi
    for fsus in 1 1000; do config "udp-$fsus" udp "$fsus"; done
    for ((number = 1; number <= rounds; number++)); do
        tracker "$number"
        round tracker "a request, each on its own wire" "$number" "ours-poll-single" udp 1 udp-1 "${udp_load[@]}" --window 64 \
            --warmup "$warmup"
        round tracker "a request, each on its own wire" "$number" "ours-ring-single" udp 1000 udp-1000 "${udp_load[@]}" --window 4 \
            --warmup "$warmup"
        echo "tracker: round $number of $rounds" >&2
    done
}

for measure in "${asked[@]}"; do
    say "$measure"
    "measure_$measure"
done

say "result"
if [ -n "$record" ]; then
    python3 bench/table.py record "$rounds_file" ${name:+--name "$name"} --rounds "$rounds" --seconds "$seconds"
else
    python3 bench/table.py print "$rounds_file"
fi
