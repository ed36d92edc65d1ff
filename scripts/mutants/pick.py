#!/usr/bin/env python3
"""Mutants by chance, and what became of them.

pick.py sample LIST N SEED       N lines of LIST, in an order that SEED decides
pick.py config LIST FILE OUT     has cargo-mutants, with OUT/config.toml and --iterate in OUT, try the lines of FILE, of those in LIST
pick.py score OUT                what the rounds below OUT came to
"""
import math
import pathlib
import random
import re
import sys


def lines(path):
    path = pathlib.Path(path)
    return [line for line in path.read_text().splitlines() if line] if path.exists() else []


def sample(path, many, seed):
    every = sorted(lines(path))
    many = min(int(many), len(every)) or len(every)
    print("\n".join(random.Random(int(seed)).sample(every, many)))


def config(every, wanted, out):
    every, wanted = lines(every), lines(wanted)
    named = "".join(f"    '''^{re.escape(name)}$''',\n" for name in wanted)
    out = pathlib.Path(out)
    (out / "mutants.out").mkdir(parents=True, exist_ok=True)
    (out / "config.toml").write_text(f"examine_re = [\n{named}]\n")
    # Deleted fields are tried whatever is named (cargo-mutants 27), unless they were caught before.
    others = [name for name in every if ": delete field " in name and name not in wanted]
    (out / "mutants.out/caught.txt").write_text("".join(f"{name}\n" for name in others))


def interval(good, many):
    """Wilson's interval of 95 %."""
    if not many:
        return 0.0, 1.0
    z, share = 1.96, good / many
    middle = share + z * z / (2 * many)
    half = z * math.sqrt(share * (1 - share) / many + z * z / (4 * many * many))
    return (middle - half) / (1 + z * z / many), (middle + half) / (1 + z * z / many)


def score(out):
    rounds = sorted(pathlib.Path(out).glob("round-*"))
    became = {"caught": [], "timeout": [], "missed": [], "unviable": []}
    for one in rounds:
        quick, slow = one / "quick/mutants.out", one / "slow/mutants.out"
        if lines(quick / "missed.txt") and not (slow / "caught.txt").exists():
            continue
        for kind in ("caught", "timeout", "unviable"):
            became[kind] += lines(quick / f"{kind}.txt") + lines(slow / f"{kind}.txt")
        became["missed"] += lines(slow / "missed.txt")
        for kind in became:
            became[kind] += lines(one / f"queue/mutants.out/{kind}.txt")
    good = len(became["caught"]) + len(became["timeout"])
    viable = good + len(became["missed"])
    low, high = interval(good, viable)
    print(", ".join(f"{kind} {len(names)}" for kind, names in became.items()))
    if viable:
        print(f"score {100 * good / viable:.1f} % of {viable}, 95 % interval {100 * low:.1f} to {100 * high:.1f}")
    pathlib.Path(out, "missed.txt").write_text("".join(f"{name}\n" for name in sorted(became["missed"])))


{"sample": sample, "config": config, "score": score}[sys.argv[1]](*sys.argv[2:])
