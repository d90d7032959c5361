"""A damaged database becomes a whole one: what can be read, and a ledger of it all."""

import random
import sqlite3
import struct
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.delivery.stream import Stream
from pipeline.errors import DamageError, StoreError
from pipeline.store.block import Part, seal_block
from pipeline.store.images import Images
from pipeline.store.pages import Kind, PageError, parse_page
from pipeline.store.reader import Reader
from pipeline.store.schema import PAGE_BYTES
from pipeline.store.writer import DeadLetter, Writer
from pipeline.wire.codec import batch_of
from tests.store.build import PRODUCER
from tests.wire.messages import NOW, entry

BLOCKS = 20
ROWS = 100
LETTER = DeadLetter(NOW, "reason", "detail", PRODUCER, 1, b"x")


def commit(
    writer: Writer,
    stream: Stream,
    letters: tuple[DeadLetter, ...] = (),
    size: int = 150,
) -> None:
    """One more block of the stream's entries."""
    rng = random.Random(writer.last_block)
    rows = [entry(message=rng.randbytes(size).hex()) for _ in range(ROWS)]
    batch = batch_of(rows).batch
    assert batch is not None
    part = Part(batch, PRODUCER, stream.accepted + 1, None)
    stream.accepted += ROWS
    stream.stored += ROWS
    writer.commit([seal_block([part])], [stream], letters, [], NOW)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database of several leaves, closed."""
    path = tmp_path / "logs.db"
    stream = Stream(PRODUCER)
    with closing(Writer(path)) as writer:
        for _ in range(BLOCKS):
            commit(writer, stream, (LETTER,))
    return path


def opened(path: Path) -> tuple[list[str], Stream, set[int]]:
    """What an opening says, the producer's marks, the blocks that can be read."""
    said: list[str] = []
    with closing(Writer(path, "disk", said.append)) as writer:
        (stream,) = writer.streams()
    with closing(Reader(path)) as reader:
        reader.refresh()
        readable = {reader.load(header).id for header in reader.headers}
    return said, stream, readable


def overwrite(path: Path, at: int, data: bytes) -> None:
    """What a disk may do."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def open_under_strace(path: Path, *options: str) -> str:
    """What a process of its own says that opens it, some of whose calls fail."""
    program = (
        "import sys, pathlib, pipeline.store.writer as store;"
        " store.Writer(pathlib.Path(sys.argv[1]), 'disk', print)"
    )
    words = [sys.executable, "-uc", program, str(path)]
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", *options]
    return subprocess.run(
        [*strace, *words], stdout=subprocess.PIPE, text=True, check=False, timeout=60
    ).stdout


def leaf(path: Path, kind: Kind, place: int = -1) -> int:
    """The number of one of the leaves, not page 1."""
    images = Images(path)
    found = []
    for number in range(2, images.count + 1):
        try:
            page = parse_page(images.read(number), number)
        except PageError:
            continue
        if page.kind is kind and page.cells and page.cells[0].size > 30:
            found.append(number)
    images.close()
    return found[place]


def test_a_whole_database_is_opened_without_a_word(path: Path) -> None:
    """And nothing appears beside it."""
    said, stream, readable = opened(path)

    assert said == []
    assert stream.lost == 0
    assert readable == set(range(1, BLOCKS + 1))
    assert not list(path.parent.glob("logs.db.*d-*"))


def test_without_page_1_every_block_is_kept(path: Path) -> None:
    """With its id, time and checksums; the ledger has nothing to say."""
    columns = "SELECT * FROM blocks ORDER BY id"
    with closing(sqlite3.connect(path)) as connection:
        before = connection.execute(columns).fetchall()
    overwrite(path, 0, bytes(PAGE_BYTES))

    said, stream, _ = opened(path)

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(columns).fetchall() == before
        letters = connection.execute("SELECT count(*) FROM dead_letters").fetchone()
        assert letters == (BLOCKS,)
    assert "does not begin as a database does" in said[0]
    assert "nothing is lost" in said[-1]
    assert (stream.accepted, stream.stored, stream.lost) == (2000, 2000, 0)
    (kept,) = path.parent.glob("logs.db.damaged-*")
    assert kept.stat().st_size > 0
    assert opened(path)[0] == []


def test_a_lost_leaf_costs_its_blocks_and_is_counted(path: Path) -> None:
    """The other leaves are found without their tree."""
    overwrite(
        path, (leaf(path, Kind.TABLE_LEAF, 2) - 1) * PAGE_BYTES, bytes(PAGE_BYTES)
    )

    said, stream, readable = opened(path)

    lost = BLOCKS - len(readable)
    assert 0 < lost < BLOCKS / 2
    assert f"{lost} blocks can't be read, {lost * ROWS:,} entries" in said[-1]
    assert stream.lost == lost * ROWS
    assert stream.accepted == stream.stored + stream.lost
    with closing(Writer(path)) as writer:  # a number is never given twice
        assert writer.last_block == BLOCKS


def test_a_lost_mark_is_made_of_the_blocks(path: Path) -> None:
    """What is stored must not be taken in a second time."""
    overwrite(path, (leaf(path, Kind.INDEX_LEAF) - 1) * PAGE_BYTES, bytes(PAGE_BYTES))

    said, stream, readable = opened(path)

    assert said
    assert len(readable) == BLOCKS
    assert (stream.accepted, stream.stored, stream.lost) == (2000, 2000, 0)


def test_what_is_no_database_is_put_aside(path: Path) -> None:
    """The ingester starts with an empty one."""
    path.write_bytes(random.Random(1).randbytes(100_000))

    said: list[str] = []
    Writer(path, "disk", said.append).close()

    assert "0 blocks" in said[-1]
    (kept,) = path.parent.glob("logs.db.damaged-*")
    assert kept.stat().st_size == 100_000


def test_a_stale_page_is_noticed(path: Path) -> None:
    """One whose last write never reached the disk, though all its bytes are right."""
    before = path.read_bytes()
    with closing(Writer(path)) as writer:
        (stream,) = writer.streams()
        commit(writer, stream)
    place = (leaf(path, Kind.INDEX_LEAF) - 1) * PAGE_BYTES
    overwrite(path, place, before[place : place + PAGE_BYTES])

    said, stream, _ = opened(path)

    assert "mark is older" in said[0]
    assert stream.accepted == stream.stored == (BLOCKS + 1) * ROWS


def test_tables_of_another_program_are_left_alone(tmp_path: Path) -> None:
    """Somebody has pointed storage.db_path at them."""
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("CREATE TABLE precious (x)")
    before = path.read_bytes()

    with pytest.raises(StoreError, match="another program"):
        Writer(path)

    assert path.read_bytes() == before


def test_damage_found_by_a_commit_is_salvaged_by_the_next_start(path: Path) -> None:
    """To try again would be of no use."""
    with closing(Writer(path)) as writer:
        (stream,) = writer.streams()
        with closing(sqlite3.connect(path)) as connection:
            (root,) = connection.execute(
                "SELECT rootpage FROM sqlite_master WHERE name = 'dead_letters'"
            ).fetchone()
        overwrite(path, (root - 1) * PAGE_BYTES, b"\xff" * PAGE_BYTES)
        with pytest.raises(DamageError, match="the next start salvages it"):
            writer.commit([], [stream], [LETTER], [], NOW)

    said, stream, readable = opened(path)

    assert "malformed" in said[0]
    assert len(readable) == BLOCKS
    assert opened(path)[0] == []


def test_damage_found_while_it_is_opened_is_salvaged_at_once(
    path: Path, tmp_path: Path
) -> None:
    """In a block's data, which only its place in the chain has to be read for."""
    killed = tmp_path / "killed.db"
    with closing(Writer(path)) as writer:
        (stream,) = writer.streams()
        commit(writer, stream, size=1500)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint")
            ((data,),) = connection.execute(
                "SELECT data FROM blocks ORDER BY id DESC LIMIT 1"
            )
        # before it is closed, when no block waits for its place any more
        killed.write_bytes(path.read_bytes())
    place = killed.read_bytes().index(data[70_000:70_100])
    overwrite(killed, place - place % PAGE_BYTES, bytes(PAGE_BYTES))

    said, stream, readable = opened(killed)

    assert "malformed" in said[0]
    assert (len(readable), stream.lost) == (BLOCKS, ROWS)
    assert opened(killed)[0] == []


def test_a_reader_follows_the_fresh_file(path: Path) -> None:
    """Its old file is put aside under it."""
    with closing(Reader(path)) as reader:
        reader.refresh()
        before = [header.id for header in reader.headers]
        overwrite(path, 16, b"\0\0")
        opened(path)
        with closing(Writer(path)) as writer:
            (stream,) = writer.streams()
            commit(writer, stream)
        reader.refresh()

        assert [header.id for header in reader.headers] == [*before, BLOCKS + 1]
        assert reader.load(reader.headers[-1]).rows == ROWS


@pytest.mark.requires_tool("strace")
@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_a_salvage_that_is_killed_is_finished_by_the_next_start(
    path: Path, step: int
) -> None:
    """At each of its renames."""
    overwrite(path, 16, b"\0\0")
    inject = f"inject=rename:signal=SIGKILL:error=EINTR:when={step}"
    open_under_strace(path, "-e", inject)
    assert list(path.parent.glob("logs.db.salvage*"))

    _, stream, readable = opened(path)

    assert len(readable) == BLOCKS
    assert stream.stored == BLOCKS * ROWS
    assert len(list(path.parent.glob("logs.db.damaged-*"))) == 1
    assert not list(path.parent.glob("logs.db.salvage*"))
    assert opened(path)[0] == []


@pytest.mark.requires_tool("strace")
def test_a_page_that_the_disk_refuses_is_one_page(path: Path) -> None:
    """An ingester that gave up on it would never start."""
    inject = "inject=pread64:error=EIO:when=4+20"
    said = open_under_strace(path, "-P", str(path), "-e", inject)

    assert "Input/output error" in said
    _, stream, readable = opened(path)
    assert stream.accepted == BLOCKS * ROWS == len(readable) * ROWS + stream.lost
    assert len(readable) > 0


def test_a_database_that_says_it_is_smaller_is_salvaged(path: Path) -> None:
    """Pages beyond would be given away, and what is in them written over."""
    (pages,) = struct.unpack(">I", path.read_bytes()[28:32])
    overwrite(path, 28, struct.pack(">I", pages - 1))

    said, stream, readable = opened(path)

    assert f"page 1 says {pages - 1} pages" in said[0]
    assert (len(readable), stream.lost) == (BLOCKS, 0)
