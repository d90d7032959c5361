"""A service that logs until it is told to stop, and keeps an oracle of what it did.

    python -m tests.faults.producer ORACLE --endpoint E --publish E --rate 50000

It says `producing` once its first entry is logged.  At SIGTERM, or when it is done, it
flushes, closes and prints one line of JSON; started again, it goes on with the next
number.  --plain pushes arrays of maps with a PUSH socket as anyone would, which
promises nothing.

With --threads several threads log, with --children forked processes as well: each has
an oracle of its own beside the first, and the rate is that of a process.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import gc
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import msgpack
import zmq

from bench.corpus import generate
from bench.measure import memory_of
from pipeline import Collector, Level
from tests.faults.oracle import Oracle, child_of, oracles_of

PACE_SECONDS = 0.005
ROUND = 500
"""Calls between two looks at the clock, and the entries of a plain message."""

FLUSH_SECONDS = 120.0
CORPUS_ENTRIES = 20_000
"""Different ones, over and over."""

PR_SET_PDEATHSIG = 1
FORK = multiprocessing.get_context("fork")
LEVELS = {int(level): level.name for level in Level}

Call = tuple[str, str, dict[str, Any], Sequence[str] | None, str | None]


class Stop:
    """Set by SIGTERM."""

    def __init__(self) -> None:
        self.is_set = False
        signal.signal(signal.SIGTERM, self._set)

    def _set(self, *_: object) -> None:
        self.is_set = True


def due(arguments: argparse.Namespace, stop: Stop) -> Iterator[int]:
    """How many calls a thread is to make now, again and again until it is over."""
    start, made = time.monotonic(), 0
    end = start + arguments.seconds if arguments.seconds else float("inf")
    most = arguments.entries // arguments.threads or float("inf")
    rate = arguments.rate / arguments.threads
    while not stop.is_set and made < most and (now := time.monotonic()) < end:
        wanted = most
        if rate:
            wanted = min(most, (now - start) * rate)
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
        entry = {**metadata, "n": number}
        log(level, message, entry, tags, trace_id, source=oracle.source)
        cells[1] = number


def plain_calls(count: int, first: int) -> list[Call]:
    """Small entries: what fills a window by number."""
    return [
        ("INFO", f"message {n}", {}, None, None) for n in range(first, first + count)
    ]


def write_corpus(path: Path) -> None:
    """Arguments of calls as the bench's corpus has them, for `--corpus`."""
    with path.open("wb") as file:
        for _, _, level, *rest in generate(CORPUS_ENTRIES):
            file.write(msgpack.packb((LEVELS[level], *rest)))


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


class Work:
    """What the threads of a process do: log, each with an oracle of its own."""

    def __init__(
        self, arguments: argparse.Namespace, collector: Collector, path: Path
    ) -> None:
        self.collector = collector
        self.oracles = oracles_of(path, arguments.threads)
        self.levels: Counter[str] = Counter()
        """Of all calls of this life."""
        self._arguments = arguments
        self._make = Corpus(arguments.corpus) if arguments.corpus else plain_calls
        self._lock = threading.Lock()
        for oracle in self.oracles:
            oracle.resume()
        self._before = sum(oracle.tried for oracle in self.oracles)
        self._settled = collector.stats()["settled"]

    def run(self, stop: Stop, first: Callable[[], None]) -> None:
        """Log until told to stop, in this thread and the others."""
        threads = [
            threading.Thread(target=self._log, args=(oracle, stop), daemon=True)
            for oracle in self.oracles[1:]
        ]
        for thread in threads:
            thread.start()
        for _ in self._rounds(self.oracles[0], stop):
            self.note()
            first()
        for thread in threads:
            thread.join()

    def note(self) -> None:
        """How far it is, for whoever watches."""
        settled = self.collector.stats()["settled"] - self._settled
        self.oracles[0].cells[2] = self._before + settled

    def _log(self, oracle: Oracle, stop: Stop) -> None:
        for _ in self._rounds(oracle, stop):
            pass

    def _rounds(self, oracle: Oracle, stop: Stop) -> Iterator[int]:
        for count in due(self._arguments, stop):
            calls = self._make(count, oracle.tried + 1)
            logged(self.collector, calls, oracle)
            with self._lock:
                self.levels.update(call[0] for call in calls)
            yield count


def through_collector(arguments: argparse.Namespace) -> dict[str, Any]:
    """Log, flush, close; what the collector says of it."""
    stop = Stop()
    collector = _collector(arguments)
    work = Work(arguments, collector, arguments.oracle)
    resident = begin_memory()
    children: list[BaseProcess] = []
    say = _first_said(arguments)

    def first() -> None:
        if len(children) < arguments.children:  # of a collector that has logged
            words = (arguments, collector, stop, len(children) + 1)
            children.append(FORK.Process(target=_child, args=words))
            children[-1].start()
        else:
            say()

    work.run(stop, first)
    for child in children:
        child.terminate()
    report = _ended(arguments, work)
    for child in children:
        child.join()
        report["closed"] &= child.exitcode == 0
    report["grown_bytes"] = memory_of(os.getpid()) - resident
    return report | {"levels": work.levels} | collector.stats()


def _collector(arguments: argparse.Namespace) -> Collector:
    options = {
        "policy": arguments.policy or None,
        "memory_bytes": arguments.memory_bytes,
        "spool": arguments.spool,
        "spool_dir": arguments.spool_dir,
        "spool_bytes": arguments.spool_bytes,
        "fsync": arguments.fsync,
    }
    return Collector(
        arguments.endpoint,
        arguments.oracle.name,
        acknowledge_endpoint=arguments.publish,
        **{name: value for name, value in options.items() if value is not None},
    )


def _child(
    arguments: argparse.Namespace, collector: Collector, stop: Stop, number: int
) -> None:
    """Log in a forked process, which is killed with its parent."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    path = child_of(arguments.oracle, number)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # its predecessor's, until that is dead
        work = Work(arguments, collector, path)
        work.run(stop, lambda: None)
        report = _ended(arguments, work)
    sys.exit(0 if report["flushed"] and report["closed"] else 1)


def _ended(arguments: argparse.Namespace, work: Work) -> dict[str, bool]:
    """Flush and close; or only close, as who has no time."""
    collector = work.collector
    if arguments.close_seconds:
        return {"flushed": False, "closed": collector.close(arguments.close_seconds)}
    flushed = collector.flush(arguments.flush_seconds)
    work.note()
    return {"flushed": flushed, "closed": collector.close(arguments.flush_seconds)}


def _first_said(arguments: argparse.Namespace) -> Callable[[], None]:
    """Says `producing`, the first time that it is called."""
    said = []

    def say() -> None:
        if not said:
            said.append(arguments)
            print("producing", os.getpid(), flush=True)

    return say


def through_push(arguments: argparse.Namespace) -> dict[str, Any]:
    """Push arrays of maps; a message is accepted once send() has returned."""
    oracle = Oracle(arguments.oracle)
    oracle.resume()
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
    parser.add_argument("--fsync", choices=("none", "interval", "always"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--children", type=int, default=0)
    parser.add_argument("--flush-seconds", type=float, default=FLUSH_SECONDS)
    parser.add_argument(
        "--close-seconds", type=float, help="close within it, without a flush"
    )
    arguments = parser.parse_args()
    through = through_push if arguments.plain else through_collector
    start = time.monotonic()
    report = through(arguments) | {"seconds": time.monotonic() - start}
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
