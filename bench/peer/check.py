#!/usr/bin/env python3
"""Holds the peer to the golden vectors: its replies are those of the vectors wherever the vector's values are its own.

check.py: exit code 0, or 1 with what differs.
"""

import datetime
import json
import pathlib
import sys

import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Clock(datetime.datetime):
    """Stands still where a vector was made."""

    at = None

    @classmethod
    def now(cls, tz=None):
        return cls.at


def main():
    mock.datetime.datetime = Clock
    device = mock.Device(ROOT / "config/vendors/bangsun_old/protocol.json")
    good, bad = 0, 0
    for vector in json.loads((ROOT / "tests/vectors/bangsun_old.json").read_text()):
        if vector.get("kind") != "inner" or not vector.get("reply"):
            continue
        Clock.at = datetime.datetime.fromisoformat(vector.get("now", "2026-01-12T17:30:03"))
        device.rules = {vector["command"]: [{"data": vector["rule"]}]}
        reply = device.answer(device.decode(bytes.fromhex(vector["request"])), {})
        if reply.hex().upper() == vector["reply"]:
            good += 1
        else:
            bad += 1
            print(f"{vector['name']}: {reply.hex().upper()}, not {vector['reply']}")
    for vector in json.loads((ROOT / "tests/vectors/b_interface.json").read_text()):
        if vector.get("direction") != "request" or "fields" not in vector or vector["fields"].get("data") is None:
            continue
        try:
            outer = mock.decode_outer(bytes.fromhex(vector["hex"]))
        except mock.BadFrame:
            continue
        same = outer["data"].hex().upper() == vector["fields"]["data"]
        good, bad = good + same, bad + (not same)
    print(f"{good} as the vectors say, {bad} not")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
