"""The worker's view of the store: opens neighbours, and makes one block of them."""

from __future__ import annotations

import sys
import traceback
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from pipeline import journal
from pipeline.batch.distinct import union
from pipeline.batch.layout import NUMBER, REQUIRED, SHAPE
from pipeline.batch.seal import join
from pipeline.errors import ColumnError, FrameError, StoreError
from pipeline.ingester.compaction.policy import choose
from pipeline.limits import BATCH_ROWS, BLOCK_COLUMNS, PAYLOAD_BYTES
from pipeline.store.block import Block
from pipeline.store.compacted import Compacted, compact
from pipeline.store.reader import Header, Reader
from pipeline.store.template_table import Allowed, Ids, room

NAME: Final = "compaction"


class Merged(NamedTuple):
    """A new block, and what it takes the place of."""

    block: Compacted
    blocks: int
    bytes: int

    @property
    def header(self) -> Header:
        """As it will stand in the store, still without a number."""
        made = self.block
        return Header(
            *(0, made.rows, made.size, made.minimum, made.maximum),
            *(made.first, made.last, made.tier),
        )


def _expected(
    headers: Sequence[Header], coming: Header | None, replaced: set[int]
) -> Sequence[Header]:
    """The blocks as they are once the one that is being swapped in stands there."""
    if coming is None or not replaced.issubset(header.id for header in headers):
        return headers
    kept = [header for header in headers if header.id not in replaced]
    place = bisect_left(kept, coming.first, key=lambda header: header.first)
    return [*kept[:place], coming, *kept[place:]]


class Templates:
    """Whether the store's table of templates has room, without reading it each time."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._known: Ids | None = None

    def allowed(self) -> Allowed:
        """What `compact` may use; the table is read once, as only swaps fill it."""
        if self._known is None:
            self._known = self._reader.template_ids()
        return room(self._known)

    def note(self, block: Compacted) -> None:
        """A block that is swapped in: its templates are in the table then."""
        if self._known is not None:
            ids = np.array([each[0] for each in block.templates], np.uint64)
            self._known = union(self._known, ids)

    def forget(self) -> None:
        """What was noted has not come to be."""
        self._known = None


@dataclass(slots=True)
class Merging:
    """Chooses, opens and merges; remembers what can't be."""

    reader: Reader
    templates: Templates
    settle: Callable[[], None]
    """Waits until the block that came last is swapped in."""

    damaged: set[int] = field(default_factory=set)
    """Blocks that can't be read: they stay as they are."""

    walls: set[int] = field(default_factory=set)
    """Blocks that are too large together with their right neighbour."""

    counters: Counter[str] = field(default_factory=Counter)

    def next(
        self, level: int, *, idle: bool = False, everything: bool = False
    ) -> Iterator[Merged]:
        """New blocks, each to be swapped in; the next is made meanwhile."""
        coming: Header | None = None
        replaced: set[int] = set()
        while True:
            headers = _expected(self.reader.headers, coming, replaced)
            choice = choose(
                headers,
                idle=idle,
                everything=everything,
                alone=self.damaged,
                walls=self.walls,
            )
            if choice is None:
                return
            chosen = headers[choice.first : choice.end]
            if coming in chosen:
                self.settle()
            elif (merged := self._merge(chosen, level)) is not None:
                yield merged
                coming, replaced = merged.header, set(merged.block.replaces)
            self.reader.refresh()

    def forget_gone(self) -> None:
        """Blocks that aren't live any more need not be remembered."""
        live = {header.id for header in self.reader.headers}
        self.damaged &= live
        self.walls &= live

    def _merge(self, headers: Sequence[Header], level: int) -> Merged | None:
        blocks = self._open(headers)
        if not blocks:
            return None
        if len(blocks) < len(headers):
            self.walls.add(blocks[-1].id)
            if len(blocks) == 1 and blocks[0].tier:
                return None
        try:
            made = compact(blocks, level, allowed=self.templates.allowed())
        except (StoreError, FrameError) as error:
            self._blame(blocks, error)
            return None
        except Exception as error:  # noqa: BLE001 - one block must not end all compaction
            traceback.print_exc(file=sys.stderr)
            stack = journal.stack_of(error)
            journal.error(NAME, f"merging failed: {error!r}", stack=stack)
            self._lose([block.id for block in blocks])
            return None
        sizes = [header.size for header in headers[: len(blocks)]]
        return Merged(made, len(blocks), sum(sizes))

    def _open(self, headers: Sequence[Header]) -> list[Block]:
        """The first of them that fit one block, up to one that can't be read."""
        blocks: list[Block] = []
        rows = size = 0
        names: set[str] = set()
        for header in headers:
            try:
                block = self.reader.load(header)
            except StoreError:
                self._refuse(header)
                break
            rows, size = rows + block.rows, size + block.batch.size
            names |= block.batch.columns.keys() - {*REQUIRED, SHAPE, NUMBER}
            is_more = rows > BATCH_ROWS or size > PAYLOAD_BYTES
            if blocks and (is_more or len(names) > BLOCK_COLUMNS):
                break
            blocks.append(block)
        return blocks

    def _refuse(self, header: Header) -> None:
        """It is damaged, unless it just is not there any more."""
        self.reader.refresh()
        if any(each.id == header.id for each in self.reader.headers):
            self._lose([header.id])

    def _blame(self, blocks: Sequence[Block], error: Exception) -> None:
        """Find which of them can't be read: the others shall be merged."""
        if isinstance(error, ColumnError):
            self._lose([error.block])
            return
        bad = [block.id for block in blocks if not _is_readable(block)]
        self._lose(bad or [block.id for block in blocks])

    def _lose(self, ids: Sequence[int]) -> None:
        self.damaged.update(ids)
        self.counters["damaged_blocks"] += len(ids)
        shown = ", ".join(map(str, ids))
        journal.error(NAME, f"can't be read, and are left as they are: blocks {shown}")


def _is_readable(block: Block) -> bool:
    """Whether its rows can be joined, which costs a quarter of making a block."""
    try:
        for _ in join([block.batch]):
            pass
        return len(block.runs.rows) > 0 and len(block.commits.rows) > 0
    except (StoreError, FrameError):
        return False
