#!/usr/bin/env bash
# Measures what the control server costs and how fast it answers: replies per second with a scrape a second and an open stream of
# events against --control off, in turns; a scrape with 10,000 FSUs; the longest time that a shard was held up; a trigger on 10,000
# FSUs; the page on a cold load. Needs two otherwise idle processors; docs/internals/method.md says how to read it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

usage() {
    cat <<END
usage: bench/control.sh [cost|scrape|trigger|page|all]... [OPTION...]
  --program FILE      the program (the release build)
  --rounds N          pairs of runs with and without a control server (4)
  --seconds S         seconds per run (5)
  --fsus N            FSUs of scrape and trigger (10000)
  --server-cpu N      processor of the mock (the first one allowed)
  --generator-cpu N   processor of the generator (the last one allowed)
END
}

program='' rounds=4 seconds=5 fsus=10000 server_cpu='' generator_cpu='' asked=()
while [ $# -gt 0 ]; do
    case $1 in
        --program | --rounds | --seconds | --fsus | --server-cpu | --generator-cpu)
            [ $# -ge 2 ] || fail "$1 needs a value"
            variable=${1#--}
            printf -v "${variable//-/_}" '%s' "$2"
            shift
            ;;
        -h | --help) usage && exit 0 ;;
        cost | scrape | trigger | page) asked+=("$1") ;;
        all) asked+=(cost scrape trigger page) ;;
        *) usage >&2 && fail "what is $1?" ;;
    esac
    shift
done
[ ${#asked[@]} -gt 0 ] || asked=(cost scrape trigger page)
need python3 python3 "it asks the control server and makes the table"
need taskset util-linux "it pins programs"
if [ -z "$program" ]; then
    cargo build --release --locked --quiet -p fsu-mock
    program=target/release/fsu-mock
fi
program=$(realpath "$program")
cpus=$(python3 -c 'import os; cpus = sorted(os.sched_getaffinity(0)); print(cpus[0], cpus[-1])')
: "${server_cpu:=${cpus% *}}" "${generator_cpu:=${cpus#* }}"
exec python3 bench/control.py --program "$program" --rounds "$rounds" --seconds "$seconds" --fsus "$fsus" \
    --server-cpu "$server_cpu" --generator-cpu "$generator_cpu" "${asked[@]}"
