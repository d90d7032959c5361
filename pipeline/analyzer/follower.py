"""The streams of summaries and batches: reads each, notices what did not come; pure.

PUB/SUB drops silently, so all that is published carries its commit's number and the
ingester's boot id: numbers grow by one, across restarts too. What did not come is
named, so that exactly these commits can be asked of the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgpack

from pipeline.errors import FrameError

Counts = list[list[Any]]
_ROW: Final = 4
_BOOT_BYTES: Final = 16
_COUNT_MAX: Final = 1 << 32


class Summary(NamedTuple):
    """What one commit held: rows of (second, source, level, count)."""

    boot: bytes
    block: int
    counts: Counts


class Published(NamedTuple):
    """The entries of one commit, as a block of the store has them."""

    boot: bytes
    block: int
    data: bytes


class Hole(NamedTuple):
    """Commits above `after` and up to `up_to` that did not come."""

    after: int
    up_to: int

    def __str__(self) -> str:
        return f"{self.up_to - self.after} before commit {self.up_to + 1}"


class Step(NamedTuple):
    """What following one commit came to: whether it is news, and what is missing."""

    is_news: bool
    hole: Hole | None = None
    is_restart: bool = False


def read_summary(body: bytes) -> Summary:
    """Decode and check one summary; raises FrameError."""
    fields, boot, block = _read(body, "summary")
    counts = fields.get("counts")
    if not isinstance(counts, list) or not all(map(_is_row, counts)):
        raise FrameError("summary", "counts has other rows than four fields")
    return Summary(boot, block, counts)


def read_batch(body: bytes) -> Published:
    """Decode and check a batch but for its entries; raises FrameError."""
    fields, boot, block = _read(body, "batch")
    data = fields.get("data")
    if not isinstance(data, bytes):
        raise FrameError("batch", "data is not bytes")
    return Published(boot, block, data)


def _read(body: bytes, kind: str) -> tuple[Mapping[str, Any], bytes, int]:
    try:
        fields = msgpack.unpackb(body, raw=False, strict_map_key=True)
        boot, block = fields["boot"], fields["block"]
    except (ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
        raise FrameError(kind, f"not readable: {error!r}") from None
    if not isinstance(boot, bytes) or len(boot) != _BOOT_BYTES:
        raise FrameError(kind, "boot is not 16 bytes")
    if type(block) is not int:
        raise FrameError(kind, "block is no number")
    return fields, boot, block


def _is_row(row: Any) -> bool:
    if not isinstance(row, list | tuple) or len(row) != _ROW:
        return False
    second, source, level, count = row
    numbers: Sequence[object] = (second, level, count)
    whole = all(type(number) is int for number in numbers)
    return isinstance(source, str) and whole and 0 < count < _COUNT_MAX


class Follower:
    """Where in a stream the analyzer is; nothing is news before `begin`.

    `missed` counts commits that were published and did not come, `restarts` how often
    another ingester took over.
    """

    def __init__(self) -> None:
        self.missed = 0
        self.restarts = 0
        self.block = 0
        """The newest that is known of."""
        self._boot: bytes | None = None
        self._is_begun = False

    @property
    def is_begun(self) -> bool:
        """Whether commits are news."""
        return self._is_begun

    def begin(self, commit: int) -> Hole | None:
        """The store told of all up to this commit; what came since is missing."""
        self._is_begun = True
        known, self.block = self.block, max(commit, self.block)
        return self._missed(commit, known) if known > commit else None

    def follow(self, boot: bytes, block: int) -> Step:
        """Go on to this commit."""
        last, before, self._boot = self._boot, self.block, boot
        is_restart = last is not None and boot != last
        self.restarts += is_restart
        if block <= before and not is_restart:
            return Step(is_news=False)
        self.block = block
        if not self._is_begun:
            return Step(is_news=False, is_restart=is_restart)
        # a smaller number is another database: nothing can be said of what it holds
        hole = self._missed(before, block - 1) if block > before + 1 else None
        return Step(is_news=True, hole=hole, is_restart=is_restart)

    def reach(self, block: int) -> Hole | None:
        """Give up waiting for what should have come by now."""
        if not self._is_begun or block <= self.block:
            return None
        before, self.block = self.block, block
        return self._missed(before, block)

    def _missed(self, after: int, up_to: int) -> Hole:
        self.missed += up_to - after
        return Hole(after, up_to)
