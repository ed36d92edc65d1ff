#!/usr/bin/env bash
# Compares two ways of serving within one run: the shard switches between them every few milliseconds and adds up its own processor time
# and its requests for each. Runs side by side hide a tenth on most machines; this shows a hundredth. docs/internals/method.md says how to
# read it. Builds the program with the feature `ab`, stops whatever it started.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

readonly WAYS="sends files whole connected"

usage() {
    cat <<END
usage: bench/ab.sh WAY[,WAY...] [OPTION...]
WAY, off in mode A and on in mode B:
  sends      datagrams leave through the ring, with the submission that waits
  files      the kernel keeps the sockets that they leave by (registered files)
  whole      sockets do not fragment (IP_PMTUDISC_DO)
  connected  a centre that asks often has a socket that is connected to it (with --window-ms 500: switching takes long)
  --fsus LIST         UDP FSUs, a run each (100,1000,5000)
  --window LIST       requests under way on each (16,4,1)
  --seconds S         of each run (10)
  --window-ms N       how long a mode lasts (15)
  --driver DRIVER     ring or poll (ring)
  --gso               replies may be joined, and bursts are sent
  --program FILE      a build of the mock with the feature ab (this one)
  --server-cpu N      where the shard runs (the first processor allowed)
  --generator-cpu N   where the generator runs (the last one allowed)
END
}

ways='' fsus=100,1000,5000 window=16,4,1 seconds=10 window_ms=15 driver=ring joins='' program='' server_cpu='' generator_cpu=''
while [ $# -gt 0 ]; do
    case $1 in
        --fsus | --window | --seconds | --window-ms | --driver | --program | --server-cpu | --generator-cpu)
            [ $# -ge 2 ] || fail "$1 needs a value"
            variable=${1#--}
            printf -v "${variable//-/_}" '%s' "$2"
            shift
            ;;
        --gso) joins=1 ;;
        -h | --help) usage && exit 0 ;;
        *)
            for way in ${1//,/ }; do
                case " $WAYS " in *" $way "*) ;; *) usage >&2 && fail "what is $way?" ;; esac
            done
            ways=$1
            ;;
    esac
    shift
done
[ -n "$ways" ] || { usage >&2 && fail "which way?"; }

need taskset util-linux "it pins programs"
raise_open_files
choose_processors
if [ -z "$program" ]; then
    need_build_tools
    # Beside the ordinary build, so that neither undoes the other.
    directory=$(target_dir)/ab
    cargo build --release --locked --quiet --bin fsu-mock --features ab --target-dir "$directory"
    program=$directory/release/fsu-mock
fi
[ -x "$program" ] || fail "no program $program"

work=$(mktemp -d "${TMPDIR:-/tmp}/fsu-mock-ab.XXXXXX")
# Of these bench/lib.sh needs to know; no echo is measured.
# shellcheck disable=SC2034
examples='' warmup=1 flood_echo='' rounds=1 rounds_file=$work/rounds
# shellcheck source=bench/lib.sh
. bench/lib.sh
finish() {
    stop_generator
    stop_server
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM
wait_ports

single=() load=(--mix 108B=1 --timeout-ms 1000 --sockets 16)
if [ -z "$joins" ]; then
    single=(--no-gso)
    load+=(--no-gso)
fi
IFS=, read -ra fsu_list <<<"$fsus"
IFS=, read -ra window_list <<<"$window"

printf '%-28s %5s %8s %12s %10s %10s\n' "B with $ways ($driver)" mode rounds requests us B/A
for at in "${!fsu_list[@]}"; do
    count=${fsu_list[at]} under_way=${window_list[at]:-1}
    config "udp-$count" udp "$count"
    server_cpus=$server_cpu
    export FSU_MOCK_AB=$ways FSU_MOCK_AB_MS=$window_ms
    start_server "$program" run --config "$work/udp-$count" --performance --driver "$driver" "${single[@]}" --shards 1 \
        --control off --cpus "$server_cpu" --log-dir "$work/logs"
    unset FSU_MOCK_AB FSU_MOCK_AB_MS
    flood ours --config "$work/udp-$count" "${load[@]}" --window "$under_way" --warmup "$warmup"
    stop_server
    grep '^ab:' "$work/err" | while read -r _ mode rounds requests us ratio; do
        printf '%-28s %5.7s %8s %12s %10s %10s\n' "$count FSUs, $under_way under way each" "$mode" "$rounds" "$requests" "$us" "$ratio"
    done
done
