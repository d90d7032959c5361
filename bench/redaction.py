"""What masking costs a service that logs nothing secret.

    python -m bench.redaction --entries 100000 --rounds 9

Processor time, of the call and of the sender's thread, for entries of the corpus (with
nothing telling among their keys); with and without rules in turns, the least of each.
"""

from __future__ import annotations

import argparse
import gc
import os
import time
from collections.abc import Callable, Sequence
from typing import Final

from bench.corpus import batches
from bench.live import Call
from pipeline import Collector, Level
from pipeline.collectors.encoding import Encoder
from pipeline.compression import compress
from pipeline.entry import Entry
from pipeline.errors import EntryError
from pipeline.redaction import DEFAULT, Redactor

NOWHERE: Final = "ipc:///tmp/bench-redaction-nowhere"


def untelling(rows: Sequence[Entry]) -> list[Entry]:
    """The entries without keys that the rules know."""
    return [
        row._replace(
            metadata={
                f"visit_{key}" if DEFAULT.hides(key) else key: value
                for key, value in (row.metadata or {}).items()
            }
        )
        for row in rows
    ]


def short(rows: Sequence[Entry]) -> list[Entry]:
    """The same with a message of a few words and two numbers, as metrics have it."""
    return [
        row._replace(
            message=f"request done in {number} ms",
            metadata={"status": 200, "duration_ms": number / 7},
            tags=None,
        )
        for number, row in enumerate(rows)
    ]


def encoding(portions: list[list[Entry]], rounds: int) -> tuple[float, float]:
    """Nanoseconds an entry on the sender's thread, without rules and with them."""
    least = {False: float("inf"), True: float("inf")}
    for turn in range(2 * rounds):
        masks = bool(turn % 2)
        encoder = Encoder(compress, _refuse, Redactor(DEFAULT) if masks else None)
        begun = time.thread_time_ns()
        for rows in portions:
            list(encoder.encode(rows))
        least[masks] = min(least[masks], time.thread_time_ns() - begun)
        assert not masks or not encoder.redactor or not encoder.redactor.counts
    entries = sum(map(len, portions))
    return least[False] / entries, least[True] / entries


def calling(portions: list[list[Entry]], rounds: int) -> tuple[float, float]:
    """Nanoseconds of a log() call, without rules and with them."""
    names = {int(level): level.name for level in Level}
    calls: list[Call] = [
        (names[row.level], row.message, row.metadata, row.tags, row.trace_id)
        for rows in portions
        for row in rows
    ]
    found = []
    for rules in (None, DEFAULT):
        best = float("inf")
        for _ in range(rounds):
            log = Collector(
                NOWHERE,
                acknowledge_endpoint=NOWHERE + "-too",
                spool="off",
                memory_bytes=1 << 32,
                redaction=rules,
            )
            best = min(best, _timed(log.log, calls))
            log.close(0)
        found.append(best / len(calls))
    return found[0], found[1]


def _timed(log: Callable[..., None], calls: list[Call]) -> float:
    begun = time.thread_time_ns()
    for call in calls:
        log(*call)
    return time.thread_time_ns() - begun


def _refuse(error: EntryError) -> None:
    raise error


def main() -> None:
    """Print a line for each kind of entries."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    corpus = [untelling(rows) for rows in batches(arguments.entries)]
    gc.collect()
    gc.freeze()
    for name, portions in (("corpus", corpus), ("short", [*map(short, corpus)])):
        plain, masked = encoding(portions, arguments.rounds)
        call, masked_call = calling(portions, 3)
        cost = masked - plain
        print(
            f"{name}: log() {call:.0f} -> {masked_call:.0f} ns, sender's thread"
            f" {plain:.0f} -> {masked:.0f} ns an entry: +{cost:.0f} ns,"
            f" {cost / (plain + call):.1%} of both",
            flush=True,
        )
    os._exit(0)  # nobody takes what was logged


if __name__ == "__main__":
    main()
