"""Questions while entries pour in: does the rate hold, and how long do answers take?

    python -m bench.mixed --rate 50000 --seconds 60

The whole pipeline runs, compaction included. Live producers log at a rate that they
share; CLIENTS clients ask the gateway QUESTIONS_A_SECOND questions each, in turn the
newest 100 of a level and source, one trace id, a rare word, counts of an hour and,
with `--scans`, how many messages hold a text. Words and texts are new ones each time:
a query worker remembers what matched.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.ingest import Options, live_feeders, started
from bench.measure import children_of, cpu_of, median, quantile
from bench.processes import (
    Feeder,
    Gateway,
    Place,
    await_go,
    place,
    running,
    told_to_finish,
)

CLIENTS: Final = 4
QUESTIONS_A_SECOND: Final = 4
NEWEST: Final = "Q4 newest 100 of level and source"

_ASKED: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    NEWEST: ("query", {"sources": ["database"], "levels": ["ERROR"], "count": "none"}),
    "Q1 one trace id": ("query", {"trace_id": "ab" * 16, "count": "none"}),
    "Q2 rare word": ("query", {"q": "splitbrain{turn}", "count": "none"}),
    "Q5 counts of an hour": ("get_stats", {"timerange": "1h"}),
}
_SCANS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "Q9 count of a substring": ("query", {"q": "message:*t{turn}*", "limit": 1}),
}


@dataclass(slots=True)
class Findings:
    """Milliseconds of each question, and the producers' rate."""

    rate: float = 0.0
    cpu_seconds: float = 0.0
    """Of all the pipeline's processes, a second of the run."""
    milliseconds: dict[str, list[float]] = field(default_factory=dict)


def ask(port: int, *, scans: bool) -> None:
    """All clients, in a process of their own: report milliseconds by question."""
    asked = _ASKED | _SCANS if scans else _ASKED
    found: dict[str, list[float]] = {name: [] for name in asked}
    ended = threading.Event()
    clients = [
        threading.Thread(target=_client, args=(port, number, found, ended))
        for number in range(CLIENTS)
    ]
    await_go()
    for client in clients:
        client.start()
    while not told_to_finish():
        time.sleep(0.05)
    ended.set()
    for client in clients:
        client.join()
    print(json.dumps(found), flush=True)


def _client(
    port: int,
    number: int,
    found: Mapping[str, list[float]],
    ended: threading.Event,
) -> None:
    """Ask in turn; a late answer makes the next question late, never two at once."""
    gateway = Gateway(port)
    names = list(found)
    start = time.perf_counter() + number / (CLIENTS * QUESTIONS_A_SECOND)
    turn = 0
    while not ended.is_set():
        time.sleep(max(0.0, start + turn / QUESTIONS_A_SECOND - time.perf_counter()))
        name = names[(turn + number) % len(names)]
        method, params = (_ASKED | _SCANS)[name]
        if "q" in params:
            text = params["q"].format(turn=turn * CLIENTS + number)
            params = params | {"q": text}
        before = time.perf_counter()
        gateway.ask(method, params)
        found[name].append((time.perf_counter() - before) * 1e3)
        turn += 1


def measure(
    options: Options, rate: float, seconds: float, *, scans: bool = False
) -> Findings:
    """Producers at a rate, clients beside them."""
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder))
        where = place(Path(name))
        up = stack.enter_context(running("up", where))
        feeders = stack.enter_context(started(live_feeders(where, options, rate)))
        clients = stack.enter_context(started(_clients(where, scans=scans)))
        pids = [up.pid, *children_of(up.pid)]
        for feeder in (*feeders, *clients):
            feeder.go()
        before = _cpu(pids)
        time.sleep(seconds)
        after = _cpu(pids)
        used = sum(after[pid] - before[pid] for pid in after) / seconds
        for feeder in (*clients, *feeders):
            feeder.finish()
        answers = clients[0].report()
        reports = list(map(Feeder.report, feeders))
        reached = sum(report["rows"] / report["seconds"] for report in reports)
        return Findings(reached, used, answers)


def _cpu(pids: Sequence[int]) -> dict[int, float]:
    """CPU seconds of those that run: one may end and have a successor."""
    found = {}
    for pid in pids:
        with suppress(OSError):
            found[pid] = cpu_of(pid)
    return found


def _clients(where: Place, *, scans: bool) -> Sequence[list[str]]:
    more = ["--scans"] if scans else []
    return [["bench.mixed", "--ask", str(where.port), *more]]


def lines(found: Findings, rate: float) -> list[str]:
    """The findings, a question a line."""
    rows = [
        f"producers: {found.rate:,.0f} entries/s of {rate:,.0f} wanted;"
        f" the pipeline's CPU: {found.cpu_seconds:.2f} s a second"
    ]
    for name, times in found.milliseconds.items():
        rows.append(
            f"{name:36} {len(times):5} asked  p50 {median(times):7.1f}"
            f"  p99 {quantile(times, 0.99):7.1f}  max {max(times):7.1f} ms"
        )
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=50_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--producers", type=int, default=2)
    parser.add_argument("--scans", action="store_true", help="ask for counts too")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--ask", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ask:
        ask(arguments.ask, scans=arguments.scans)
        return
    options = Options(
        live_entries=100_000, producers=arguments.producers, folder=arguments.folder
    )
    found = measure(options, arguments.rate, arguments.seconds, scans=arguments.scans)
    print("\n".join(lines(found, arguments.rate)))


if __name__ == "__main__":
    main()
