#!/usr/bin/env bash
# Counts the instructions from a request's bytes to its reply's, for every command of every shipped vendor that the golden
# vectors have, over UDP (with the outer frame) and TCP. Counts repeat exactly, on any machine, however busy.
# usage: bench/instructions.sh [--all | --profile VENDOR TRANSPORT COMMAND]
#   --all      every command, not only each vendor's least and most
#   --profile  the instructions of one command by function, callees included
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

# The goals: the clock command of the reference exchange in the B interface's outer frame and alone, and the median of all rows.
readonly GOALS=("bangsun_old udp 108B 520" "bangsun_old tcp 108B 360" "jt808 tcp 0200 3000" "iec104 tcp 64 3000" "hj212 tcp 1011 3000" "hj212-crc tcp 1011 3000") GOAL_MEDIAN=700 GOAL_ROW="bangsun_old udp 108B"
readonly RUN_SECONDS_MAX=900

all='' profile=()
case ${1:-} in
    --all) all=1 ;;
    --profile)
        [ $# -eq 4 ] || fail "usage: bench/instructions.sh --profile VENDOR TRANSPORT COMMAND"
        profile=("${@:2}")
        ;;
    "") ;;
    *) fail "usage: bench/instructions.sh [--all | --profile VENDOR TRANSPORT COMMAND]" ;;
esac

need_build_tools
need valgrind valgrind "it counts instructions"

work=$(mktemp -d "${TMPDIR:-/tmp}/fsu-mock-instructions.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

cargo build --release --locked --quiet --example instructions
program=$(target_dir)/release/examples/instructions

if [ ${#profile[@]} -gt 0 ]; then
    timeout "$RUN_SECONDS_MAX" valgrind --quiet --tool=callgrind --callgrind-out-file="$work/out" \
        --toggle-collect='instructions::serve' "$program" "${profile[@]}" >"$work/phases" 2>"$work/errors" ||
        { cat "$work/errors" >&2; fail "valgrind failed"; }
    # The warm-up has as many requests as the first phase.
    requests=$(awk 'NR == 1 { sum = $4 } { sum += $4 } END { print sum + 0 }' "$work/phases")
    [ "$requests" -gt 0 ] || fail "no such command: ${profile[*]}"
    say "instructions a request, of each function with what it calls"
    callgrind_annotate --auto=no --inclusive=yes "$work/out" 2>/dev/null | awk -v requests="$requests" '
        /fsu_|memcpy|memmove|memcmp|memchr/ {
            count = $1
            gsub(",", "", count)
            sub(/^.*:/, "", $0)
            if (!seen[$1]++) printf "%9.1f  %s\n", count / requests, $1
        }'
    exit
fi

# What was counted until a phase begins goes into a dump of its own; the dump when it ends has the phase.
timeout "$RUN_SECONDS_MAX" valgrind --quiet --tool=callgrind --callgrind-out-file="$work/out" \
    --dump-before='instructions::serve' --dump-before='instructions::served' \
    "$program" >"$work/phases" 2>"$work/errors" || { cat "$work/errors" >&2; fail "valgrind failed"; }

# Dumps are numbered; those of a phase's end, in order, belong to the phases that were printed, which a warm-up precedes
# every other time.
for ((number = 1; ; number++)); do
    dump="$work/out.$number"
    [ -e "$dump" ] || break
    grep -q '^desc: Trigger: --dump-before=instructions::served' "$dump" || continue
    awk '/^(totals|summary):/ { print $2; exit }' "$dump"
done | awk 'NR % 3 != 1' >"$work/counts"
[ "$(wc -l <"$work/counts")" -eq "$(wc -l <"$work/phases")" ] ||
    fail "$(wc -l <"$work/counts") counts of $(wc -l <"$work/phases") phases: callgrind did not find them"

# vendor transport command requests bytes profile count, two lines a command -> vendor transport command bytes instructions profile
paste -d' ' "$work/phases" "$work/counts" | awk '
    NR % 2 { requests = $4; count = $7; next }
    { printf "%s %s %s %d %.0f %d\n", $1, $2, $3, $5, ($7 - count) / ($4 - requests), $6 }' >"$work/rows"

say "instructions from request to reply"
if [ -z "$all" ]; then
    # Of each vendor and transport the least and the most, and the goal's row.
    sort -k1,2 -k5,5n "$work/rows" | awk -v goal="$GOAL_ROW" '
        function flush() { if (last != "") print last; last = "" }
        { key = $1 " " $2 }
        key != before { flush(); print; before = key; next }
        { if (last != "" && index(last, goal " ") == 1) print last; last = $0 }
        END { flush() }' >"$work/shown"
else
    cp "$work/rows" "$work/shown"
fi
printf '%-12s %-5s %-8s %8s %13s\n' vendor over command bytes instructions
sort -k2,2r -k1,1 -k5,5n "$work/shown" | while read -r vendor transport command bytes count _; do
    printf '%-12s %-5s %-8s %8d %13d\n' "$vendor" "$transport" "$command" "$bytes" "$count"
done

# goal TEXT FOUND MOST: a line that says whether it is met.
goal() {
    if [ "$2" -le "$3" ]; then met="met"; else met="not met"; fi
    echo "goal: $1 in at most $3 instructions: $2, $met"
}

echo
for of in "${GOALS[@]}"; do
    row=${of% *}
    found=$(awk -v goal="$row" '$1 " " $2 " " $3 == goal { print $5 }' "$work/rows")
    [ -n "$found" ] || fail "$row was not counted"
    goal "$row" "$found" "${of##* }"
done
# Frames whose fields vary in size (bench/walked) have goals of their own.
goal "the median row" "$(grep -vE '^(jt808|iec104|hj212|hj212-crc|gallery-[a-z0-9]+) ' "$work/rows" | sort -k5,5n | awk '{ all[NR] = $5 } END { print all[int((NR + 1) / 2)] }')" "$GOAL_MEDIAN"
awk '{ taken += $6 } END { printf "%d of %d rows are answered by a profile\n", taken, NR }' "$work/rows"
echo "allocations: tests/allocations.rs holds them at 0"
