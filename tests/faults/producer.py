"""A service that logs until it is told to stop, and keeps an oracle of what it did.

    python -m tests.faults.producer ORACLE --endpoint E --publish E --rate 50000

It says `producing` once its first entry is logged.  At SIGTERM, or when it is done, it
flushes, closes and prints one line of JSON; started again, it goes on with the next
number.  --plain pushes arrays of maps with a PUSH socket as anyone would, which
promises nothing.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgpack
import zmq

from bench.corpus import generate
from bench.measure import memory_of
from pipeline import Collector, Level
from tests.faults.oracle import Oracle

PACE_SECONDS = 0.005
ROUND = 500
"""Calls between two looks at the clock, and the entries of a plain message."""

FLUSH_SECONDS = 120.0
CORPUS_ENTRIES = 20_000
"""Different ones, over and over."""

Call = tuple[str, str, dict[str, Any], Sequence[str] | None, str | None]


class Stop:
    """Set by SIGTERM."""

    def __init__(self) -> None:
        self.is_set = False
        signal.signal(signal.SIGTERM, self._set)

    def _set(self, *_: object) -> None:
        self.is_set = True


def due(arguments: argparse.Namespace, stop: Stop) -> Iterator[int]:
    """How many calls to make now, again and again until it is over."""
    start, made = time.monotonic(), 0
    end = start + arguments.seconds if arguments.seconds else float("inf")
    most = arguments.entries or float("inf")
    while not stop.is_set and made < most and (now := time.monotonic()) < end:
        wanted = most
        if arguments.rate:
            wanted = min(most, (now - start) * arguments.rate)
        count = min(ROUND, int(min(wanted, made + ROUND)) - made)
        made += count
        yield count
        if count < ROUND:
            time.sleep(PACE_SECONDS)


def logged(collector: Collector, calls: Sequence[Call], oracle: Oracle) -> None:
    """The calls, each one noted before and after."""
    cells, log = oracle.cells, collector.log
    for number, (level, message, metadata, tags, trace_id) in enumerate(
        calls, cells[0] + 1
    ):
        cells[0] = number
        log(level, message, {**metadata, "n": number}, tags, trace_id)
        cells[1] = number


def plain_calls(count: int, first: int) -> list[Call]:
    """Small entries: what fills a window by number."""
    return [
        ("INFO", f"message {n}", {}, None, None) for n in range(first, first + count)
    ]


def write_corpus(path: Path) -> None:
    """Arguments of calls as the bench's corpus has them, for `--corpus`."""
    names = {int(level): level.name for level in Level}
    with path.open("wb") as file:
        for _, _, level, *rest in generate(CORPUS_ENTRIES):
            file.write(msgpack.packb((names[level], *rest)))


class Corpus:
    """Entries of the corpus, in turn, and each time made of new objects.

    As a service makes them: what is shared among calls would be held only once.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._rows = [msgpack.packb(row) for row in msgpack.Unpacker(file)]

    def __call__(self, count: int, first: int) -> list[Call]:
        """So many of them; `first` says where in the turn."""
        at = first % (CORPUS_ENTRIES - ROUND)
        return list(map(msgpack.unpackb, self._rows[at : at + count]))


def begin_memory() -> int:
    """Bytes resident now, from where the process's VmHWM counts from now on."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return memory_of(os.getpid())


def through_collector(arguments: argparse.Namespace, oracle: Oracle) -> dict[str, Any]:
    """Log, flush, close; what the collector says of it."""
    make = Corpus(arguments.corpus) if arguments.corpus else plain_calls
    options = {
        "policy": arguments.policy or None,
        "memory_bytes": arguments.memory_bytes,
        "spool": arguments.spool,
        "spool_dir": arguments.spool_dir,
        "spool_bytes": arguments.spool_bytes,
    }
    collector = Collector(
        arguments.endpoint,
        oracle.source,
        acknowledge_endpoint=arguments.publish,
        **{name: value for name, value in options.items() if value is not None},
    )
    before, resident = oracle.tried, begin_memory()
    first = _first_said(arguments)
    for count in due(arguments, Stop()):
        logged(collector, make(count, oracle.tried + 1), oracle)
        oracle.cells[2] = before + collector.stats()["settled"]
        first()
    flushed = collector.flush(arguments.flush_seconds)
    oracle.cells[2] = before + collector.stats()["settled"]
    closed = collector.close(arguments.flush_seconds)
    grown = memory_of(os.getpid()) - resident
    report = {"flushed": flushed, "closed": closed, "grown_bytes": grown}
    return report | collector.stats()


def _first_said(arguments: argparse.Namespace) -> Callable[[], None]:
    """Says `producing`, the first time that it is called."""
    said = []

    def say() -> None:
        if not said:
            said.append(arguments)
            print("producing", os.getpid(), flush=True)

    return say


def through_push(arguments: argparse.Namespace, oracle: Oracle) -> dict[str, Any]:
    """Push arrays of maps; a message is accepted once send() has returned."""
    cells = oracle.cells
    first = _first_said(arguments)
    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        push.connect(arguments.endpoint)
        push.setsockopt(zmq.LINGER, int(arguments.flush_seconds * 1000))
        for count in due(arguments, Stop()):
            numbers = range(cells[0] + 1, cells[0] + 1 + count)
            if not numbers:
                continue
            rows = [
                {
                    "source": oracle.source,
                    "message": f"message {n}",
                    "metadata": {"n": n},
                }
                for n in numbers
            ]
            cells[0] = numbers[-1]
            push.send(msgpack.packb(rows))
            cells[1] = numbers[-1]
            first()
    return {"flushed": True, "closed": True}


def main() -> None:
    """Log until told to stop, then say how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "oracle", type=Path, help="its name is the source of the entries"
    )
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--publish", required=True)
    parser.add_argument("--rate", type=float, default=0, help="entries/s; 0: flat out")
    parser.add_argument("--seconds", type=float, default=0, help="0: until SIGTERM")
    parser.add_argument("--entries", type=int, default=0, help="0: until SIGTERM")
    parser.add_argument("--corpus", type=Path, help="what `write_corpus` has written")
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--policy", default="block", help='"": the collector\'s own')
    parser.add_argument("--memory-bytes", type=int)
    parser.add_argument("--spool", choices=("off", "overflow", "always"))
    parser.add_argument("--spool-dir")
    parser.add_argument("--spool-bytes", type=int)
    parser.add_argument("--flush-seconds", type=float, default=FLUSH_SECONDS)
    arguments = parser.parse_args()
    oracle = Oracle(arguments.oracle)
    oracle.resume()
    through = through_push if arguments.plain else through_collector
    start = time.monotonic()
    report = through(arguments, oracle)
    report |= {"tried": oracle.tried, "seconds": time.monotonic() - start}
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
