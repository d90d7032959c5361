"""The next block of a question is read ahead: when, which parts, what can go wrong."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.batch.layout import MESSAGE
from pipeline.entry import Entry
from pipeline.query.ahead import Ahead
from pipeline.store.block import Block
from pipeline.store.message_column import MessageColumn
from pipeline.store.reader import Header, Reader
from tests.query.stores import Asker, append, merge

_BLOCKS = 5
_ROWS = 60


def _entry(number: int) -> Entry:
    rare = "free text é" if number % 9 == 0 else f"request {number} took {number} ms"
    return Entry(1_000_000_000 * number, "api", 9, rare, {}, [], None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Five compacted blocks, each of later entries than the one before."""
    path = tmp_path / "logs.db"
    numbers = [range(at * _ROWS, (at + 1) * _ROWS) for at in range(_BLOCKS)]
    append(path, [[(0, list(map(_entry, some)))] for some in numbers])
    for at in range(_BLOCKS):
        merge(path, at, at + 1)
    return path


def _column(block: Block) -> MessageColumn:
    column = block.batch.columns[MESSAGE]
    assert isinstance(column, MessageColumn)
    return column


def _read(reader: Reader, ahead: Ahead, header: Header) -> Block:
    """Search a block's codes and unstructured texts."""
    block = ahead.take(header) or reader.load(header)
    ahead.begin(header, [])
    _column(block).unstructured()
    ahead.end(header, block)
    return block


def test_the_third_block_in_a_row_is_read_ahead(path: Path) -> None:
    """The first two tell that blocks follow one another, and what of them is read."""
    reader = Reader(path)
    reader.refresh()
    ahead = Ahead(reader)
    ahead.plan(reader.headers)
    first, second, third, *_ = reader.headers
    _read(reader, ahead, first)
    assert ahead.take(second) is None
    _read(reader, ahead, second)

    block = ahead.take(third)

    assert block is not None
    assert ahead.take(third) is None
    right = reader.load(third)
    assert _column(block).unstructured().data == _column(right).unstructured().data
    assert _column(block).texts.data == _column(right).texts.data


def test_nothing_is_read_ahead_of_blocks_that_are_passed_by(path: Path) -> None:
    """Nor of one that is kept open, and nothing after the last one."""
    reader = Reader(path)
    reader.refresh()
    ahead = Ahead(reader)
    ahead.plan(reader.headers)
    first, _, third, fourth, fifth = reader.headers
    for header in (first, third):
        _read(reader, ahead, header)
    assert ahead.take(fourth) is None
    ahead.begin(fourth, [fifth])
    assert ahead.take(fifth) is None
    _read(reader, ahead, fourth)
    _read(reader, ahead, fifth)
    ahead.begin(fifth, [])
    assert ahead.take(first) is None


def test_a_block_that_is_damaged_is_lost_in_its_turn(path: Path) -> None:
    """Read ahead or not, the other four are answered, and one is told of."""
    asked = {"q": "message:/é|took [0-9]+5 ms/", "count": "exact"}
    whole = Asker(path).ask("query", **asked)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        ((last,),) = database.execute("SELECT max(id) FROM segments")
        ((data,),) = database.execute("SELECT data FROM segments WHERE id = ?", (last,))
        lost = 0
        for at in range(0, len(data), 40):
            damaged = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            sql = "UPDATE segments SET data = ? WHERE id = ?"
            database.execute(sql, (damaged, last))
            reply = Asker(path).ask("query", order="asc", limit=1, **asked)
            if reply.get("unreadable_blocks"):
                lost += 1
                in_others = [n for n in range(_ROWS * 4) if n % 9 == 0 or _is_hit(n)]
                assert reply["count"] == len(in_others)
            else:
                assert reply["count"] == whole["count"]
    assert lost > 0


def test_what_was_read_ahead_in_vain_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block of which another condition leaves nothing is kept without it."""
    path = tmp_path / "logs.db"
    kinds = (7, 7, 8, 8, 7, 7, 8, 8)
    for at, kind in enumerate(kinds):
        numbers = range(at * _ROWS, (at + 1) * _ROWS)
        rows = [_entry(number)._replace(metadata={"x": kind}) for number in numbers]
        append(path, [[(0, rows)]], first=at * _ROWS + 1)
        merge(path, at, at + 1)
    ahead: list[MessageColumn] = []
    read = MessageColumn.read_ahead

    def noted(column: MessageColumn, parts: Sequence[int]) -> None:
        ahead.extend([column] if parts else [])
        read(column, parts)

    monkeypatch.setattr(MessageColumn, "read_ahead", noted)
    asker = Asker(path)

    asker.ask("query", q="x:7 /took [0-9]+5 ms/", count="exact")

    assert ahead
    *before, _ = ahead  # the block searched last is still at hand
    assert not any(column.drop_ahead() for column in before)


def _is_hit(number: int) -> bool:
    return number >= 10 and number % 10 == 5
