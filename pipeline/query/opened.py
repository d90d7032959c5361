"""Blocks kept open from question to question, with the columns that they decoded.

People ask about the same hours again: the next page, one more word.  What is kept is
bounded by what it takes decoded; the block that was not asked for longest goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Set
from typing import Final

from pipeline.batch.layout import MESSAGE
from pipeline.store.block import Block
from pipeline.store.message_column import MessageColumn
from pipeline.store.reader import Header

_KEPT_BYTES: Final = 20 << 20
"""With 40 MiB a worker had up to 198 MiB resident after hostile questions over fresh
blocks, with 20 at most 149 (bench.limits)."""

_COLUMN_BYTES: Final = 600
"""Of a column's objects, decoded or not."""

_BLOCKS_MAX: Final = 256


class Opened:
    """The blocks used last."""

    def __init__(self, most_bytes: int = _KEPT_BYTES) -> None:
        self._most = most_bytes
        self._blocks: OrderedDict[Header, Block] = OrderedDict()
        self._weights: dict[Header, int] = {}
        self._total = 0
        self._current: Header | None = None

    def get(self, header: Header) -> Block | None:
        """The block, or None when it is not here.

        The whole header is the key: another file may have another block of this id.
        """
        block = self._blocks.get(header)
        if block is not None:
            self._blocks.move_to_end(header)
            self._turn(header)
        return block

    def __contains__(self, header: object) -> bool:
        return header in self._blocks

    def put(self, header: Header, block: Block) -> None:
        """Keep a block that was just opened."""
        self._blocks[header] = block
        self._weights[header] = 0
        self._turn(header)

    def keep(self, live: Set[Header]) -> None:
        """Let go of all other blocks: they are not asked for any more."""
        for header in self._blocks.keys() - live:
            del self._blocks[header]
            self._total -= self._weights.pop(header)
        if self._current not in self._blocks:
            self._current = None

    def clear(self) -> None:
        """Let go of all of them."""
        self._blocks.clear()
        self._weights.clear()
        self._total, self._current = 0, None

    def _turn(self, header: Header) -> None:
        """Weigh the block that was in use before, and let go of what is too much."""
        last = self._current
        if last == header:
            return
        self._current = header
        if last is not None and last in self._blocks:
            _drop_ahead(self._blocks[last])
            weight = _weigh(last, self._blocks[last])
            self._total += weight - self._weights[last]
            self._weights[last] = weight
        while len(self._blocks) > 1 and (
            self._total > self._most or len(self._blocks) > _BLOCKS_MAX
        ):
            oldest, _ = self._blocks.popitem(last=False)
            self._total -= self._weights.pop(oldest)


def _drop_ahead(block: Block) -> None:
    """A block that was read ahead need not have been searched to its messages."""
    column = block.batch.columns[MESSAGE]
    if isinstance(column, MessageColumn):
        column.drop_ahead()


def _weigh(header: Header, block: Block) -> int:
    """What it takes, about."""
    batch = block.batch
    stored = 0 if header.tier else header.size
    columns = sum(each.held_bytes + _COLUMN_BYTES for each in batch.columns.values())
    return stored + columns + batch.mask_bytes
