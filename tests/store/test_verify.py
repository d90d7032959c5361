"""What `verify` finds, and that a flipped byte costs its block at most."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.store.compacted import compact
from pipeline.store.reader import Reader
from pipeline.store.schema import COMPACTED
from pipeline.store.verify import verify_store
from pipeline.store.writer import Writer
from tests.store.build import build_store
from tests.wire.messages import NOW, entry

ROWS = 50
BLOCKS = 12


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight blocks are two, four are as they were committed."""
    path = tmp_path_factory.mktemp("store") / "logs.db"
    rng = random.Random(1)
    rows = [
        entry(timestamp=NOW + n, message=f"user {n} did {rng.randbytes(40).hex()} x")
        for n in range(ROWS * BLOCKS)
    ]
    parts = [rows[at : at + ROWS] for at in range(0, len(rows), ROWS)]
    build_store(path, parts)
    with closing(Writer(path)) as writer, closing(Reader(path)) as reader:
        reader.refresh()
        blocks = list(map(reader.load, reader.headers))
        writer.swap(compact(blocks[:4], 3))
        writer.purge(writer.swap(compact(blocks[4:8], 3)), 100)
    return path


@pytest.fixture
def path(original: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copy(original, tmp_path / "logs.db"))


def execute(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


def test_a_whole_store_is_sound(path: Path) -> None:
    """And is told in numbers."""
    found = verify_store(path)

    assert (found.damaged, found.flaws, found.notes) == ({}, [], [])
    assert (found.blocks, found.rows, found.commit) == (6, ROWS * BLOCKS, BLOCKS)
    assert (found.unchained, len(found.head)) == (0, 64)


@pytest.mark.parametrize(
    ("statement", "block", "text"),
    [
        ("UPDATE blocks SET data = zeroblob(9) WHERE id = 9", 9, "data's CRC"),
        ("UPDATE blocks SET rows = 49 WHERE id = 9", 9, "header's CRC"),
        ("DELETE FROM blocks WHERE id = 10", 10, "no event says why"),
        ("UPDATE compacted SET tier = 7", COMPACTED + 1, "header's CRC"),
        ("UPDATE compacted SET counts = x'00'", COMPACTED + 1, "counts' CRC"),
        ("DELETE FROM segments", COMPACTED + 2, "is not there"),
        ("UPDATE segments SET data = x'0011223344'", COMPACTED + 2, "columns: its CRC"),
        ("UPDATE filters SET data = x'0011223344'", COMPACTED + 1, "filter: its CRC"),
        ("DELETE FROM filters", COMPACTED + 1, "filter is not there"),
        ("DELETE FROM patterns", COMPACTED + 1, "table of templates"),
    ],
)
def test_what_is_wrong_is_said_of_its_block(
    path: Path, statement: str, block: int, text: str
) -> None:
    """In words; nothing hides anything else."""
    execute(path, statement)

    found = verify_store(path)

    assert text in " ".join(found.damaged[block])


def test_a_block_changed_with_its_checksums_is_found_by_the_chain(path: Path) -> None:
    """Whoever can compute a CRC can't make another block of the same SHA-256."""
    with closing(sqlite3.connect(path)) as connection:
        row = connection.execute("SELECT * FROM blocks WHERE id = 9").fetchone()
        other = connection.execute("SELECT * FROM blocks WHERE id = 10").fetchone()
    forged = _forged(row, other)
    with closing(sqlite3.connect(path)) as connection:
        marks = ", ".join("?" * len(forged))
        connection.execute(f"INSERT OR REPLACE INTO blocks VALUES ({marks})", forged)
        connection.commit()

    found = verify_store(path)

    assert found.damaged == {
        9: ["it is not the block that the chain has: it was changed"]
    }


def _forged(row: tuple[object, ...], other: tuple[object, ...]) -> list[object]:
    """The rows of another block under this one's number, all CRCs right."""
    from pipeline.store.block import header_checksum, place_checksum

    made = [row[0], *other[1:]]
    rows, size, low, high = (made[at] for at in (3, 4, 5, 6))
    base = header_checksum(rows, low, high, made[9], made[10], made[11])  # type: ignore[arg-type]
    made[8] = place_checksum(row[0], made[1], made[2], size, base)  # type: ignore[arg-type]
    return made


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE chain SET event = zeroblob(20) WHERE id = 2",
        "UPDATE chain SET hash = zeroblob(32) WHERE id = 2",
        "DELETE FROM chain WHERE id = 3",
        "DELETE FROM chain WHERE id = 1",
    ],
)
def test_a_chain_that_was_touched_is_broken(path: Path, statement: str) -> None:
    """Each hash covers all events before."""
    execute(path, statement)

    found = verify_store(path)

    assert "chain" in " ".join(found.flaws)
    assert not found.is_sound


def test_what_the_ingester_could_not_explain_stays_a_flaw(path: Path) -> None:
    """It went on without the block; nobody is to overlook that."""
    execute(path, "DELETE FROM blocks WHERE id = 10")
    execute(path, "UPDATE meta SET value = value + 1 WHERE key = 'removed'")
    Writer(path).close()

    found = verify_store(path)

    assert found.damaged == {}
    assert f"{ROWS} entries so far went without an event" in " ".join(found.flaws)
