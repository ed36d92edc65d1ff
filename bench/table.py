#!/usr/bin/env python3
"""Keeps the rounds of bench/run.sh, and makes tables of them.

table.py keep|value ROUNDS ...      one round more, as a line of JSON
table.py half ROUNDS                half of what was served in the last round, in requests a second
table.py asked REPORT               of the generator's report: FSUs asked, FSUs that did not answer all, requests lost and wrong
table.py print ROUNDS               the tables
table.py record ROUNDS ...          appends them to target/bench/DATE-NAME.jsonl
table.py docs [RECORD...]           keeps the newest rounds of every measure of these records, oldest first, in bench/record.jsonl, and puts
                                    their tables into docs/internals/performance.md and its Chinese page; without a record, from what is kept
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
RECORDS = ROOT / "target/bench"
KEPT = ROOT / "bench/record.jsonl"
# A round of the kept record has what its tables need, and no more.
UNKEPT = ("command", "server_command", "good", "late", "own_drops", "p50_us", "p999_us", "server_cpu_s", "sent_all", "elapsed_s",
          "sent_per_s", "received", "answered")
PAGES = {"en": ROOT / "docs/internals/performance.md", "zh": ROOT / "docs/zh/internals/performance.md"}
CHINESE = {
    "Goals:": "目标：",
    "Transfers of 1,000,000 bytes, asked for frame by frame:": "1,000,000 字节的传输，逐帧索取：",
    "measure": "测量", "server": "程序", "ours": "本程序", "beside": "对照", "ratio (of rounds)": "比值（各轮）", "goal": "目标", "notes": "说明",
    "transfers": "传输", "whole": "完成", "data": "数据", "failed or wrong": "失败或错误", "frames asked again": "再次索取的帧",
    "generator CPU": "压测工具 CPU",
}
MARKS = ("<!-- figures: bench/table.py docs -->", "<!-- end of figures -->")
ECHOES = ("epoll-echo", "ring-echo")
# The same with sockets that do not fragment, and one more that is connected to the generator.
TUNED = ("epoll-tuned-echo", "ring-tuned-echo")
# The mock with each reply a datagram of its own.
SINGLE = "-single"
# The generator's own, behind its plan.
LATENESS_US_MAX = 1000
DEVICE_LOG_US_MAX = 500
MEMORY_MIB_MAX = 64
READY_MS_MAX = 1000
FLEET_MEMORY_MIB_MAX = 16
FLEET_READY_MS_MAX = 500


def read(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines() if line]


def append(path, line):
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


# One round.


def keep(args):
    """What the generator reported, and the processor time that the server took."""
    report = json.loads(pathlib.Path(args.flood).read_text())
    totals, counts = report["totals"], report["totals"]["counts"]
    # The processor time is that of all requests, the warm-up's and the last ones' too.
    served = totals["sent_all"]
    cpu_s = args.cpu_ticks / os.sysconf("SC_CLK_TCK")
    line = {
        "measure": args.measure,
        "case": args.case,
        "round": args.round,
        "server": args.server,
        "per_s": totals["replies_per_s"],
        "sent_per_s": totals["sent_per_s"],
        "sent": counts["sent"],
        "good": counts["good"],
        "wrong": counts["wrong"],
        "late": counts["late"],
        "lost": counts["lost"],
        "not_sent": totals.get("not_sent"),
        "own_drops": totals.get("own_drops"),
        "p50_us": report["latency"]["p50_us"],
        "p99_us": report["latency"]["p99_us"],
        "p999_us": report["latency"]["p999_us"],
        "lag_p99_us": report["lag"]["p99_us"],
        "generator_cpu": max((t["cpu_share"] for t in report["generator"]["threads"]), default=None),
        "generator_limited": report["verdict"]["generator_limited"],
        "server_cpu_s": cpu_s,
        "sent_all": served,
        "cpu_us": round(cpu_s * 1e6 / served, 4) if served else None,
        "elapsed_s": round(args.elapsed[1] - args.elapsed[0], 3),
        "server_command": hide(args.server_command),
        "command": hide(args.flood_command),
    }
    if transfers := report.get("transfers"):
        line["transfers"] = transfers["whole"]
        line["transfers_per_s"] = transfers["whole_per_s"]
        line["payload_bytes_per_s"] = transfers["payload_bytes_per_s"]
        line["transfers_failed"] = transfers["failed"]
        line["retries"] = transfers["retries"]
        line["transfer_p50_us"] = transfers["latency"]["p50_us"]
        line["transfer_p99_us"] = transfers["latency"]["p99_us"]
    stats = pathlib.Path(args.stats)
    if stats.exists():
        stats = json.loads(stats.read_text())
        line["received"] = stats["totals"]["received"]
        line["answered"] = stats["totals"]["answered"]
        line["mock_late_p99_us"] = stats["lateness"]["p99_us"]
        line["records_lost"] = stats["totals"]["log_records_lost"] + stats["log"]["device_records_lost"]
        line["records_written"] = stats["log"]["device_records_written"]
    append(args.rounds, line)


def hide(command):
    """Without this machine's directories."""
    return re.sub(r"(?<!\S)(?:/[^/ ]+)+/", "", command)


def value(args):
    """Figures that come from elsewhere: KEY=NUMBER."""
    figures = {key: float(number) for key, number in (pair.split("=", 1) for pair in args.pairs)}
    names = {"measure": args.measure, "case": args.case, "round": args.round, "server": args.server}
    append(args.rounds, names | figures | {"server_command": hide(args.server_command)})


def half(args):
    print(int(read(args.rounds)[-1]["per_s"] / 2))


def asked(args):
    report = json.loads(pathlib.Path(args.rounds).read_text())
    counts = report["totals"]["counts"]
    print(f"fsus={report['run']['fsus']} not_right={report['fsus_not_right']} lost={counts['lost']} wrong={counts['wrong']}")


# Tables.


class Rounds:
    """Lines by measure, case and server."""

    def __init__(self, lines):
        self.lines = [line for line in lines if "measure" in line]

    def of(self, measure, case=None, server=None):
        return [
            line
            for line in self.lines
            if line["measure"] == measure and case in (None, line["case"]) and server in (None, line["server"])
        ]

    def names(self, key, measure, case=None):
        return list(dict.fromkeys(line[key] for line in self.of(measure, case)))

    def drivers(self, measure, case, suffix=""):
        for name in sorted(self.names("server", measure, case), reverse=True):
            if name.startswith("ours-") and name.endswith(suffix) and name.count("-") == 1 + suffix.count("-"):
                yield name

    def median(self, key, *which):
        values = [line[key] for line in self.of(*which) if line.get(key) is not None]
        return statistics.median(values) if values else None

    def all(self, key, *which):
        return [line[key] for line in self.of(*which) if line.get(key) is not None]


def thousands(number):
    return "-" if number is None else f"{number / 1000:.1f} k/s"


def met(is_met, spread=(), goal=None):
    """Of rounds on both sides of a goal the median alone says little."""
    both = goal is not None and spread and min(spread) < goal <= max(spread)
    return ("met" if is_met else "**not met**") + (", rounds on both sides" if both else "")


def limits(rounds, measure, case, *names):
    """What kept a figure from being the server's alone."""
    notes = []
    lines = [line for name in names for line in rounds.of(measure, case, name)]
    if any(line.get("generator_limited") for line in lines):
        ours, theirs = (rounds.median("cpu_us", measure, case, name) for name in names)
        notes.append(f"generator at its limit; processor time per request {ours:.2f} and {theirs:.2f} us")
    unsent = sum(line.get("not_sent") or 0 for line in lines)
    if unsent:
        notes.append(f"{unsent} of the plan not sent")
    lag = max((line.get("lag_p99_us") or 0 for line in lines), default=0)
    if lag > LATENESS_US_MAX:
        notes.append(f"generator up to {lag / 1000:.1f} ms behind its plan (p99)")
    for name in names:
        troubles = sum(line["wrong"] + line["lost"] for line in rounds.of(measure, case, name))
        if troubles:
            notes.append(f"{troubles} wrong or lost ({name})")
    return notes


def ratio_rows(rounds, measure, servers, goal, suffixes=("", SINGLE)):
    """Replies a second over the best of `servers`. `goal(case, name)`: the ratio wanted, or None where there is no goal."""
    for case in rounds.names("case", measure):
        rates = {name: rounds.median("per_s", measure, case, name) for name in servers}
        rates = {name: rate for name, rate in rates.items() if rate}
        if not rates:
            continue
        best = max(rates, key=rates.get)
        for name in [name for suffix in suffixes for name in rounds.drivers(measure, case, suffix)]:
            rate = rounds.median("per_s", measure, case, name)
            ratio = rate / rates[best]
            pairs = zip(rounds.all("per_s", measure, case, name), rounds.all("per_s", measure, case, best))
            spread = [ours / theirs for ours, theirs in pairs if theirs]
            notes = limits(rounds, measure, case, name, best)
            if name.endswith(SINGLE):
                notes.insert(0, "each reply a datagram of its own")
            again = sum(sum(rounds.all("retries", measure, case, one)) for one in (name, best))
            if again:
                notes.append(f"{again} frames asked for again")
            wanted = goal(case, name)
            yield (
                f"{measure}: {case}",
                name,
                thousands(rate),
                f"{best} {thousands(rates[best])}",
                f"{ratio:.2f} ({min(spread):.2f}-{max(spread):.2f})",
                f">= {wanted:.2f}" if wanted else "-",
                met(ratio >= wanted, spread, wanted) if wanted else "-",
                "; ".join(notes),
            )


def of_single(goal):
    """A goal of the rows with each reply a datagram of its own, from 100 FSUs on."""
    return lambda case, name: goal if name.endswith(SINGLE) and not case.startswith("1 FSU") else None


def of_all(goal):
    return lambda case, _: None if case.startswith("1 FSU") else goal


def of_streams(case, _):
    return 0.95 if ", 1 under way" in case else 0.90


def of_queue(case, name):
    """Of AF_XDP, where the generator has it, too."""
    return 4 if name.startswith("ours-xdp") and case.endswith("AF_XDP") else None


def cpu_rows(rounds, measure, goal, ours_suffix, other, cases=None):
    """Processor time per request over another's."""
    for case in cases or rounds.names("case", measure):
        for name in rounds.drivers(measure, case, ours_suffix):
            beside = other(name)
            ours, theirs = (rounds.median("cpu_us", measure, case, one) for one in (name, beside))
            if not ours or not theirs:
                continue
            pairs = zip(rounds.all("cpu_us", measure, case, name), rounds.all("cpu_us", measure, case, beside))
            spread = [mine / other for mine, other in pairs if other]
            notes = limits(rounds, measure, case, name, beside)
            late, late_beside = (rounds.median("p99_us", measure, case, one) for one in (name, beside))
            if late is not None and late_beside is not None:
                notes.append(f"p99 {late:.0f} and {late_beside:.0f} us")
            yield (
                f"{measure}: {case}, processor time",
                name,
                f"{ours:.2f} us",
                f"{beside} {theirs:.2f} us",
                f"{ours / theirs:.2f} ({min(spread):.2f}-{max(spread):.2f})",
                f"<= {goal:.2f}",
                met(ours / theirs <= goal, spread, goal),
                "; ".join(notes),
            )


def mode_rows(rounds):
    """Performance mode off, beside on: what delays and the device log take, and that neither makes replies late."""
    for case in rounds.names("case", "modes"):
        for name in rounds.drivers("modes", case, "-plain"):
            which = ("modes", case, name)
            beside = ("modes", case, name.replace("-plain", "-fast"))
            ours, theirs = (rounds.median("cpu_us", *one) for one in (which, beside))
            late, late_beside = (rounds.median("mock_late_p99_us", *one) for one in (which, beside))
            troubles = sum(sum(rounds.all(key, *which)) for key in ("wrong", "lost", "records_lost"))
            yield (
                f"modes: {case}, performance mode off",
                name,
                f"{ours:.2f} us",
                f"on {theirs:.2f} us",
                f"{ours / theirs:.2f}",
                "-",
                "-",
                f"{troubles} replies or records wrong or lost; due to sent, p99: {late:.0f} us, on {late_beside:.0f} us",
            )


def device_log_rows(rounds):
    for case in rounds.names("case", "devicelog"):
        for name in rounds.drivers("devicelog", case, "-log"):
            without = name.removesuffix("-log") + "-nolog"
            which, beside = ("devicelog", case, name), ("devicelog", case, without)
            lost = sum(rounds.all("lost", *which)) + sum(rounds.all("wrong", *which)) + sum(rounds.all("late", *which))
            records = sum(rounds.all("records_lost", *which))
            ours, theirs = rounds.median("p99_us", *which), rounds.median("p99_us", *beside)
            is_met = lost == 0 and records == 0 and ours - theirs <= DEVICE_LOG_US_MAX
            yield (
                f"devicelog: {case}",
                name,
                f"p99 {ours:.0f} us",
                f"without {theirs:.0f} us",
                f"+{ours - theirs:.0f} us",
                f"<= +{DEVICE_LOG_US_MAX} us, nothing lost",
                met(is_met),
                "; ".join(
                    [
                        f"{lost} replies lost, wrong or late; {records} of "
                        f"{sum(rounds.all('records_written', *which)) + records} records lost",
                        *limits(rounds, "devicelog", case, name, without),
                    ]
                ),
            )


def start_rows(rounds):
    case, alone = "10000 FSUs", "1 FSUs"
    for name in rounds.drivers("start", case):
        yield from ready_rows(rounds, ("start", case, name), READY_MS_MAX, MEMORY_MIB_MAX)


def fleet_rows(rounds):
    """Many FSUs without a socket each: ready, small, and all answer."""
    case = "50000 FSUs"
    for name in rounds.drivers("fleet", case, "-one"):
        which = ("fleet", case, name)
        yield from ready_rows(rounds, which, FLEET_READY_MS_MAX, FLEET_MEMORY_MIB_MAX)
        asked, troubles = min(rounds.all("fsus", *which)), sum(rounds.all("not_right", *which))
        yield (
            f"fleet: {case}, each asked",
            name,
            f"{asked:.0f} asked",
            "-",
            "-",
            "all answer",
            met(asked == 50_000 and troubles == 0),
            f"{troubles:.0f} did not answer all; {sum(rounds.all('lost', *which)):.0f} lost, {sum(rounds.all('wrong', *which)):.0f} wrong",
        )


def ready_rows(rounds, which, ready_ms_max, memory_mib_max):
    """How long a start takes, and the memory beyond a start with one FSU."""
    measure, case, name = which
    alone = (measure, "1 FSUs", name)
    ready = rounds.median("ready_wall_ms", *which)
    mib, base = (rounds.median("rss_kib", *one) / 1024 for one in (which, alone))
    yield (
        f"{measure}: {case}, exec to ready",
        name,
        f"{ready:.0f} ms",
        f"1 FSU {rounds.median('ready_wall_ms', *alone):.0f} ms",
        "-",
        f"< {ready_ms_max} ms",
        met(ready < ready_ms_max),
        "",
    )
    yield (
        f"{measure}: {case}, memory",
        name,
        f"{mib:.1f} MiB",
        f"1 FSU {base:.1f} MiB",
        f"+{mib - base:.1f} MiB",
        f"< +{memory_mib_max} MiB",
        met(mib - base < memory_mib_max),
        "resident, without the kernel's sockets",
    )


def loss_rows(rounds):
    for case in rounds.names("case", "loss"):
        for name in rounds.drivers("loss", case):
            which = ("loss", case, name)
            lost, drops = sum(rounds.all("lost", *which)), sum(rounds.all("own_drops", *which))
            sent = sum(rounds.all("sent", *which))
            yield (
                f"loss: {case}",
                name,
                f"{lost} of {sent}",
                f"epoll-echo {sum(rounds.all('lost', 'loss', case, 'epoll-echo'))}",
                "-",
                "0",
                met(lost == 0),
                f"{drops} at the generator's own sockets, warm-up included" if drops else "",
            )


def goals(rounds):
    yield from ratio_rows(rounds, "udp", ECHOES, of_single(1))
    yield from ratio_rows(rounds, "udp", TUNED, of_single(0.90), (SINGLE,))
    yield from cpu_rows(rounds, "udp", 1, SINGLE, lambda _: "ring-echo", ["1000 FSUs, 4 under way each"])
    yield from ratio_rows(rounds, "onesocket", ECHOES, of_single(1.15), ("-one" + SINGLE,))
    yield from ratio_rows(rounds, "xdp", ECHOES, of_queue)
    yield from ratio_rows(rounds, "tcp", ECHOES, of_streams)
    yield from ratio_rows(rounds, "broadcast", ECHOES, of_all(0.90))
    yield from ratio_rows(rounds, "gso", ("epoll-echo",), lambda *_: 3)
    yield from cpu_rows(rounds, "halfload", 1.05, "", lambda _: "epoll-echo")
    yield from ratio_rows(rounds, "peer", ("asyncio-peer",), lambda *_: 50)
    yield from mode_rows(rounds)
    yield from device_log_rows(rounds)
    yield from cpu_rows(rounds, "shards", 1.05, "-2shards", lambda name: name.replace("-2shards", "-1shard"))
    yield from start_rows(rounds)
    yield from fleet_rows(rounds)
    yield from loss_rows(rounds)
    yield from tracker_rows(rounds)


def tracker_rows(rounds):
    """Beside a public server that looks up and answers each datagram."""
    for case in rounds.names("case", "tracker"):
        theirs, beside = (rounds.median(key, "tracker", case, "aquatic_udp") for key in ("cpu_us", "per_s"))
        for name in rounds.drivers("tracker", case, SINGLE):
            ours, rate = (rounds.median(key, "tracker", case, name) for key in ("cpu_us", "per_s"))
            yield (
                f"tracker: {case}, processor time",
                name,
                f"{ours:.2f} us",
                f"aquatic_udp {theirs:.2f} us",
                f"{ours / theirs:.2f}",
                "-",
                "-",
                f"{thousands(rate)} and {thousands(beside)}; {'1 FSU' if 'poll' in name else '1,000 FSUs'}",
            )


def transfer_rows(rounds):
    """Whole transfers of 1,000,000 bytes."""
    for case in rounds.names("case", "transfers"):
        for name in rounds.drivers("transfers", case):
            which = ("transfers", case, name)
            keys = ("transfers_per_s", "payload_bytes_per_s", "transfer_p50_us", "transfer_p99_us", "generator_cpu")
            rate, payload, p50, p99, generator = (rounds.median(key, *which) for key in keys)
            yield (
                case,
                name,
                f"{rate:.1f}/s",
                f"{payload / 1e6:.1f} MB/s",
                f"{p50 / 1000:.1f} ms",
                f"{p99 / 1000:.1f} ms",
                str(sum(sum(rounds.all(key, *which)) for key in ("transfers_failed", "wrong"))),
                str(sum(rounds.all("retries", *which))),
                f"{generator:.0%}",
            )


def medians(rounds):
    for measure in dict.fromkeys(line["measure"] for line in rounds.lines):
        for case in rounds.names("case", measure):
            for name in rounds.names("server", measure, case):
                which = (measure, case, name)
                rate, cpu, p99 = (rounds.median(key, *which) for key in ("per_s", "cpu_us", "p99_us"))
                generator = rounds.median("generator_cpu", *which)
                if rate is None:
                    continue
                yield (
                    f"{measure}: {case}",
                    name,
                    str(len(rounds.of(*which))),
                    thousands(rate),
                    "-" if cpu is None else f"{cpu:.2f}",
                    "-" if p99 is None else f"{p99:.0f}",
                    "-" if generator is None else f"{generator:.0%}",
                )


def commands(rounds):
    seen = {}
    for line in rounds.lines:
        server, flood = line.get("server_command"), line.get("command")
        if server:
            seen.setdefault((f"{line['measure']}: {line['case']}", line["server"]), (server, flood or "-"))
    return [(*key, *(f"`{text}`" for text in both)) for key, both in seen.items()]


def table(heading, rows):
    rows = list(rows)
    if not rows:
        return ""
    widths = [max(len(row[at]) for row in [heading, *rows]) for at in range(len(heading))]
    line = lambda row: "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |\n"
    return line(heading) + "|" + "|".join("-" * (width + 2) for width in widths) + "|\n" + "".join(map(line, rows))


def goal_tables(lines, language="en"):
    """The goals, and the transfers: what the documents show."""
    rounds = Rounds(lines)
    say = lambda words: CHINESE.get(words, words) if language == "zh" else words
    heading = [say(word) for word in ("measure", "server", "ours", "beside", "ratio (of rounds)", "goal", "", "notes")]
    parts = [say("Goals:") + "\n\n" + table(heading, goals(rounds))]
    heading = [say(word) for word in ("transfers", "server", "whole", "data", "p50", "p99", "failed or wrong", "frames asked again",
                                      "generator CPU")]
    if whole := table(heading, transfer_rows(rounds)):
        parts.append(say("Transfers of 1,000,000 bytes, asked for frame by frame:") + "\n\n" + whole)
    return "\n".join(parts)


def tables(lines):
    rounds = Rounds(lines)
    parts = [goal_tables(lines)]
    heading = ("measure", "server", "rounds", "replies", "server CPU, us a request", "p99, us", "generator CPU")
    parts.append("Medians:\n\n" + table(heading, medians(rounds)))
    parts.append("Commands (servers and generator pinned to one processor each):\n\n"
                 + table(("measure", "server", "serve", "flood"), commands(rounds)))
    return "\n".join(parts)


# Records.


def output(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def machine():
    info = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.*)$", info, re.M)
    limits = {name: pathlib.Path(f"/proc/sys/net/core/{name}").read_text().strip() for name in ("rmem_max", "wmem_max")}
    return {
        "model": model[1] if model else platform.machine(),
        "processors": os.cpu_count(),
        "kernel": platform.release(),
        "rustc": output("rustc", "--version"),
        "python": platform.python_version(),
        "commit": output("git", "rev-parse", "--short=12", "HEAD"),
        "changed": bool(output("git", "status", "--porcelain", "--untracked-files=no")),
        **limits,
    }


def slug(text):
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def heading(run):
    keys = ("model", "processors", "kernel", "rustc", "commit", "rounds", "seconds", "rmem_max")
    facts = ", ".join(f"{key} {run[key]}" for key in keys)
    return f"{run['date']}: {facts}{', with uncommitted changes' if run['changed'] else ''}\n"


def record(args):
    about = machine()
    now = datetime.datetime.now(datetime.timezone.utc)
    run = {"run": now.strftime("%Y%m%dT%H%M%SZ"), "date": now.strftime("%Y-%m-%d %H:%M UTC"), **about}
    run |= {"rounds": args.rounds_asked, "seconds": args.seconds}
    lines = read(args.rounds)
    name = slug(args.name or f"{about['model']} {about['processors']} cpus")
    path = RECORDS / f"{now:%Y-%m-%d}-{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    for line in [run, *lines]:
        append(path, line)
    print(heading(run))
    print(tables(lines))
    print(f"record: {path.relative_to(ROOT)}")


def runs(lines):
    """(the run's line, its rounds), oldest first."""
    found = []
    for line in lines:
        if "run" in line:
            found.append((line, []))
        else:
            found[-1][1].append(line)
    return found


def docs(args):
    """The newest rounds of every measure; each says when it was taken."""
    newest = {}
    for run, rounds in runs([line for path in args.record or [KEPT] for line in read(path)]):
        for measure in dict.fromkeys(line["measure"] for line in rounds):
            newest[measure] = (run, [line for line in rounds if line["measure"] == measure])
    kept = {}
    for run, rounds in newest.values():
        kept.setdefault(run["run"], [run]).extend({key: line[key] for key in line if key not in UNKEPT} for line in rounds)
    lines = [line for group in kept.values() for line in group]
    KEPT.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    facts = "".join(f"- {heading(group[0])}" for group in kept.values())
    for language, page in PAGES.items():
        before, rest = page.read_text().split(MARKS[0], 1)
        after = rest.split(MARKS[1], 1)[1]
        page.write_text(f"{before}{MARKS[0]}\n\n{facts}\n{goal_tables(lines, language)}\n{MARKS[1]}{after}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = parser.add_subparsers(required=True)

    def command(name, function):
        one = sub.add_parser(name)
        one.set_defaults(function=function)
        if name != "docs":
            one.add_argument("rounds")
        return one

    for name, function in (("keep", keep), ("value", value)):
        one = command(name, function)
        for key in ("measure", "case", "server"):
            one.add_argument(f"--{key}", required=True)
        one.add_argument("--round", type=int, required=True)
        one.add_argument("--server-command", default="")
        if name == "value":
            one.add_argument("pairs", nargs="+")
        else:
            one.add_argument("--flood", required=True)
            one.add_argument("--stats", required=True)
            one.add_argument("--cpu-ticks", type=int, required=True)
            one.add_argument("--elapsed", type=float, nargs=2, required=True)
            one.add_argument("--flood-command", required=True)
    command("half", half)
    command("asked", asked)
    command("print", lambda args: print(tables(read(args.rounds))))
    one = command("record", record)
    one.add_argument("--name")
    one.add_argument("--rounds", dest="rounds_asked", type=int, required=True)
    one.add_argument("--seconds", type=float, required=True)
    one = command("docs", docs)
    one.add_argument("record", nargs="*")
    args = parser.parse_args()
    args.function(args)


if __name__ == "__main__":
    sys.exit(main())
