"""Each thing done to blocks is an event whose hash covers all before it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from pipeline.store import chain, chaining
from pipeline.store.block import Part, seal_block
from pipeline.store.chain import Event, State
from pipeline.store.compacted import compact
from pipeline.store.reader import Reader
from pipeline.store.schema import COMPACTED
from pipeline.store.writer import Writer
from pipeline.wire.codec import batch_of
from tests.store.build import PRODUCER, build_store
from tests.wire.messages import entry

ROWS = 10


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Ten blocks; the first three are one, the next lost half, the last is dropped."""
    path = tmp_path / "logs.db"
    build_store(path, [[entry() for _ in range(ROWS)] for _ in range(10)])
    with closing(Writer(path)) as writer, closing(Reader(path)) as reader:
        reader.refresh()
        blocks = list(map(reader.load, reader.headers))
        writer.swap(compact(blocks[:3], 3))
        half = np.arange(ROWS) % 2 == 0
        writer.swap(compact(blocks[3:4], 3, [half]), ROWS // 2)
        writer.drop(10, 10, now=1, reason="age")
    return path


def events(path: Path) -> list[tuple[int, bytes, bytes]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM chain ORDER BY id").fetchall()


def replayed(path: Path) -> tuple[State, list[str]]:
    state, problems = State(), []
    for _, _, packed in events(path):
        problems += state.apply(chain.unpack(packed))
    return state, problems


def reasons(path: Path) -> list[str]:
    found: list[Event] = [chain.unpack(row[2]) for row in events(path)]
    return [event.reason or event.kind for event in found]


def test_events_say_what_is_there_and_what_became_of_the_rest(path: Path) -> None:
    """Compaction, deletion and retention extend the chain."""
    state, problems = replayed(path)

    assert problems == []
    assert reasons(path) == ["begun", "added", "compaction", "deletion", "age"]
    assert sorted(state.live) == [5, 6, 7, 8, 9, COMPACTED + 1, COMPACTED + 2]
    assert state.sums == {"added": 100, "deletion": 5, "age": 10}
    assert state.balance() is None


def test_each_hash_covers_all_before_it(path: Path) -> None:
    """One event less, or another, is another head."""
    rows = events(path)
    assert chain.linked(rows) == rows
    without = [*rows[:2], *rows[3:]]
    assert chain.linked(without) == rows[:2]
    number, head, packed = rows[2]
    changed = [*rows[:2], (number, head, packed.replace(b"compaction", b"retentions"))]
    assert chain.linked(changed) == rows[:2]


def test_blocks_of_a_killed_writer_are_chained_by_the_next(tmp_path: Path) -> None:
    """The newest are not in the chain yet; nobody has to be asked what they were."""
    path, copy = tmp_path / "logs.db", tmp_path / "killed.db"
    build_store(path, [[entry()]])
    batch = batch_of([entry()]).batch
    assert batch is not None
    with closing(Writer(path)) as writer:
        sealed = seal_block([Part(batch, PRODUCER, 2, None)])
        (stream,) = writer.streams()
        stream.accepted, stream.stored = 2, 2
        writer.commit([sealed], [stream], [], [], now=1)
        for suffix in ("", "-wal"):
            Path(f"{copy}{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    assert sorted(replayed(copy)[0].live) == [1]

    Writer(copy).close()

    assert replayed(copy)[0].live == replayed(path)[0].live
    assert sorted(replayed(copy)[0].live) == [1, 2]


def test_a_block_that_somebody_else_removed_is_found(path: Path) -> None:
    """The ingester goes on, and the chain says so from then on."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM blocks WHERE id = 7")
        connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'removed'")
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('removed', 1)")
        connection.commit()

    said: list[str] = []
    Writer(path, "disk", said.append).close()

    state, _ = replayed(path)
    assert said == []
    assert reasons(path)[-1] == "unexplained"
    assert state.sums["unexplained"] == ROWS
    assert 7 not in state.live


def test_old_events_go_when_a_state_says_what_they_said(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chain does not grow for ever."""
    before = replayed(path)[0]
    monkeypatch.setattr(chaining, "HISTORY_BYTES", 0)
    for _ in range(20):
        with closing(Writer(path)) as writer, closing(Reader(path)) as reader:
            reader.refresh()
            blocks = list(map(reader.load, reader.headers))
            writer.swap(compact(blocks, 3))

    state, problems = replayed(path)
    assert problems == []
    assert (state.rows, state.sums) == (before.rows, before.sums)
    assert events(path)[0][0] > 1
    assert len(events(path)) < 30


def test_a_damaged_event_is_salvaged(path: Path) -> None:
    """What holds together of the chain is kept, and a state follows."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE chain SET hash = zeroblob(32) WHERE id = 4")
        connection.commit()

    said: list[str] = []
    Writer(path, "disk", said.append).close()

    assert "event 4 of the chain does not follow" in said[0]
    state, problems = replayed(path)
    assert problems == []
    assert reasons(path) == ["begun", "added", "compaction", "salvaged"]
    assert sorted(state.live) == [5, 6, 7, 8, 9, COMPACTED + 1, COMPACTED + 2]
    Writer(path, "disk", said.append).close()
    assert reasons(path)[-1] == "salvaged"
