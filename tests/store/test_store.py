"""What is committed is read back by another connection, whole and checked."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from pipeline.delivery.stream import Stream
from pipeline.entry import Entry
from pipeline.errors import StoreError
from pipeline.store.block import MINUTE, Part, Runs, parse_runs, seal_block
from pipeline.store.reader import Reader
from pipeline.store.schema import APPLICATION
from pipeline.store.writer import DEAD_LETTERS_MAX, DeadLetter, Writer
from pipeline.wire.codec import batch_of
from tests.store.build import PRODUCER, build_store


def entry(number: int, **changes: object) -> Entry:
    """An entry at the given nanosecond."""
    made = Entry(number, "web", 9, f"message {number}", {"n": number}, [], None)
    return made._replace(**changes)  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a database may be made."""
    return tmp_path / "deep" / "logs.db"


def test_blocks_come_back_with_their_rows_and_identities(path: Path) -> None:
    """Rows, headers and row numbers survive the way to disk and back."""
    build_store(path, [[entry(3), entry(1)], [entry(2)]])
    reader = Reader(path)

    reader.refresh()

    first, second = reader.headers
    assert (first.id, first.rows, first.minimum, first.maximum) == (1, 2, 1, 3)
    block = reader.load(first)
    assert [entry(3), entry(1)] == block.batch.entries(np.arange(2))
    assert block.identities(np.array([1])) == [(PRODUCER, 2)]
    assert reader.load(second).identities(np.array([0])) == [(PRODUCER, 3)]


def test_a_reader_sees_later_commits(path: Path) -> None:
    """refresh finds what came since, and a missing database is an empty one."""
    reader = Reader(path)
    reader.refresh()
    assert reader.headers == []

    build_store(path, [[entry(1)]])
    reader.refresh()
    build_store(path, [[entry(2)]])
    reader.refresh()

    assert [header.id for header in reader.headers] == [1, 2]


def test_a_database_that_is_being_made_has_no_blocks_yet(path: Path) -> None:
    """Its file comes before its tables."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as made:
        made.execute("PRAGMA auto_vacuum = INCREMENTAL")
        made.execute("PRAGMA journal_mode = WAL")
    reader = Reader(path)
    reader.refresh()
    assert reader.headers == []

    build_store(path, [[entry(1)]])
    reader.refresh()

    assert [header.id for header in reader.headers] == [1]


def test_counts_add_up_by_minute_source_and_level(path: Path) -> None:
    """The header's counts are those of the rows."""
    rows = [entry(place * MINUTE // 2, level=9 + 4 * (place % 2)) for place in range(6)]
    build_store(path, [[*rows, entry(0, source="a\nb\\")]])
    reader = Reader(path)
    reader.refresh()

    (counts,) = reader.counts([1])

    assert counts.minutes is not None
    found = zip(
        counts.minutes.tolist(),
        [counts.sources[code] for code in counts.source_codes.tolist()],
        counts.levels.tolist(),
        counts.counts.tolist(),
        strict=True,
    )
    expected = {(minute, "web", level, 1) for minute in range(3) for level in (9, 13)}
    assert {*expected, (0, "a\nb\\", 9, 1)} == set(found)


def test_counts_of_many_minutes_keep_totals_only(path: Path) -> None:
    """Above the limit of cells a header stays small and says so."""
    build_store(path, [[entry(place * MINUTE) for place in range(5000)]])
    reader = Reader(path)
    reader.refresh()

    (counts,) = reader.counts([1])

    assert counts.minutes is None
    assert counts.counts.tolist() == [5000]


def test_runs_join_what_goes_on_and_split_at_gaps() -> None:
    """Consecutive batches are one run; rejected rows leave a gap in the numbers."""
    other = bytes(16)
    whole = batch_of([entry(1), entry(2)]).batch
    gap = batch_of([entry(1), entry(2)], [0, 2])
    assert whole is not None
    assert gap.batch is not None
    sealed = seal_block(
        [
            Part(whole, PRODUCER, 1, None),
            Part(whole, PRODUCER, 3, None),
            Part(whole, other, 1, None),
            Part(gap.batch, PRODUCER, 5, gap.offsets),
        ]
    )

    runs = parse_runs(sealed.runs)

    assert [PRODUCER, other] == runs.producers
    assert list(zip(runs.codes, runs.firsts, runs.rows, strict=True)) == [
        (0, 1, 4),
        (1, 1, 2),
        (0, 5, 1),
        (0, 7, 1),
    ]
    assert isinstance(runs, Runs)


@pytest.mark.parametrize("column", ["data", "runs", "counts"])
def test_a_flipped_bit_is_noticed_and_names_its_block(path: Path, column: str) -> None:
    """The block's own CRC finds it, and the other blocks stay readable."""
    build_store(path, [[entry(1)], [entry(2)]])
    with sqlite3.connect(path) as connection:
        (blob,) = connection.execute(
            f"SELECT {column} FROM blocks WHERE id = 1"
        ).fetchone()
        flipped = bytes([*blob[:-1], blob[-1] ^ 1])
        connection.execute(f"UPDATE blocks SET {column} = ? WHERE id = 1", [flipped])
    connection.close()
    reader = Reader(path)
    reader.refresh()

    with pytest.raises(StoreError, match="block 1 is damaged"):
        reader.load(reader.headers[0])

    assert reader.load(reader.headers[1]).rows == 1


def test_a_second_writer_is_told_who_holds_the_database(path: Path) -> None:
    """Two writers would corrupt the file."""
    writer = Writer(path)

    with pytest.raises(StoreError, match="in use by process"):
        Writer(path)

    writer.close()
    Writer(path).close()


def test_marks_survive_a_restart(path: Path) -> None:
    """The ledger of a producer is read back as it was."""
    stream = Stream(PRODUCER, 9, 9, 7, 1, 2, 1, 3, 42, finished=True)
    stream.kind, stream.tail, stream.reasons = "file", 77, {"entry_level": 1}
    writer = Writer(path)
    writer.commit([], [stream], [], [], now=1)
    writer.close()

    assert [stream] == Writer(path).streams()


def test_dead_letters_are_capped_in_number_and_size(path: Path) -> None:
    """The newest are kept, with a bounded copy of each."""
    writer = Writer(path)
    letters = [DeadLetter(1, "r", "d", None, 9, b"x" * 9000)] * DEAD_LETTERS_MAX
    writer.commit([], [], letters, [], now=1)
    writer.commit([], [], letters[:5], [], now=1)
    writer.close()

    with sqlite3.connect(path) as connection:
        found = connection.execute(
            "SELECT count(*), max(length(body)), min(id) FROM dead_letters"
        ).fetchone()
    connection.close()

    assert found == (DEAD_LETTERS_MAX, 4096, 6)


def test_part_batches_of_one_block_keep_numpy_order_keys(path: Path) -> None:
    """Ranks follow the producers' bytes, numbers the runs."""
    batch = batch_of([entry(1), entry(2)]).batch
    assert batch is not None
    parts = [Part(batch, b"b" * 16, 5, None), Part(batch, b"a" * 16, 1, None)]
    writer = Writer(path)
    writer.commit([seal_block(parts)], [], [], [], now=1)
    writer.close()
    reader = Reader(path)
    reader.refresh()

    ranks, numbers = reader.load(reader.headers[0]).order_keys()

    assert ranks.tolist() == [1, 1, 0, 0]
    assert numbers.tolist() == [5, 6, 1, 2]


def test_a_producer_that_came_back_keeps_its_new_mark(path: Path) -> None:
    """Forgotten and marked in one commit: the mark is the newer of the two."""
    writer = Writer(path)
    writer.commit([], [Stream(PRODUCER, 9, 9)], [], [], now=1)
    writer.commit([], [Stream(PRODUCER, 12, 12)], [], [PRODUCER], now=2)

    assert [stream.accepted for stream in writer.streams()] == [12]
    writer.close()


def test_counts_of_a_damaged_header_are_not_believed(path: Path) -> None:
    """One flipped bit in any column of the header."""
    build_store(path, [[entry(1)]])
    for column in ("rows", "minimum", "maximum", "data_crc", "header_crc"):
        with sqlite3.connect(path) as connection:
            connection.execute(f"UPDATE blocks SET {column} = {column} + 1")
        connection.close()
        reader = Reader(path)
        reader.refresh()

        with pytest.raises(StoreError, match="block 1 is damaged"):
            reader.counts([1])

        reader.close()
        with sqlite3.connect(path) as connection:
            connection.execute(f"UPDATE blocks SET {column} = {column} - 1")
        connection.close()
    with pytest.raises(StoreError, match="block 7 is not there any more"):
        Reader(path).counts([7])


def test_sources_keep_their_backslashes_in_the_counts(path: Path) -> None:
    """Names are joined by newlines, and what looks like an escape is none."""
    names = ["C:\\new", "a\\\\n", "x\ny", "\\", "é\\"]
    build_store(path, [[entry(1, source=name) for name in names]])
    reader = Reader(path)
    reader.refresh()

    assert reader.counts([1])[0].sources == names


def test_what_can_not_be_opened_names_the_file(tmp_path: Path) -> None:
    """A directory in the way, of the database or of its lock."""
    (tmp_path / "a.db").mkdir()
    (tmp_path / "b.db.lock").mkdir()
    (tmp_path / "file").touch()
    for name in ("a.db", "b.db", "file/c.db"):
        with pytest.raises(StoreError, match=str(tmp_path / name.split("/")[0])):
            Writer(tmp_path / name)
    # the lock of one that failed is free again
    (tmp_path / "a.db").rmdir()
    Writer(tmp_path / "a.db").close()


def test_a_database_of_a_newer_program_is_left_alone(path: Path) -> None:
    """Its tables may mean something else."""
    Writer(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
        connection.execute(f"PRAGMA application_id = {APPLICATION + 99}")
    connection.close()

    with pytest.raises(StoreError, match="written by a newer program"):
        Writer(path)
