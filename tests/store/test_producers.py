"""The ledger: what became of each producer's entries, and that it adds up."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pipeline.delivery.stream import Stream
from pipeline.errors import StoreError
from pipeline.limits import NUMBER_MAX
from pipeline.store.producers import (
    Question,
    Totals,
    parse_cursor,
    read_ledger,
)
from pipeline.store.writer import Writer

ALL = Question(100)


def producer(number: int) -> bytes:
    """An id."""
    return number.to_bytes(16, "big")


def written(path: Path, *streams: Stream) -> Path:
    """A database with these producers."""
    writer = Writer(path)
    writer.commit([], streams, [], [], now=1)
    writer.close()
    return path


def session(number: int = 1, **changes: Any) -> Stream:
    """10 numbers: 6 stored, 3 rejected, 1 lost; 2 dropped before they had one."""
    stream = Stream(producer(number), 10, 10, 6, 1, 4, 3, 2, 1_000_000_007)
    stream.reasons = {"entry_level": 2, "by the sender": 1}
    stream.source, stream.began = "web", 1_000_000_000
    for name, value in changes.items():
        setattr(stream, name, value)
    return stream


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a database may be made."""
    return tmp_path / "logs.db"


def test_an_account_says_what_became_of_each_entry(path: Path) -> None:
    """Produced from its numbers, the rest as it was counted."""
    ledger = read_ledger(written(path, session(finished=True)), ALL)

    (account,) = ledger.producers
    assert asdict(account) == {
        "producer": producer(1).hex(),
        "kind": "session",
        "source": "web",
        "produced": 12,
        "stored": 6,
        "rejected": 3,
        "lost": 1,
        "dropped": 2,
        "duplicates": 4,
        "durable": 10,
        "position": None,
        "lost_bytes": None,
        "reasons": {"entry_level": 2, "by the sender": 1},
        "first_seen": "1970-01-01T00:00:01.000000000Z",
        "last_seen": "1970-01-01T00:00:01.000000007Z",
        "finished": True,
        "balanced": True,
    }


def test_a_file_counts_entries_and_is_placed_by_bytes(path: Path) -> None:
    """What its bytes should have been nobody knows."""
    stream = session(kind="file", accepted=4096, lost=64)
    ledger = read_ledger(written(path, stream), ALL)

    (account,) = ledger.producers
    assert (account.produced, account.stored, account.lost) == (9, 6, 0)
    assert (account.position, account.lost_bytes) == (4096, 64)
    assert (account.durable, account.balanced) == (None, None)
    assert ledger.totals["file"] == Totals(1, 9, 6, 3, 0, 2, 4, 4096, 64, 0)
    assert ledger.balanced


def test_plain_messages_have_numbers_when_they_are_stored(path: Path) -> None:
    """Rejected ones are counted beside them."""
    stream = session(kind="plain", stored=10, lost=0, dropped=0)
    (account,) = read_ledger(written(path, stream), ALL).producers

    assert (account.produced, account.stored, account.rejected) == (13, 10, 3)
    assert account.balanced


@pytest.mark.parametrize(
    "changes",
    [
        {"stored": 7},
        {"rejected": 2},
        {"lost": 0},
        {"accepted": 11},
        {"kind": "plain", "lost": 0},
    ],
)
def test_what_does_not_add_up_is_seen(path: Path, changes: dict[str, Any]) -> None:
    """In the account, in its kind's totals and in the whole."""
    ledger = read_ledger(written(path, session(**changes), session(2)), ALL)

    assert sorted(bool(each.balanced) for each in ledger.producers) == [False, True]
    assert ledger.totals[str(changes.get("kind", "session"))].unbalanced == 1
    assert not ledger.balanced


def test_pages_have_each_producer_once(path: Path) -> None:
    """The one heard last first; totals are of all."""
    streams = [session(number, seen=number // 3) for number in range(20)]
    written(path, *streams)
    found, after = [], None
    while True:
        page = read_ledger(path, Question(3, after=after))
        found += [account.producer for account in page.producers]
        assert page.totals["session"].producers == 20
        assert page.truncated == (page.next_cursor is not None)
        if page.next_cursor is None:
            break
        after = parse_cursor(page.next_cursor)

    assert found == [producer(number).hex() for number in reversed(range(20))]


def test_one_producer_or_one_kind_may_be_asked_for(path: Path) -> None:
    """Then the totals are of these."""
    written(path, session(1), session(2, kind="plain"), session(3))

    one = read_ledger(path, Question(10, producer=producer(3)))
    assert [account.producer for account in one.producers] == [producer(3).hex()]
    assert one.totals["session"].producers == 1
    plain = read_ledger(path, Question(10, kind="plain"))
    assert [account.producer for account in plain.producers] == [producer(2).hex()]
    assert plain.totals["session"] == Totals()


def test_sums_beyond_64_bits_are_exact(path: Path) -> None:
    """A sender may claim what it likes to have dropped."""
    most = NUMBER_MAX - 1
    written(path, *(session(number, dropped=most) for number in range(5)))

    totals = read_ledger(path, ALL).totals["session"]
    assert (totals.dropped, totals.produced) == (5 * most, 5 * most + 50)


def test_forgotten_producers_stay_in_the_totals(path: Path) -> None:
    """Of their kind; one that comes back begins a new account."""
    file = session(3, kind="file", accepted=4096, lost=64)
    written(path, session(1), session(2, lost=0), file, session(4))
    before = read_ledger(path, ALL).totals
    writer = Writer(path)
    keys = [producer(number) for number in (1, 2, 9)]
    writer.commit([], [Stream(producer(2), 1, 1, 1)], [], keys, now=1)
    writer.commit([], [], [], [producer(3)], now=1)
    writer.close()

    ledger = read_ledger(path, ALL)
    assert len(ledger.producers) == 2
    assert ledger.totals == {
        "session": before["session"] + Totals(-1, 1, 1, forgotten=2),
        "file": before["file"] + Totals(-1, forgotten=1),
        "plain": Totals(),
    }
    assert not ledger.balanced
    assert read_ledger(path, Question(9, kind="plain")).totals["session"] == Totals()
    one = read_ledger(path, Question(9, producer=producer(4)))
    assert one.totals["session"].forgotten == 0


def test_damaged_sums_are_noticed(path: Path) -> None:
    """And stay so, whatever is added."""
    written(path, session(1), session(2))
    for key in (producer(1), producer(2)):
        writer = Writer(path)
        writer.commit([], [], [], [key], now=1)
        writer.close()
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(
                "UPDATE meta SET value = replace(value, '12', '13') WHERE ? = 1",
                (key[-1],),
            )

    ledger = read_ledger(path, ALL)
    assert not ledger.balanced
    assert ledger.totals["session"].forgotten == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "1",
        "1.",
        ".00",
        "1.0",
        "1.zz",
        "1.00 ",
        "9" * 20 + ".00",
        "9" * 19 + ".00",
    ],
)
def test_what_is_no_cursor_is_told(text: str) -> None:
    """Whoever asks says so."""
    assert parse_cursor(text) is None


def test_older_tables_are_named(path: Path) -> None:
    """The ingester brings them up to date."""
    written(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 3")

    with pytest.raises(StoreError, match=r"tables of version 3.*start its ingester"):
        read_ledger(path, ALL)
    with pytest.raises(StoreError, match="can't be read"):
        read_ledger(path.with_name("none.db"), ALL)
