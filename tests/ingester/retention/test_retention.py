"""Retention on a real store, under a clock that the test moves."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest

from pipeline import clock
from pipeline.entry import Entry
from pipeline.ingester.retention.elapsed import DAY, SECOND
from pipeline.ingester.retention.retention import Retention
from pipeline.settings.storage import RetentionRule, Storage
from pipeline.store.block import Part, seal_block
from pipeline.store.reader import Reader
from pipeline.store.writer import Writer
from pipeline.wire.codec import batch_of

T0 = 1_800_000_000 * SECOND
PRODUCER = bytes(range(16))


class Store:
    """A writer with retention, and what retention says."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, **own: Any
    ) -> None:
        self.passed, self.off, self.number = 0, 0, 1
        monkeypatch.setattr(clock, "now_ns", lambda: T0 + self.passed + self.off)
        monkeypatch.setattr(clock, "monotonic_ns", lambda: self.passed)
        monkeypatch.setattr(clock, "monotonic", lambda: self.passed / SECOND)
        self.path = folder / "logs.db"
        self.settings = Storage(db_path=str(self.path), **own)
        self.writer = Writer(self.path, "process")
        self.told: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.begin()

    def begin(self) -> None:
        """As after a start."""
        self.retention = Retention(self.settings, self.told.append, self._ask)

    def _ask(self, order: dict[str, Any], reply: Any) -> bool:
        self.asked.append(order)
        reply({"result": {}, "totals": {}})
        return True

    def commit(self, rows: int = 10) -> None:
        """A block of new entries."""
        texts = [secrets.token_hex(50) for _ in range(rows)]
        now = clock.now_ns()
        batch = batch_of([Entry(now, "api", 9, t, {}, [], None) for t in texts]).batch
        assert batch is not None
        sealed = seal_block([Part(batch, PRODUCER, self.number, None)])
        self.number += rows
        self.writer.commit([sealed], [], [], [], now)

    def days(self, count: int, *, entries: bool = True) -> None:
        """Time passes, with a block and some looks every day."""
        for _ in range(count):
            self.passed += DAY
            if entries:
                self.commit()
            self.look()

    def look(self) -> None:
        """As the ingester does it."""
        self.retention.looked(self.retention.look(self.writer), clock.monotonic())

    @property
    def rows(self) -> int:
        """What a reader sees."""
        reader = Reader(self.path)
        reader.refresh()
        found = sum(header.rows for header in reader.headers)
        reader.close()
        return found


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stores with such settings."""
    return lambda **own: Store(tmp_path, monkeypatch, **own)


def test_entries_older_than_max_days_go(made: Any) -> None:
    """Day by day, and each deletion is told of."""
    store = made(max_days=10)
    store.days(30)

    assert store.rows == 110
    assert store.retention.counters["rows_by_age"] == 190
    assert sum(each["metadata"]["entries"] for each in store.told) == 190
    assert store.told[0]["message"].startswith("retention dropped 10 entries of 1 blo")
    assert store.told[0]["source"] == "pipeline"


@pytest.mark.parametrize("by", [365 * DAY, -365 * DAY])
@pytest.mark.parametrize("is_off", [True, False])
def test_a_clock_that_jumps_a_year_deletes_nothing(
    made: Any, by: int, is_off: bool
) -> None:
    """While it runs or is off, forward or back, and when it is right again."""
    store = made(max_days=30)
    store.days(20)
    for jump in (by, -by):
        store.off += jump
        if is_off:
            store.begin()
        store.days(3)

    assert store.rows == 260
    assert store.told == []


def test_a_clock_that_jumped_does_not_keep_anything_for_long(made: Any) -> None:
    """Ages go on from there."""
    store = made(max_days=10)
    store.days(5)
    store.off += 365 * DAY
    store.days(2)
    store.off -= 365 * DAY
    store.days(20)

    assert store.rows <= 110


def test_a_mass_deletion_waits_for_its_second_look(made: Any) -> None:
    """A limit that was set too low is told of for an hour before it is obeyed."""
    store = made(max_days=300)
    store.days(40)
    store.settings = Storage(db_path=str(store.path), max_days=3)
    store.begin()
    store.look()

    assert store.rows == 400
    assert "360 entries in 36 blocks go in 60 minutes" in store.told[0]["message"]
    for _ in range(5):
        store.passed += 600 * SECOND
        store.look()
    assert (store.rows, len(store.told)) == (400, 1)
    store.passed += 700 * SECOND
    store.look()
    assert store.rows == 30


def test_the_oldest_go_when_the_room_is_full(made: Any) -> None:
    """As much as has to, and the newest stay."""
    store = made(max_size_mb=16)
    for _ in range(300):
        store.commit(1000)
        store.passed += SECOND
        store.look()
        store.writer.checkpoint()

    stock = store.writer.stock()
    gone = store.retention.counters["rows_by_size"]
    assert store.rows + gone == 300_000
    used = stock.file_bytes - stock.free_bytes + stock.wal_bytes - stock.dropped_bytes
    assert 10e6 < used < 16e6
    assert 0 < gone < 200_000


def test_a_store_that_is_too_large_from_the_start_is_a_mass_deletion(made: Any) -> None:
    """A size with a digit too few is told of first."""
    store = made(max_size_mb=100)
    for _ in range(40):
        store.commit(10_000)
    store.settings = Storage(db_path=str(store.path), max_size_mb=3)
    store.begin()
    store.look()

    assert store.rows == 400_000
    assert "go in 10 minutes; raise it to keep them" in store.told[0]["message"]
    store.passed += 601 * SECOND
    store.look()
    assert store.rows < 400_000


def test_rules_are_handed_to_the_worker(made: Any) -> None:
    """All of them as one order, with the age that each has."""
    rules = (RetentionRule("", "DEBUG", "2d"), RetentionRule("web-*", "", "5d"))
    store = made(rules=rules)
    store.days(4)
    assert [order["rules"] for order in store.asked] == [
        [{"q": "level:DEBUG", "up_to": 1}]
    ]
    store.days(4)
    assert store.asked[-1]["rules"] == [
        {"q": "level:DEBUG", "up_to": 5},
        {"q": 'source:"web-"* -(level:DEBUG)', "up_to": 2},
    ]


def test_what_the_clock_did_survives_a_restart(made: Any) -> None:
    """Jumps are kept beside the blocks, which tell when the record is damaged."""
    store = made(max_days=10)
    store.days(3)
    store.off += 100 * DAY
    store.days(1)
    store.begin()
    store.days(1)
    assert store.rows == 50
    store.writer.keep_note("clock", "{")
    store.begin()
    store.days(1)

    assert store.rows == 60
    assert store.told == []
