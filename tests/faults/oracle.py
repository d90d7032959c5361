"""Who decides what is lost: counters beside the system, compared with the store.

Each producing process numbers its entries 1, 2, 3 ... over all its lives, and keeps in
a file that it maps what it has tried and what was accepted.  A killed process leaves
its mapped pages to the kernel, so the counters are as of its last instruction.
"""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.batch.layout import LEVEL, SOURCE, Kind
from pipeline.entry import LEVEL_NAMES
from pipeline.errors import StoreError
from pipeline.store.block import Block
from pipeline.store.reader import Header, Reader
from tests.faults.report import Figures

Ints = npt.NDArray[Any]

NUMBER = "metadata.n"
"""The column that holds the number."""

OWN = "pipeline"
"""Source of what the ingester says of itself."""

_COUNT = 3
_STRETCHES = 4
_EXAMPLES = 5


class Claim(NamedTuple):
    """What the entries of one source must be: 1 to `accepted`, perhaps to `tried`."""

    source: str
    tried: int
    accepted: int
    uncertain: Sequence[tuple[int, int]] = ()
    """First and last of what was tried but not accepted when a life ended."""


class Oracle:
    """Counters of the producing process whose entries have the file's name as source.

    `tried` is written before a call and `accepted` after it has returned; `settled` is
    how far the process has come: what earlier lives have tried, and of this life what
    was acknowledged, refused or given up.  In a first life that gives up nothing it is
    the last number that was acknowledged, as far as the process knew.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.source = path.name
        with path.open("a+b") as file:
            file.truncate(mmap.PAGESIZE)
            self._map = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self.cells = memoryview(self._map).cast("q")
        """tried, accepted, settled: for the loop that has no time for a property; then
        the count of uncertain stretches, and these."""

    @property
    def tried(self) -> int:
        """The last number that was given to a call."""
        return self.cells[0]

    @property
    def accepted(self) -> int:
        """The last number whose call has returned."""
        return self.cells[1]

    @property
    def settled(self) -> int:
        """Entries that nobody waits for any more."""
        return self.cells[2]

    @property
    def uncertain(self) -> list[tuple[int, int]]:
        """First and last of each stretch that was tried when the process was killed."""
        ends = self.cells[_STRETCHES : _STRETCHES + 2 * self.cells[_COUNT]].tolist()
        return list(zip(ends[::2], ends[1::2], strict=True))

    def resume(self) -> None:
        """Begin another life: a call that never returned promised nothing."""
        tried, accepted, _, count = self.cells[:_STRETCHES].tolist()
        if tried > accepted:
            place = _STRETCHES + 2 * count
            self.cells[place], self.cells[place + 1] = accepted + 1, tried
            self.cells[_COUNT] = count + 1
            self.cells[1] = tried

    def close(self) -> None:
        """Unmap the file."""
        self.cells.release()
        self._map.close()


def oracles_of(path: Path, threads: int, children: int = 0) -> list[Oracle]:
    """An oracle for each thread of a process, and of its children."""
    paths = [path, *(child_of(path, number + 1) for number in range(children))]
    names = ["", *(f".{number}" for number in range(1, threads))]
    return [Oracle(Path(f"{each}{name}")) for each in paths for name in names]


def child_of(path: Path, number: int) -> Path:
    """Where the child of a process has its oracle."""
    return Path(f"{path}c{number}")


class Verdict(NamedTuple):
    """The store against the claims."""

    entries: int
    lost: int
    doubled: int
    disordered: int
    unknown: int
    examples: str = ""
    """The first numbers that are wrong, for whoever has to find out why."""
    strangers: int = 0
    """Of the unknown, rows of producers that have sent nothing of a claimed source."""
    damaged: int = 0
    """Rows of blocks that can't be read, where those are skipped."""

    def figures(self, fault: str, runs: int, **others: Any) -> Figures:
        """The same as a row of the report."""
        found = Figures(
            fault, runs, self.entries, self.lost, self.doubled, self.disordered
        )
        return found._replace(unknown=self.unknown, **{"note": self.examples, **others})


class _Tally:
    """Of one source: which numbers were found, and which need not be."""

    def __init__(self, claim: Claim | Oracle) -> None:
        self.source = claim.source
        self.tried = claim.tried
        self.found = np.zeros(claim.tried + 1, np.bool_)
        self.excused = np.zeros(claim.tried + 1, np.bool_)
        self.excused[claim.accepted + 1 :] = True
        for first, last in claim.uncertain:
            self.excused[first : last + 1] = True
        self.unknown = 0
        self.doubled = 0

    def add(self, numbers: Ints) -> None:
        """Numbers of rows of this source, any of them."""
        known = numbers[(numbers >= 1) & (numbers <= self.tried)]
        self.unknown += len(numbers) - len(known)
        # in order and none twice, as they mostly are: one step instead of sorting
        if not np.all(known[1:] > known[:-1]):
            distinct = np.unique(known)
            self.doubled += len(known) - len(distinct)
            known = distinct
        self.doubled += int(np.count_nonzero(self.found[known]))
        self.found[known] = True

    @property
    def lost(self) -> Ints:
        """Accepted numbers that were not found."""
        return np.flatnonzero(~(self.found | self.excused)[1:]) + 1


class _Order:
    """Whether each producer's rows stand in the order in which they were logged."""

    def __init__(self) -> None:
        self.wrong = 0
        self.first = ""
        self._last: dict[tuple[bytes, str], tuple[int, int]] = {}

    def add(self, key: tuple[bytes, str], numbers: Ints, ids: Ints) -> None:
        """The next rows of a producer and source: the protocol's numbers, and ours."""
        before = self._last.get(key, (0, 0))
        for name, found, last in zip(
            ("number", "n"), (numbers, ids), before, strict=True
        ):
            steps = np.diff(found, prepend=last)
            wrong = np.flatnonzero(steps <= 0)
            self.wrong += len(wrong)
            if len(wrong) and not self.first:
                value = found[wrong[0]]
                self.first = f"{key[1]}: {name} {value} after {value - steps[wrong[0]]}"
        self._last[key] = int(numbers[-1]), int(ids[-1])


def check(
    database: Path, claims: Sequence[Claim | Oracle], *, skip_damaged: bool = False
) -> Verdict:
    """Compare all that is stored with what was logged.

    Holds one block and two bytes a claimed number.  Raises StoreError for a block that
    can't be read, unless those are skipped.
    """
    tallies = {claim.source: _Tally(claim) for claim in claims}
    order = _Order()
    entries = damaged = 0
    unclaimed: Counter[bytes] = Counter()
    honest = set()
    for header, block in _blocks(database, skip_damaged=skip_damaged):
        if block is None:
            damaged += header.rows
            continue
        entries += block.rows
        for producer, source, numbers, ids in _groups(block):
            tally = tallies.get(source)
            if tally is None and source == OWN:
                continue
            if tally is None:
                unclaimed[producer] += len(ids)
                continue
            honest.add(producer)
            tally.add(ids)
            order.add((producer, source), numbers, ids)
    missing = {tally.source: tally.lost for tally in tallies.values()}
    return Verdict(
        entries,
        sum(map(len, missing.values())),
        sum(tally.doubled for tally in tallies.values()),
        order.wrong,
        unclaimed.total() + sum(tally.unknown for tally in tallies.values()),
        "; ".join([*_named(missing), *filter(None, [order.first])]),
        sum(rows for who, rows in unclaimed.items() if who not in honest),
        damaged,
    )


def _named(missing: dict[str, Ints]) -> Iterator[str]:
    """The first numbers that each source misses, neighbours as one."""
    for source, lost in missing.items():
        if len(lost):
            stretches = np.split(lost, np.flatnonzero(np.diff(lost) > 1) + 1)
            texts = [f"{part[0]}-{part[-1]}" for part in stretches[:_EXAMPLES]]
            yield f"{source} misses {', '.join(texts)}"


def stored_levels(database: Path, sources: Iterable[str]) -> Counter[str]:
    """Rows of these sources by the name of their level; raises StoreError."""
    wanted = set(sources)
    found: Counter[int] = Counter()
    for _, block in _blocks(database):
        assert block is not None
        columns = (block.batch.columns[name].values() for name in (SOURCE, LEVEL))
        pairs = zip(*columns, strict=True)
        found.update(level for source, level in pairs if source in wanted)
    return Counter({LEVEL_NAMES[level]: count for level, count in found.items()})


def _blocks(
    database: Path, *, skip_damaged: bool = False
) -> Iterator[tuple[Header, Block | None]]:
    """Each with its header; None is one that can't be read."""
    with closing(Reader(database)) as reader:
        reader.refresh()
        for header in reader.headers:
            try:
                block = reader.load(header)
            except StoreError:
                if not skip_damaged:
                    raise
                block = None
            yield header, block


def _groups(block: Block) -> Iterator[tuple[bytes, str, Ints, Ints]]:
    """Producer, source, numbers and ids of the rows that have both in common."""
    names = block.batch.columns[SOURCE].dictionary
    sources = block.batch.columns[SOURCE].codes.astype(np.int64)
    runs = block.runs
    producers = np.repeat(runs.codes, runs.rows)
    starts = np.cumsum(runs.rows) - runs.rows
    numbers = np.arange(block.rows) + np.repeat(runs.firsts - starts, runs.rows)
    ids = _ids(block)
    keys = producers * len(names) + sources
    for key in np.unique(keys).tolist():
        rows = np.flatnonzero(keys == key)
        producer, source = divmod(key, len(names))
        yield runs.producers[producer], names[source], numbers[rows], ids[rows]


def _ids(block: Block) -> Ints:
    """The number of each row; 0, which nobody has, where there is none."""
    column = block.batch.column(NUMBER)
    if column is None:
        return np.zeros(block.rows, np.int64)
    if column.kind is Kind.INT64:
        values = column.numbers
    else:  # somebody else's entries have an `n` of their own beside ours
        found = column.values(np.arange(column.count))
        values = np.array([n if type(n) is int else 0 for n in found], np.int64)
    mask = block.batch.present(NUMBER)
    if mask is None:
        return values
    ids = np.zeros(block.rows, np.int64)
    ids[mask] = values
    return ids
