"""Judges what scripts/soak.sh left in a directory: prints the figures, ends with 1 where something grew or does not add up."""

import collections
import json
import pathlib
import statistics
import sys

# What memory may grow from the second quarter to the last, allocator's noise included.
GROWTH_MAX = 0.05
GROWTH_KB = 4096
# FSUs of the configuration that is served at the end; beside their sockets the program holds less than this.
FSUS_AT_END = 350
OTHER_DESCRIPTORS_MAX = 64


def read_ledger(path: pathlib.Path) -> tuple[collections.Counter, list[str]]:
    """Lines by kind, and those that cannot be: this fleet has no bursts and no transfers, so each message has one reply."""
    kinds, odd, seen = collections.Counter(), [], set()
    with path.open() as lines:
        for text in lines:
            line = json.loads(text)
            if "lost" in line:
                odd.append(text.strip())
                continue
            kinds[line["kind"]] += 1
            place = line["reply"], line["of"], line["frame"]
            # FSUs that come again count from 1 again.
            key = line["fsu"], line["time"], line["message"], line["kind"]
            if line["message"] > 0:
                right = place == (1, 1, "reply") and line["kind"] != "offline" and key not in seen
                seen.add(key)
            else:
                right = place[:2] == (0, 0) and line["frame"] in ("reply", "error", "heartbeat", "request", "connection")
            if not right:
                odd.append(text.strip())
    return kinds, odd


def main(directory):
    rows = [line.split("\t") for line in (directory / "memory.tsv").read_text().splitlines()[1:]]
    rss = [int(row[1]) for row in rows]
    descriptors_at_end = int(rows[-1][2])
    quarter = max(len(rss) // 4, 1)
    early, late = statistics.median(rss[quarter : 2 * quarter] or rss), statistics.median(rss[-quarter:])
    stats = json.loads((directory / "stats.json").read_text())
    totals = stats["totals"]
    ledger, odd = read_ledger(directory / "ledger.jsonl")
    told = {kind: count for kind, count in totals["faults"].items() if count}
    # A good request that gets no reply is one line of these; another reply may be on its way when its connection ends.
    unanswered = sum(ledger[kind] for kind in ("drop", "reset", "stall", "half_close"))
    doubled = ledger["duplicate"]
    missing = totals["received"] + doubled - totals["answered"] - totals["silent"] - unanswered

    print(f"requests      {totals['received']} received, {totals['answered']} answered, {totals['dropped_total']} dropped")
    print(f"faults        {totals['faults_total']}, all in the ledger: {told == dict(ledger)}")
    print(f"reloads       {stats['run']['reloads']} done, {stats['run']['reloads_failed']} refused")
    print(f"connections   {totals['connections']}")
    print(f"memory        {early:.0f} KiB in the second quarter, {late:.0f} KiB in the last")
    print(f"descriptors   {descriptors_at_end} at the end, of {FSUS_AT_END} FSUs")
    # Replies that came due in an outage are in the ledger with what was asked in it.
    told_otherwise = totals["dropped_total"] + ledger["offline"]
    print(f"not sent      {missing} more replies: {totals['dropped_total']} drops, the rest in the outage ({ledger['offline']} lines)")
    wrong = []
    if late > early * (1 + GROWTH_MAX) + GROWTH_KB:
        wrong.append("memory grows")
    if descriptors_at_end > FSUS_AT_END + OTHER_DESCRIPTORS_MAX:
        wrong.append("descriptors grow")
    if told != dict(ledger):
        wrong.append(f"the ledger has {dict(ledger)}, the counters {told}")
    if odd:
        wrong.append(f"{len(odd)} lines of the ledger are not as they should be, the first: {odd[0]}")
    if not totals["dropped_total"] <= missing <= told_otherwise:
        wrong.append(f"{missing} replies are not sent, {told_otherwise} are told as dropped or in the ledger")
    if not stats["run"]["reloads"] or not stats["run"]["reloads_failed"]:
        wrong.append("nothing was reloaded, or no broken file refused")
    for text in wrong:
        print(f"FAILED: {text}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
