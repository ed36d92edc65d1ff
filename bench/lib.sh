# shellcheck shell=bash
# Functions of bench/run.sh: configurations, servers, the generator, processor time. Sourced, not run.

readonly READY_SECONDS=60 STOP_SECONDS=20 GRACE_SECONDS=60
# Below the kernel's own choice (net.ipv4.ip_local_port_range) and beside the ports of the shipped configuration.
readonly FIRST_PORT=10000 PORTS=10000 PORTS_SECONDS=10
# In two network namespaces with a pair of virtual devices between them: the server's and the generator's address.
readonly SPACE_ADDR=10.9.0.1 SPACE_PEER=10.9.0.2

# Set by the caller:
: "${work?}" "${program?}" "${examples?}" "${server_cpu?}" "${generator_cpu?}" "${seconds?}" "${warmup?}" "${rounds?}"
: "${rounds_file?}" "${flood_echo?}"

server=          # process id of what is being served; empty: none
generator=       # process id of the generator; empty: none
server_command=  # how it was started
server_cpus=     # where it may run; empty: anywhere
addr=127.0.0.1   # where it serves
served=()        # what its command begins with in a network namespace
asks=()          # the same of the generator
spaces=()        # the namespaces that were made

# Stops what was started, by its id, however the script ends.
stop_server() {
    [ -n "$server" ] || return 0
    local tries=$((STOP_SECONDS * 20))
    kill -TERM "$server" 2>/dev/null || true
    while kill -0 "$server" 2>/dev/null; do
        if [ $((tries -= 1)) -le 0 ]; then
            kill -KILL "$server" 2>/dev/null || true
            break
        fi
        sleep 0.05
    done
    wait "$server" 2>/dev/null || true
    server=
    wait_ports
}

# wait_ports: waits until none of the measured ports is bound: a ring releases its sockets only after its process has ended.
wait_ports() {
    local tries=$((PORTS_SECONDS * 20)) first last
    printf -v first 'x%04X' "$FIRST_PORT"
    printf -v last 'x%04X' $((FIRST_PORT + PORTS - 1))
    # Bound: 07 for datagrams, 0A for listeners; the rest of a connection does not matter.
    # shellcheck disable=SC2016
    while ${served[@]+"${served[@]}"} awk -v first="$first" -v last="$last" '
        $4 == "07" || $4 == "0A" { port = "x" substr($2, 10, 4); if (port >= first && port <= last) exit found = 1 }
        END { exit !found }' /proc/net/udp /proc/net/tcp; do
        [ $((tries -= 1)) -gt 0 ] || fail "ports $FIRST_PORT to $((FIRST_PORT + PORTS - 1)) are taken: look with ss -lntu"
        sleep 0.05
    done
}

# stop_generator: the same for the generator, which ends at once with its report.
stop_generator() {
    [ -n "$generator" ] || return 0
    kill -TERM "$generator" 2>/dev/null || true
    wait "$generator" 2>/dev/null || true
    generator=
}

# start_server COMMAND...: until it says `ready`.
start_server() {
    local tries=$((READY_SECONDS * 50))
    server_command=$*
    : >"$work/out"
    if [ -n "$server_cpus" ]; then
        ${served[@]+"${served[@]}"} taskset -c "$server_cpus" "$@" >"$work/out" 2>"$work/err" &
    else
        ${served[@]+"${served[@]}"} "$@" >"$work/out" 2>"$work/err" &
    fi
    server=$!
    until grep -q '^ready' "$work/out"; do
        if ! kill -0 "$server" 2>/dev/null || [ $((tries -= 1)) -le 0 ]; then
            tail -n 20 "$work/out" "$work/err" >&2
            fail "not ready: $server_command"
        fi
        sleep 0.02
    done
}

# make_spaces: two network namespaces with a pair of virtual devices; server and generator then run in one each.
make_spaces() {
    local server=fsu-bench-$$-server generator=fsu-bench-$$-generator
    spaces=("$server" "$generator")
    ip netns add "$server"
    ip netns add "$generator"
    ip -n "$server" link add v0 type veth peer name v1 netns "$generator"
    ip -n "$server" addr add "$SPACE_ADDR/24" dev v0
    ip -n "$generator" addr add "$SPACE_PEER/24" dev v1
    ip -n "$server" link set v0 up
    ip -n "$generator" link set v1 up
    ip -n "$server" link set lo up
    served=(ip netns exec "$server") asks=(ip netns exec "$generator") addr=$SPACE_ADDR
}

# remove_spaces: from then on both run here again.
remove_spaces() {
    local space
    served=() asks=() addr=127.0.0.1
    for space in ${spaces[@]+"${spaces[@]}"}; do
        ip netns del "$space" 2>/dev/null || true
    done
    spaces=()
}

# config NAME TRANSPORT FSUS [SKIP_DEVICE_LOG] [PERFORMANCE]: a fleet of one vendor, into $work/NAME.
config() {
    local id='' site=bangsun_old
    mkdir -p "$work/$1"
    [ "$2" != broadcast ] || site=broadcast
    # Ids "20260001" and on: their digits have room for a fleet.
    [ "$2" != udp ] || id='"fsuid": "3230323630303031", '
    cat >"$work/$1/sys_config.json" <<END
{
  "performance": {"enabled": ${5:-true}, "skip_delay": true, "skip_device_log": ${4:-true}},
  "fsu_list": [
    {"fsuname": "fleet", ${id}"host": "$addr", "port": $FIRST_PORT, "protocol_type": "$2", "count": $3,
     "config_dir": "$PWD/config/sites/$site"}
  ]
}
END
}

# serve NAME TRANSPORT FSUS [CONFIG]: one of the servers by its name in the tables. CONFIG: see config.
serve() {
    local name=$1 transport=$2 fsus=$3 config=${4:-$2-$3} shards=1 cpus=$server_cpu
    # To an echo a datagram is a datagram.
    local at=("$addr" "$FIRST_PORT" "$fsus") tcp=() mode=(--performance) echo=${transport/broadcast/udp}
    server_cpus=$server_cpu
    [ "$transport" != tcp ] || tcp=(--tcp)
    case $name in
        ours-*)
            # ours-DRIVER[-WHAT]: with the log, its thread is let go wherever it likes, as it is outside benchmarks.
            local driver=${name#ours-} more=()
            case $driver in
                *-one | *-one-single) more+=(--one-socket) ;;
            esac
            [ "${driver%%-*}" != xdp ] || more+=(--xdp-dev v0)
            case $driver in
                *-single) more+=(--no-gso) ;;
                *-log | *-nolog | *-fast) server_cpus= ;;
                *-plain) mode=() server_cpus= ;;
                *-2shards) shards=2 cpus=$server_cpu,$generator_cpu server_cpus= ;;
                *-1shard) server_cpus= ;;
            esac
            driver=${driver%%-*}
            rm -rf "$work/logs"
            # Nothing but the fleet is measured; programs of before have no control server.
            if "$program" run --help | grep -q -- '--control '; then more+=(--control off); fi
            start_server "$program" run --config "$work/$config" "${mode[@]}" --driver "$driver" ${more[@]+"${more[@]}"} \
                --shards "$shards" --cpus "$cpus" --log-dir "$work/logs" --stats "$work/stats.json"
            ;;
        epoll-echo) start_server "$examples/${echo}_epoll" "${at[@]}" ;;
        ring-echo) start_server "$examples/${echo}_ring" "${at[@]}" ;;
        epoll-tuned-echo) start_server "$examples/${echo}_epoll" "${at[@]}" tuned ;;
        ring-tuned-echo) start_server "$examples/${echo}_ring" "${at[@]}" tuned ;;
        asyncio-echo) start_server python3 bench/echo/echo.py "${tcp[@]}" "${at[@]}" ;;
        uvloop-echo) start_server python3 bench/echo/echo.py --loop uvloop "${tcp[@]}" "${at[@]}" ;;
        asyncio-peer) start_server python3 bench/peer/mock.py "$work/$config" ;;
        *) fail "no server $name" ;;
    esac
}

# cpu_ticks: user and system time that the server has used, all threads, in clock ticks.
cpu_ticks() {
    # The name in parentheses may hold spaces.
    sed 's/.*) //' "/proc/$server/stat" | awk '{ print $12 + $13 }'
}

# resident_kib: resident memory of the server.
resident_kib() {
    awk '/^VmRSS:/ { print $2 }' "/proc/$server/status"
}

# flood NAME ARGS...: the generator against what is served; its report in $work/flood.json. Against an echo a reply is
# right when it is the request.
flood() {
    local name=$1 status=0 limit
    shift
    case $name in *-echo) [ -z "$flood_echo" ] || set -- "$flood_echo" "$@" ;; esac
    limit=$(awk -v a="$seconds" -v b="$warmup" -v c="$GRACE_SECONDS" 'BEGIN { printf "%d", a + b + c }')
    flood_command="fsu-mock flood $*"
    rm -f "$work/flood.json"
    timeout "$limit" ${asks[@]+"${asks[@]}"} "$program" flood "$@" --cpus "$generator_cpu" --seconds "$seconds" --seed 1 --quiet \
        --json "$work/flood.json" >"$work/flood.out" 2>&1 &
    generator=$!
    wait "$generator" || status=$?
    generator=
    # 1: replies were wrong or lost, which the report says and the table shows.
    if [ "$status" -gt 1 ] || [ ! -s "$work/flood.json" ]; then
        tail -n 20 "$work/flood.out" >&2
        fail "exit code $status: $flood_command"
    fi
}

# round MEASURE CASE ROUND NAME TRANSPORT FSUS CONFIG ARGS...: serves, floods, stops, and keeps one line.
round() {
    local measure=$1 case=$2 number=$3 name=$4 transport=$5 fsus=$6 config=$7 before after began ended
    shift 7
    serve "$name" "$transport" "$fsus" "$config"
    before=$(cpu_ticks)
    began=$(date +%s.%N)
    flood "$name" --config "$work/$config" "$@"
    ended=$(date +%s.%N)
    after=$(cpu_ticks)
    stop_server
    python3 bench/table.py keep "$rounds_file" --measure "$measure" --case "$case" --round "$number" --server "$name" \
        --flood "$work/flood.json" --stats "$work/stats.json" --cpu-ticks $((after - before)) \
        --elapsed "$began" "$ended" --server-command "$server_command" \
        --flood-command "$flood_command"
    rm -f "$work/stats.json"
}

# interleave MEASURE CASE "NAMES" TRANSPORT FSUS CONFIG ARGS...: every server once a round; the first one changes by round.
interleave() {
    local measure=$1 case=$2 names=() number shift_by at count
    read -ra names <<<"$3"
    shift 3
    count=${#names[@]}
    for ((number = 1; number <= rounds; number++)); do
        for ((at = 0; at < count; at++)); do
            shift_by=$(((at + number - 1) % count))
            round "$measure" "$case" "$number" "${names[shift_by]}" "$@"
        done
        printf '%s, %s: round %d of %d\n' "$measure" "$case" "$number" "$rounds" >&2
    done
}
