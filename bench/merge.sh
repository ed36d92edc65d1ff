#!/usr/bin/env bash
# How long `merge` takes for 64 parts with 10,000 FSUs each: statistics and reports of a load. Checks that nothing is lost.
#   bench/merge.sh [--bin FILE] [--parts N] [--fsus N]
# The parts are made of one that is served and loaded here; each has its own FSUs and numbers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

program=$(pwd)/target/release/fsu-mock
parts=64
fsus=10000
while [ $# -gt 0 ]; do
    case $1 in
        --bin) program=$(readlink -f "${2:?}") ;;
        --parts) parts=${2:?} ;;
        --fsus) fsus=${2:?} ;;
        *) fail "unknown option $1 (--bin FILE, --parts N, --fsus N)" ;;
    esac
    shift 2
done
[ -x "$program" ] || fail "no release build: cargo build --release"
need python3 python3 "it makes the parts"

work=$(mktemp -d "${TMPDIR:-/tmp}/fsu-merge.XXXXXX")
trap 'rm -rf "$work"' EXIT
# One part is served and loaded; the others are made from it.
"$program" init --minimal "$work/config" >/dev/null
python3 - "$work" "$fsus" <<'PY'
import json, sys
path = f"{sys.argv[1]}/config/sys_config.json"
config = json.load(open(path))
one = config["fsu_list"][0]
del one["port"]
one.update(fsuname="fleet", fsuid="3130303030303031", count=int(sys.argv[2]), hosts="127.1.0.0/16", ports="22001-42000")
json.dump(config, open(path, "w"))
PY
raise_open_files
"$program" run --config "$work/config" --seed 1 --partition 0/1 --performance --control off --log-dir "$work/logs" \
    --stats "$work/stats.json" >"$work/out" 2>&1 &
job=$!
until grep -q '^ready' "$work/out"; do
    kill -0 "$job" 2>/dev/null || { cat "$work/out"; exit 1; }
    sleep 0.05
done
"$program" flood --config "$work/config" --partition 0/1 --requests "$fsus" --warmup 0 --quiet --json "$work/flood.json" >/dev/null || true
kill "$job"
wait "$job" || true

python3 - "$work" "$parts" <<'PY'
import json, os, sys
work, parts = sys.argv[1], int(sys.argv[2])
stats, flood = (json.load(open(f"{work}/{name}.json")) for name in ("stats", "flood"))
many = len(stats["fsus"])
names = [one["name"] for one in stats["fsus"]]
for part in range(parts):
    os.makedirs(f"{work}/part-{part}")
    stats["part"] = {"part": part, "of": parts, "fsus_of": many * parts, "numbers": list(range(part, many * parts, parts))}
    for name, one in zip(names, stats["fsus"]):
        one["name"] = f"{name}-{part}"
    json.dump(stats, open(f"{work}/part-{part}/stats.json", "w"), indent=2)
    flood["part"].update(part=part, of=parts, fsus_of=many * parts)
    json.dump(flood, open(f"{work}/part-{part}/flood.json", "w"), indent=2)
PY
printf '%s parts of %s FSUs: %s\n' "$parts" "$fsus" "$(du -shc "$work"/part-* | tail -n 1 | cut -f 1)"
for _ in 1 2 3; do
    begin=$(date +%s%N)
    "$program" merge "$work/whole" "$work"/part-* >"$work/told" || [ $? -eq 1 ]
    printf 'merged in %d ms\n' $((($(date +%s%N) - begin) / 1000000))
done
cat "$work/told"
python3 - "$work" "$parts" <<'PY'
import json, sys
work, parts = sys.argv[1], int(sys.argv[2])
one, flood = (json.load(open(f"{work}/{name}.json")) for name in ("stats", "flood"))
whole, load = (json.load(open(f"{work}/whole/{name}.json")) for name in ("stats", "flood"))
assert len(whole["fsus"]) == len({fsu["name"] for fsu in whole["fsus"]}) == len(one["fsus"]) * parts
assert whole["totals"]["received"] == one["totals"]["received"] * parts
assert sum(fsu["received"] for fsu in whole["fsus"]) == whole["totals"]["received"]
assert whole["lateness_steps"] == [[value, count * parts] for value, count in one["lateness_steps"]]
assert load["latency"]["steps"] == [[value, count * parts] for value, count in flood["latency"]["steps"]]
assert load["totals"]["counts"]["sent"] == flood["totals"]["counts"]["sent"] * parts
print("exact:", len(whole["fsus"]), "FSUs,", whole["totals"]["received"], "requests")
PY
