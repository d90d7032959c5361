"""Bits that flip on the disk: in block data, headers, page 1, B-tree pages and the WAL.

The database is what a killed ingester leaves: half of its blocks in the file, half in
the WAL.  One bit of it is flipped, an ingester starts, and what is then there is
compared with what was written: all rows as they were but for one block at most, and
nothing missing unless it was said and is counted.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from pipeline.delivery.stream import Stream
from pipeline.entry import Entry
from pipeline.errors import FrameError, StoreError
from pipeline.store.block import Part, seal_block
from pipeline.store.check import is_map
from pipeline.store.compacted import compact
from pipeline.store.images import Images
from pipeline.store.pages import PageError, parse_page
from pipeline.store.reader import Header, Reader
from pipeline.store.schema import CLOCK, PAGE_BYTES
from pipeline.store.tokens import hash_token
from pipeline.store.writer import DeadLetter, Writer
from pipeline.wire.codec import batch_of
from tests.faults.processes import Ingester
from tests.faults.report import Figures

BLOCKS = 80
ROWS = 300
NOW = 1_700_000_000_000_000_000
REGIONS = ("data", "header", "page 1", "tree", "wal")
TABLES = ("producers", "dead_letters", "meta")
"""Of which each row is compared; of blocks, the entries of each commit are."""

Rows = dict[str, dict[Any, tuple[Any, ...]]]


class Spot(NamedTuple):
    """Bytes of a file that belong to a region."""

    file: str
    begin: int
    end: int


def build(path: Path) -> None:
    """Blocks of two producers, each of which has a rejected entry now and then."""
    streams = [Stream(bytes([number]) * 16) for number in (1, 2)]
    rng = random.Random(1)
    with closing(Writer(path)) as writer:
        _commit(writer, streams, rng, BLOCKS // 2)
    compact_some(path)
    writer = Writer(path)
    _commit(writer, streams, rng, BLOCKS // 2)
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{path}.killed{suffix}")
    writer.close()
    for suffix in ("", "-wal"):
        Path(f"{path}.killed{suffix}").rename(f"{path}{suffix}")


def compact_some(path: Path) -> None:
    """The first twenty blocks become four; of ten of them the rows are purged."""
    for place in range(4):
        with closing(Reader(path)) as reader:
            reader.refresh()
            blocks = list(map(reader.load, reader.headers[place : place + 5]))
            made = compact(blocks, 3)
        with closing(Writer(path)) as writer:
            number = writer.swap(made)
            if place < 2:
                writer.purge(number, 5)


def _commit(
    writer: Writer, streams: list[Stream], rng: random.Random, count: int
) -> None:
    for _ in range(count):
        now = NOW + writer.last_block
        stream = streams[writer.last_block % 3 // 2]
        rows = [
            Entry(
                now + place, "web", 9, rng.randbytes(60).hex(), {"n": place}, [], None
            )
            for place in range(ROWS)
        ]
        batch = batch_of(rows).batch
        assert batch is not None
        part = Part(batch, stream.producer, stream.accepted + 1, None)
        stream.accepted += ROWS + 1
        stream.stored += ROWS
        stream.reject({"entry_level": 1})
        letter = DeadLetter(now, "entry_level", "detail", stream.producer, 1, b"x")
        writer.commit([seal_block([part])], [stream], [letter], [], now)


def spots(path: Path) -> dict[str, list[Spot]]:
    """Where the regions are; only bytes that a start would read, or a query."""
    found: dict[str, list[Spot]] = {name: [] for name in REGIONS}
    images = Images(path)
    in_wal = {frame.page for frame in images.wal.frames}
    for frame in images.wal.frames:
        found["wal"].append(Spot("-wal", frame.offset - 24, frame.offset + PAGE_BYTES))
    found["wal"].append(Spot("-wal", 0, 32))
    for number in set(range(1, images.in_file + 1)) - in_wal:
        begin = (number - 1) * PAGE_BYTES
        found[_region(images, number)].append(Spot("", begin, begin + PAGE_BYTES))
        for first, last in _headers(images, number):
            found["header"].append(Spot("", begin + first, begin + last))
    images.close()
    # the newest image of page 1 is in the WAL
    first = [frame for frame in images.wal.frames if frame.page == 1]
    if first:
        found["page 1"].append(Spot("-wal", first[-1].offset, first[-1].offset + 800))
    else:
        found["page 1"] = [Spot("", 0, 100)]
    return found


def _region(images: Images, number: int) -> str:
    if number == 1:
        return "page 1"
    try:
        parse_page(images.read(number), number)
    except PageError:
        return "tree" if is_map(number) else "data"
    return "tree"


def _headers(images: Images, number: int) -> Iterator[tuple[int, int]]:
    """Of each block's row, what stands before its data."""
    if number == 1 or _region(images, number) != "tree":
        return
    if not is_map(number):
        for cell in parse_page(images.read(number), number).cells:
            if cell.overflow:
                yield cell.begin, cell.begin + 200


def rows_of(path: Path) -> Rows:
    """All rows by their keys; of blocks, the entries that can be read by commit."""
    found: Rows = {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        for table in TABLES:
            rows = connection.execute(f"SELECT * FROM {table}").fetchall()
            found[table] = {row[0]: row for row in rows}
    found["meta"].pop(CLOCK, None)  # a start looks at the clock and notes it
    found["blocks"] = {}
    with closing(Reader(path)) as reader:
        reader.refresh()
        for header in reader.headers:
            with suppress(StoreError, FrameError):
                found["blocks"].update(_commits(reader, header))
    return found


def _commits(reader: Reader, header: Header) -> dict[int, tuple[Any, ...]]:
    """(id of the block, rows, checksum of all that they are) by commit."""
    block = reader.load(header)
    every = np.arange(block.rows)
    entries = block.batch.entries(every)
    rows = list(zip(entries, block.identities(every), strict=True))
    (counts,), (patterns,) = (
        read([header.id]) for read in (reader.counts, reader.patterns)
    )
    told = int(counts.counts.sum()), int(patterns.counts.sum()) + patterns.rest
    word = entries[0].message.split()[0].encode()
    ruled_out = header.id in reader.blocks_without(hash_token(word))
    found = {}
    at = 0
    columns = (column.tolist() for column in block.commits)
    for number, count in zip(*columns, strict=True):
        content = repr((rows[at : at + count], told, ruled_out))
        found[number] = header.id, count, crc32(content.encode())
        at += count
    return found


def start(path: Path, *, process: bool) -> str:
    """An ingester's start and end over the database; what it says."""
    if process:
        ingester = Ingester(path.parent)
        try:
            ingester.start()
            assert ingester.stop() == 0, ingester.text
        finally:
            ingester.end()
        return "\n".join(
            line for line in ingester.text.splitlines() if "ready" not in line
        )
    said: list[str] = []
    Writer(path, "disk", said.append).close()
    return "\n".join(said)


class Tally:
    """What the flips have come to."""

    def __init__(self, before: Rows) -> None:
        self.before = before
        self.outcomes: Counter[str] = Counter()
        self.by_region: Counter[str] = Counter()
        self.lost = 0
        """Entries that are missing without a word, or beside the flipped block."""

        self.changed = 0
        self.wrong: list[str] = []

    def add(self, path: Path, region: str, spot: str, said: str) -> None:
        """One flip, and what is there after the start."""
        after = rows_of(path)
        missing = self.before["blocks"].keys() - after["blocks"].keys()
        kept = self.before["blocks"].keys() & after["blocks"].keys()
        self.changed += sum(
            self.before["blocks"][key][1:] != after["blocks"][key][1:]
            and self.before["blocks"][key][0] == after["blocks"][key][0]
            for key in kept
        )
        problems = list(self._problems(after, missing, said))
        if problems:
            self.lost += ROWS
            self.wrong.append(f"{region} {spot}: {', '.join(problems)}; {said}")
        if said:
            outcome = "salvaged"
            assert list(path.parent.glob(f"{path.name}.damaged-*"))
        else:
            outcome = "one block" if missing else "without effect"
        self.outcomes[outcome] += 1
        self.by_region[region] += outcome != "without effect"

    def _problems(self, after: Rows, missing: set[Any], said: str) -> Iterator[str]:
        if len({self.before["blocks"][key][0] for key in missing}) > 1:
            yield f"commits {missing} are lost"
        gone = sum(self.before["blocks"][key][1] for key in missing)
        counted = 0
        for key, row in after["producers"].items():
            durable, stored, lost, rejected = row[2], row[3], row[4], row[6]
            if durable != stored + lost + rejected:
                yield f"the ledger of {key[:1].hex()} does not add up"
            counted += lost
        if set(after["producers"]) != set(self.before["producers"]):
            yield "producers are missing"
        elif said and counted < gone:
            yield f"{gone} entries are gone, {counted} are counted"
        elif not said and {**after, "blocks": {}} != {**self.before, "blocks": {}}:
            yield "rows differ and nothing was said"


def flips(folder: Path, *, long: bool) -> Figures:
    """One bit each time, in turn in each of the regions."""
    count, processes = (300, 60) if long else (30, 2)
    original = folder / "original"
    original.mkdir()
    build(original / "logs.db")
    places = spots(original / "logs.db")
    work = folder / "work"
    path = _copy(original, work)
    assert start(path, process=False) == "", "a false alarm"
    tally = Tally(rows_of(path))
    for number in range(count):
        rng = random.Random(number)
        region = REGIONS[number % len(REGIONS)]
        spot = rng.choice(places[region])
        path = _copy(original, work)
        where = _flip(path, spot, rng)
        said = start(path, process=number % (count // processes) == 0)
        tally.add(path, region, where, said)
    outcomes = ", ".join(f"{n} {name}" for name, n in sorted(tally.outcomes.items()))
    return Figures(
        "bit flips in database and WAL",
        count,
        count * BLOCKS * ROWS,
        tally.lost,
        0,
        0,
        note="; ".join([outcomes, *tally.wrong]),
        unknown=tally.changed,
    )


def _copy(original: Path, work: Path) -> Path:
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(original, work)
    return work / "logs.db"


def _flip(path: Path, spot: Spot, rng: random.Random) -> str:
    at, bit = rng.randrange(spot.begin, spot.end), rng.randrange(8)
    with Path(f"{path}{spot.file}").open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))
    return f"{spot.file or 'file'} byte {at} bit {bit}"


FAULTS = {"flips": flips}
