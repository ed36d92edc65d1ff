"""Says whether the centre of a scenario held: the last line of scripts/scenario.sh.

    held.py NAME STATS [CENTRE RECONCILED]

STATS: the statistics of `run`. CENTRE, RECONCILED: exit codes of `flood --listen` and of `flood --reconcile`; neither
where the centre is not ours. Exit code 0: it held, 1: it did not, 2: nothing tells.
"""

import json
import pathlib
import sys


def told(stats: dict, codes: list[int]) -> tuple[int, str]:
    """The exit code, and why."""
    messages = [message for message in stats.get("messages", []) if message["is_acknowledged"]]

    def total(*keys: str) -> int:
        return sum(message[key] for message in messages for key in keys)

    sent, lost = total("sent"), total("refused", "given_up")
    if lost:
        return 1, f"{lost} of {sent} messages were not acknowledged"
    if sent and not total("acknowledged"):
        return 1, f"none of {sent} messages was acknowledged"
    if any(codes):
        return 1, "its report or the comparison of the ledgers says why"
    if not sent and not codes:
        return 2, "no message needed an acknowledgement"
    return 0, f"{total('acknowledged')} messages were acknowledged, {total('pending')} still waited at the end"


def main() -> int:
    name, stats, *codes = sys.argv[1:]
    code, why = told(json.loads(pathlib.Path(stats).read_text()), [int(code) for code in codes])
    verdict = ["the centre held", "the centre did NOT hold", "nothing tells whether the centre held"][code]
    print(f"{name}: {verdict} ({why})")
    return code


if __name__ == "__main__":
    sys.exit(main())
