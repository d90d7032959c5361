"""The worker's view of the store: opens neighbours, and makes one block of them."""

from __future__ import annotations

import sys
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from pipeline.batch.layout import NUMBER, REQUIRED, SHAPE
from pipeline.errors import FrameError, StoreError
from pipeline.ingester.compaction.policy import choose
from pipeline.limits import BATCH_ROWS, BLOCK_COLUMNS, PAYLOAD_BYTES
from pipeline.store.block import Block
from pipeline.store.compacted import Compacted, compact
from pipeline.store.reader import Header, Reader
from pipeline.store.template_table import Allowed, Ids, room


class Merged(NamedTuple):
    """A new block, and what it takes the place of."""

    block: Compacted
    blocks: int
    bytes: int


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
        """A block that was swapped in: its templates are in the table now."""
        if self._known is not None:
            ids = np.array([each[0] for each in block.templates], np.uint64)
            self._known = np.union1d(self._known, ids)


@dataclass(slots=True)
class Merging:
    """Chooses, opens and merges; remembers what can't be."""

    reader: Reader
    templates: Templates
    damaged: set[int] = field(default_factory=set)
    """Blocks that can't be read: they stay as they are."""

    walls: set[int] = field(default_factory=set)
    """Blocks that are too large together with their right neighbour."""

    counters: Counter[str] = field(default_factory=Counter)

    def next(
        self, level: int, *, idle: bool = False, everything: bool = False
    ) -> Iterator[Merged]:
        """New blocks, each to be swapped in before the next is asked for."""
        while True:
            headers = self.reader.headers
            choice = choose(
                headers,
                idle=idle,
                everything=everything,
                alone=self.damaged,
                walls=self.walls,
            )
            if choice is None:
                return
            merged = self._merge(headers[choice.first : choice.end], level)
            if merged is not None:
                yield merged
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
        except (StoreError, FrameError):
            self._blame(blocks)
            return None
        except Exception:  # noqa: BLE001 - one block must not end all compaction
            traceback.print_exc(file=sys.stderr)
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

    def _blame(self, blocks: Sequence[Block]) -> None:
        """Find which of them can't be read: the others shall be merged."""
        bad = []
        for block in blocks:
            try:
                compact([block], 1)
            except (StoreError, FrameError):
                bad.append(block.id)
        self._lose(bad or [block.id for block in blocks])

    def _lose(self, ids: Sequence[int]) -> None:
        self.damaged.update(ids)
        self.counters["damaged_blocks"] += len(ids)
