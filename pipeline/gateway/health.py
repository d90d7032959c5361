"""Is it working: what the gateway knows of every part, and what follows from it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct, field

from pipeline.errors import StoreError
from pipeline.gateway.alerts import AlertsHealth
from pipeline.gateway.pool import Pool
from pipeline.store.attached import open_with
from pipeline.store.census import (
    COMPACTED_QUERY,
    COMPACTED_SINCE,
    FRESH_QUERY,
    census,
)
from pipeline.store.database import DatabaseError, open_reader_async, size_on_disk
from pipeline.store.producers import (
    FORGOTTEN_QUERY,
    TOTALS_QUERY,
    Question,
    Totals,
    totals_of,
    values_of,
)
from pipeline.wire import frame

STALE_SECONDS: Final = 3.0
"""The ingester says once a second how it is: three times nothing means it is away."""

_ALL: Final = Question(0)

Status = Literal["ok", "degraded", "down"]


class IngesterHealth(Struct):
    """The process that stores, from the status that it publishes."""

    is_up: bool
    seen_ms_ago: int | None
    pid: int | None
    counters: dict[str, Any]
    disk: dict[str, Any] = field(default_factory=dict)
    """What it says of the disk that the database is on."""


class LedgerHealth(Struct):
    """What became of all that was produced, but for files; see `get_ledger`."""

    producers: int = 0
    stored: int = 0
    rejected: int = 0
    lost: int = 0
    dropped: int = 0
    unbalanced: int = 0


class StoreHealth(Struct):
    """The database file; `error` says why it can't be read."""

    path: str
    entries: int
    blocks: int
    bytes: int
    error: str | None = None
    ledger: LedgerHealth = field(default_factory=LedgerHealth)
    unattached_archives: int = 0
    """Of storage.attach, that can't be read."""


class WorkersHealth(Struct):
    """The processes that answer questions."""

    configured: int
    ready: int
    active: int
    waiting: int
    pids: list[int]
    counters: dict[str, int]


class TailHealth(Struct):
    """The live tail's clients, and what slow ones have missed."""

    clients: int
    filters: int
    missed: int


class HealthResult(Struct):
    """The state of the pipeline; `reasons` says why it isn't ok."""

    status: Annotated[
        Status,
        Meta(description="`degraded`: some of it works. `down`: none of it."),
    ]
    reasons: list[str]
    version: str
    uptime_seconds: float
    ingester: IngesterHealth
    store: StoreHealth
    workers: WorkersHealth
    tail: TailHealth
    alerts: AlertsHealth
    collector: dict[str, Any]
    requests: dict[str, int]
    redacted: Annotated[
        dict[str, int],
        Meta(description="Secrets masked in what calls have logged, by rule."),
    ]


def judge(
    ingester: IngesterHealth, store: StoreHealth, workers: WorkersHealth
) -> tuple[Status, list[str]]:
    """The status that follows, with the reasons."""
    reasons = []
    if not ingester.is_up:
        reasons.append(_away(ingester))
    elif ingester.disk.get("stage", "plenty") != "plenty":
        reasons.append(_short(ingester.disk))
    if workers.ready < workers.configured:
        reasons.append(f"{workers.ready} of {workers.configured} query workers ready")
    if store.error is not None:
        reasons.append(f"store: {store.error}")
    if store.unattached_archives:
        count = f"{store.unattached_archives} archives"
        reasons.append(f"storage.attach: {count} can't be read, answers lack entries")
    if store.ledger.unbalanced:
        count = f"{store.ledger.unbalanced} of {store.ledger.producers} producers"
        reasons.append(f"ledger: {count} do not balance; get_ledger shows them")
    if not reasons:
        return "ok", reasons
    is_down = not ingester.is_up and workers.ready == 0
    return ("down" if is_down else "degraded"), reasons


def _away(ingester: IngesterHealth) -> str:
    if ingester.seen_ms_ago is None:
        return "the ingester was never seen"
    return f"the ingester was last seen {ingester.seen_ms_ago / 1000:.1f} s ago"


def _short(disk: dict[str, Any]) -> str:
    free, low = disk["free_bytes"] / 1e6, disk["low_water_bytes"] / 1e6
    there = f"the store's disk has {free:,.1f} MB free"
    if disk["stage"] == "full":
        return f"{there}: nothing is taken until there is room"
    return f"{there}, less than {low:,.1f} MB: old entries go"


def is_disk_full(status: dict[str, Any] | None, age: float | None) -> bool:
    """Whether the ingester, of which this was heard a moment ago, can store nothing."""
    if status is None or age is None or age > STALE_SECONDS:
        return False
    return status.get("status") == frame.Status.DISK_FULL.name


def ingester_health(status: dict[str, Any] | None, age: float | None) -> IngesterHealth:
    """From its last status and that one's age in seconds."""
    if status is None or age is None:
        return IngesterHealth(False, None, None, {})
    return IngesterHealth(
        age < STALE_SECONDS,
        int(age * 1000),
        status.get("pid"),
        status.get("counters") or {},
        status.get("space") or {},
    )


def workers_health(pool: Pool) -> WorkersHealth:
    """From the pool."""
    return WorkersHealth(
        pool.workers,
        pool.ready,
        pool.active,
        pool.waiting,
        pool.pids,
        asdict(pool.counters),
    )


def _ledger_health(totals: Mapping[str, Totals]) -> LedgerHealth:
    kinds = [totals["session"], totals["plain"]]
    return LedgerHealth(
        sum(each.producers for each in kinds),
        sum(each.stored for each in kinds),
        sum(each.rejected for each in kinds),
        sum(each.lost for each in kinds),
        sum(each.dropped for each in kinds),
        sum(each.unbalanced for each in kinds),
    )


async def store_health(path: Path, archives: Sequence[Path] = ()) -> StoreHealth:
    """Entries and bytes of the database, without opening a block."""
    health = StoreHealth(str(path), 0, 0, size_on_disk(path))
    try:
        connection = await open_reader_async(path)
    except StoreError as error:
        health.error = str(error)
        return health
    try:
        ((version,),) = await connection.execute_fetchall("PRAGMA user_version")
        queries = (FRESH_QUERY, COMPACTED_QUERY)[: 1 + (version >= COMPACTED_SINCE)]
        tables = [await connection.execute_fetchall(query) for query in queries]
        health.entries, health.blocks = await asyncio.to_thread(census, *tables)
        sums = await connection.execute_fetchall(TOTALS_QUERY, values_of(_ALL))
        forgotten = await connection.execute_fetchall(FORGOTTEN_QUERY)
        health.ledger = _ledger_health(totals_of(sums, _ALL, forgotten))
        if archives:
            health.unattached_archives = await asyncio.to_thread(
                _unattached, path, archives
            )
    except (StoreError, DatabaseError) as error:
        health.error = str(error)
    finally:
        await connection.close()
    return health


def _unattached(path: Path, archives: Sequence[Path]) -> int:
    connection, left_out = open_with(path, archives)
    connection.close()
    return len(left_out)
