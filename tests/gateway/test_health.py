"""What follows from the state of the parts, and a store that can't be read."""

from __future__ import annotations

import asyncio
import threading

import pytest

from pipeline.entry import Entry
from pipeline.gateway.health import (
    LedgerHealth,
    StoreHealth,
    WorkersHealth,
    ingester_health,
    judge,
    store_health,
)
from tests.query.stores import merge
from tests.store.build import build_store

STATUS = {"pid": 7, "counters": {"entries": 1}}


def parts(age=0.5, ready=2, error=None, unbalanced=0, stage="plenty"):
    """The three parts that a verdict is made of."""
    space = {"stage": stage, "free_bytes": 1_000_000, "low_water_bytes": 6_400_000}
    return (
        ingester_health({**STATUS, "space": space}, age),
        StoreHealth("logs.db", 1, 1, 1, error, LedgerHealth(9, unbalanced=unbalanced)),
        WorkersHealth(2, ready, 0, 0, [], {}),
    )


@pytest.mark.parametrize(
    ("state", "status", "reason"),
    [
        ({}, "ok", None),
        ({"age": 3.1}, "degraded", "the ingester was last seen 3.1 s ago"),
        ({"age": None}, "degraded", "the ingester was never seen"),
        ({"ready": 1}, "degraded", "1 of 2 query workers ready"),
        ({"error": "damaged"}, "degraded", "store: damaged"),
        (
            {"unbalanced": 2},
            "degraded",
            "ledger: 2 of 9 producers do not balance; get_ledger shows them",
        ),
        (
            {"stage": "low"},
            "degraded",
            "the store's disk has 1.0 MB free, less than 6.4 MB: old entries go",
        ),
        (
            {"stage": "full"},
            "degraded",
            "the store's disk has 1.0 MB free: nothing is taken until there is room",
        ),
        ({"age": 9, "ready": 0}, "down", "the ingester was last seen 9.0 s ago"),
    ],
)
def test_the_verdict_has_its_reasons(state, status, reason):
    """Down is when neither entries nor questions are taken."""
    found, reasons = judge(*parts(**state))

    assert (found, reasons[:1]) == (status, [reason] if reason else [])


def test_what_was_merged_is_counted_once(tmp_path, entry):
    """Blocks that wait for their end beside what took their place don't count."""
    path = tmp_path / "logs.db"
    build_store(path, [[entry] * 3, [entry] * 2, [entry]])
    merge(path, 0, 2)
    health = asyncio.run(store_health(path))
    merge(path, 0, 2, purged=True)
    purged = asyncio.run(store_health(path))

    assert (health.entries, health.blocks, health.error) == (6, 2, None)
    assert (purged.entries, purged.blocks, purged.error) == (6, 1, None)


def test_a_store_is_counted_by_its_blocks(tmp_path, entry):
    """No block is opened."""
    path = tmp_path / "logs.db"
    build_store(path, [[entry] * 3, [entry] * 2])
    health = asyncio.run(store_health(path))

    assert (health.entries, health.blocks, health.error) == (5, 2, None)
    assert health.bytes > 0
    assert health.ledger == LedgerHealth(1, 5)


@pytest.mark.parametrize("content", [None, b"no database " * 1000])
def test_a_store_that_cannot_be_read_leaves_no_thread(tmp_path, content):
    """Threads of aiosqlite would keep the process from ending."""
    path = tmp_path / "logs.db"
    if content is not None:
        path.write_bytes(content)

    async def look():
        before = set(threading.enumerate())
        health = await store_health(path)
        new = set(threading.enumerate()) - before
        # the loop goes on meanwhile: a thread tells it that it ends
        for thread in new:
            await asyncio.to_thread(thread.join, 10)
        return health, [thread for thread in new if thread.is_alive()]

    health, left = asyncio.run(look())
    assert "can't be read" in health.error
    assert left == []


@pytest.fixture
def entry():
    """Any."""
    return Entry(1, "s", 9, "m", {}, [], None)
