"""Malformed messages and strangers' connections, beside services that are honest.

The ingester must be the same process at the end, hardly larger than half way, and what
the services logged must be there.  What of the rest was well formed by chance is stored
as the rows of other producers; it is no loss.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from bench.measure import memory_of
from pipeline import transport
from tests.faults import strangers
from tests.faults.malformed import messages
from tests.faults.processes import Ingester, finish
from tests.faults.report import Figures
from tests.faults.site import Site
from tests.ports import free_port

RATE = 5_000
MB = 1 << 20
SETTLED = 5
"""Parts of ten, after which memory is to be flat."""

GROWTH_MB = 16.0
QUICK_GROWTH_MB = 48.0
"""Where the first half is over before the allocator has what it needs."""


def on_tcp(folder: Path) -> Ingester:
    """An ingester on two ports of its own."""
    ingest, publish = free_port(), free_port()
    return Ingester(
        folder,
        INGEST__ENDPOINT=f"tcp://127.0.0.1:{ingest}",
        PUBLISH__ENDPOINT=f"tcp://127.0.0.1:{publish}",
    )


def port_of(endpoint: str) -> int:
    """The port in it."""
    return int(endpoint.rpartition(":")[2])


def _growth(*, long: bool) -> float:
    return GROWTH_MB if long else QUICK_GROWTH_MB


def beside(
    name: str, site: Site, tenth: Callable[[int], None], runs: int, growth_mb: float
) -> Figures:
    """Ten parts of an attack beside honest services; growth is in the last five."""
    before = 0
    with site.running():
        site.wait_for_entries(RATE)
        pid = site.ingester.pid
        for part in range(10):
            tenth(part)
            site.wait_for_entries(site.progress + RATE // 10)
            if part + 1 == SETTLED:
                before = memory_of(pid, "VmRSS")
        grown = memory_of(pid, "VmRSS") - before
        finish(site.producers)
        site.note_memory()
        assert site.ingester.pid == pid
        assert site.ingester.stop() == 0, site.ingester.text
    verdict = site.verdict()
    assert grown <= growth_mb * MB, f"RSS {grown / MB:+.1f} MB"
    note = f"RSS {grown / MB:+.1f} of {growth_mb:+.0f} MB in the second half"
    strange = f"; {verdict.strangers:,} rows of strangers were well formed"
    return verdict._replace(unknown=verdict.unknown - verdict.strangers).figures(
        name,
        runs,
        peak_mb=site.peak_bytes / MB,
        note=note + (strange if verdict.strangers else ""),
        limit_mb=150.0,
    )


def malformed_frames(folder: Path, *, long: bool) -> Figures:
    """Ten kinds of them: noise, damage, bombs, depth, numbers, producers."""
    count = 10_000 if long else 2_000
    site = Site(on_tcp(folder), "--rate", str(RATE))
    push = transport.push(site.ingester.ingest)
    waiting = messages(count)

    def tenth(_: int) -> None:
        for _, frames in zip(range(count // 10), waiting, strict=False):
            push.send_multipart(frames)

    try:
        found = beside("malformed frames", site, tenth, count, _growth(long=long))
    finally:
        push.close(0)
    letters = _letters(site.ingester.database)
    return found._replace(note=f"{found.note}; {letters:,} dead letters kept")


def _letters(database: Path) -> int:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        query = "SELECT count(*) FROM dead_letters"
        return int(connection.execute(query).fetchone()[0])
    finally:
        connection.close()


def raw_connections(folder: Path, *, long: bool) -> Figures:
    """Plain TCP to both ports: garbage, huge sizes, wrong sockets, half-open ones."""
    count = 100 if long else 10
    site = Site(on_tcp(folder), "--rate", str(RATE))
    ingest = port_of(site.ingester.ingest)
    publish = port_of(site.ingester.publish)

    def tenth(part: int) -> None:
        for port, kind in ((ingest, b"PUSH"), (publish, b"SUB")):
            with strangers.half_open(port, 3 * count):
                strangers.garbage(port, 4 * count)
                strangers.huge_frames(port, kind, count)
                strangers.wrong_kinds(port)
        strangers.endless_subscriptions(publish, 100 * count)
        if part == 9:
            assert strangers.are_closed(ingest, 5), "half-open connections stay"
            assert strangers.are_closed(publish, 5), "half-open connections stay"

    return beside("raw connections", site, tenth, 90 * count, _growth(long=long))


FAULTS = {"malformed-frames": malformed_frames, "raw-connections": raw_connections}
"""By name."""
