"""Several readers while entries come, blocks merge, some are deleted, and old ones go.

Each reader is a query engine in a process of its own. What was acknowledged before a
question must be in its answer, once; what was deleted before it must not be.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pipeline import clock
from pipeline.control import Client, endpoint_of
from pipeline.query.answer import Engine, Limits
from tests.faults.oracle import NUMBER, Oracle
from tests.faults.processes import Ingester, Producer, finish, started
from tests.faults.report import Figures

READERS = 3
READY_SECONDS = 60.0
MOVED_SECONDS = 60.0
"""By then something must have been merged and purged."""

PRODUCERS = 2
RATE = 2_000
"""Entries a second of each producer."""

PAGE = 10_000
SETTINGS = {
    "COMPACTION__KEEP_REPLACED_SECONDS": "3",
    "INGEST__COMMIT_INTERVAL_MS": "10",
    "STORAGE__DURABILITY": "process",
}


class Seen(NamedTuple):
    """What one reader has found."""

    looks: int
    rows: int
    problems: list[str]


def _deleted(number: int) -> bool:
    """Whether a number is among those that are deleted: each seventh thousand."""
    return number // 1000 % 7 == 3


def read(
    database: Path,
    oracles: Sequence[Path],
    gone: Any,
    ready: Barrier,
    stop: Event,
    results: Any,
) -> None:
    """Ask again and again, from when all are ready until told to stop."""
    engine = Engine(database, Limits(), clock.monotonic)
    ready.wait(READY_SECONDS)
    known = [Oracle(path) for path in oracles]
    found = Seen(0, 0, [])
    try:
        while not stop.is_set() and not found.problems:
            for oracle in known:
                found = _look(engine, oracle, gone.value, found)
    except Exception as error:  # noqa: BLE001 - told where the test can see it
        found.problems.append(repr(error))
    results.put(found)


def _look(engine: Engine, oracle: Oracle, gone: int, found: Seen) -> Seen:
    """One source: its count, and all of its numbers, page after page."""
    settled = oracle.settled
    problems = []
    count = _ask(engine, "get_stats", sources=[oracle.source])["total_logs"]
    numbers = _numbers(engine, oracle.source)
    if len(numbers) != len(set(numbers)):
        problems.append(f"{len(numbers) - len(set(numbers))} are there twice")
    must = {n for n in range(1, settled + 1) if not _deleted(n)}
    if missing := must - set(numbers):
        problems.append(f"{len(missing)} are missing, such as {sorted(missing)[:5]}")
    if back := [n for n in numbers if n <= gone and _deleted(n)]:
        problems.append(f"{len(back)} were deleted, such as {back[:5]}")
    if count < len(must):
        problems.append(f"get_stats counts {count} of at least {len(must)}")
    problems = [f"{oracle.source}: {problem}" for problem in problems]
    rows = found.rows + len(numbers)
    return Seen(found.looks + 1, rows, found.problems + problems)


def _numbers(engine: Engine, source: str) -> list[int]:
    numbers: list[int] = []
    cursor = None
    while True:
        asked: dict[str, Any] = {"sources": [source], "limit": PAGE, "fields": [NUMBER]}
        page = _ask(engine, "query", cursor=cursor, count="none", **asked)
        numbers += [log["metadata"]["n"] for log in page["logs"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return numbers


def _ask(engine: Engine, method: str, **params: Any) -> Any:
    asked = {name: value for name, value in params.items() if value is not None}
    return msgspec.json.decode(engine.answer(method, asked, 0, engine.budget()))


def crowd(folder: Path, *, long: bool) -> Figures:
    """Readers, a deleter and all that goes on anyway."""
    seconds = 60.0 if long else 6.0
    ingester = Ingester(folder, **SETTINGS)
    producers = [
        Producer(ingester, f"p{number}", "--rate", str(RATE))
        for number in range(PRODUCERS)
    ]
    context = multiprocessing.get_context("spawn")
    stop, gone, results = context.Event(), context.Value("q", 0), context.Queue()
    ready = context.Barrier(READERS + 1)
    paths = [producer.oracle.path for producer in producers]
    given = (ingester.database, paths, gone, ready, stop, results)
    readers = [context.Process(target=read, args=given) for _ in range(READERS)]
    with started(ingester), started(*producers):
        for reader in readers:
            reader.start()
        client = Client(endpoint_of("", str(ingester.database)))
        ready.wait(READY_SECONDS)
        deleted = _delete_some(client, producers, gone, seconds)
        stop.set()
        found = [results.get(timeout=120) for _ in readers]
        for reader in readers:
            reader.join()
        finish(producers)
        state = client.status()["compaction"]
        assert ingester.stop() == 0
    assert state["blocks_purged"] > 0, state
    assert state["blocks_merged"] > 0, state
    assert deleted > 0
    problems = [problem for each in found for problem in each.problems]
    looks = sum(each.looks for each in found)
    note = "; ".join(problems) or (
        f"{sum(each.rows for each in found):,} rows read, {deleted:,} deleted,"
        f" {state['swaps']} swaps, {state['blocks_purged']} blocks purged"
    )
    entries = sum(producer.oracle.accepted for producer in producers)
    return Figures(
        "readers of a moving store", looks, entries, len(problems), 0, 0
    )._replace(note=note)


def _delete_some(
    client: Client, producers: Sequence[Producer], gone: Any, seconds: float
) -> int:
    """Each stretch of numbers that is complete, until the time is up."""
    start = time.monotonic()
    deleted, first = 0, 3000
    while (passed := time.monotonic() - start) < seconds or (
        passed < MOVED_SECONDS and not (deleted and _has_moved(client))
    ):
        last = first + 999
        if min(producer.oracle.settled for producer in producers) <= last:
            time.sleep(0.05)
            continue
        words = f"{NUMBER}:[{first} TO {last}]"
        deleted += client.delete({"q": words}, clock.now_ns(), "test")["deleted"]
        gone.value = last
        first += 7000
    return deleted


def _has_moved(client: Client) -> bool:
    state = client.status()["compaction"]
    return bool(state["blocks_merged"] and state["blocks_purged"])


FAULTS = {"readers-of-a-moving-store": crowd}
