"""The next block of a question, whose messages are decompressed while one is searched.

zstd works without the interpreter's lock, so a second core has them ready in time.  A
block is read ahead when the two before it were searched one after the other: then the
next one most likely is, and its messages need what those of the last one did.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from itertools import pairwise

from pipeline.batch.layout import MESSAGE
from pipeline.errors import FrameError, StoreError
from pipeline.store.block import Block
from pipeline.store.message_column import MessageColumn
from pipeline.store.reader import Header, Reader


class Ahead:
    """At most one block, of which parts of the messages are on their way."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._after: dict[Header, Header] = {}
        self._last: Header | None = None
        self._parts: Sequence[int] = ()
        self._next: tuple[Header, Block] | None = None

    def plan(self, headers: Sequence[Header]) -> None:
        """The order in which blocks will be asked for."""
        self._after = dict(pairwise(headers))
        self._last = self._next = None

    def take(self, header: Header) -> Block | None:
        """The block, if it was read ahead."""
        if self._next is None or self._next[0] != header:
            return None
        block, self._next = self._next[1], None
        return block

    def begin(self, header: Header, kept: Container[Header]) -> None:
        """A block is about to be searched: read the next one, unless it is kept."""
        following = self._after.get(header)
        if self._last is None or self._after.get(self._last) != header:
            return
        if following is None or not following.tier or following in kept:
            return
        try:
            block = self._reader.load(following)
            column = block.batch.columns[MESSAGE]
            if isinstance(column, MessageColumn):
                column.read_ahead(self._parts)
        except (StoreError, FrameError):
            return  # who asks for it is told
        self._next = following, block

    def end(self, header: Header, block: Block) -> None:
        """A block was searched: what of its messages was read for it."""
        column = block.batch.columns[MESSAGE]
        self._last = header
        self._parts = column.parts_read if isinstance(column, MessageColumn) else ()
