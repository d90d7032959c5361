"""The stream of summaries: reads each one, and notices those that did not come; pure.

PUB/SUB drops silently, so every summary carries its block's number and the ingester's
boot id: block numbers grow by one, across restarts too.
"""

from __future__ import annotations

from collections.abc import Sequence
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


def read_summary(body: bytes) -> Summary:
    """Decode and check one summary; raises FrameError."""
    try:
        fields = msgpack.unpackb(body, raw=False, strict_map_key=True)
        boot, block, counts = fields["boot"], fields["block"], fields["counts"]
    except (ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
        raise FrameError("summary", f"not readable: {error!r}") from None
    if not isinstance(boot, bytes) or len(boot) != _BOOT_BYTES:
        raise FrameError("summary", "boot is not 16 bytes")
    if type(block) is not int:
        raise FrameError("summary", "block is no number")
    if not isinstance(counts, list) or not all(map(_is_row, counts)):
        raise FrameError("summary", "counts has other rows than four fields")
    return Summary(boot, block, counts)


def _is_row(row: Any) -> bool:
    if not isinstance(row, list | tuple) or len(row) != _ROW:
        return False
    second, source, level, count = row
    numbers: Sequence[object] = (second, level, count)
    whole = all(type(number) is int for number in numbers)
    return isinstance(source, str) and whole and 0 < count < _COUNT_MAX


class Follower:
    """Where in the stream the analyzer is.

    `missed` counts summaries that were published and did not come, `restarts` how often
    another ingester took over.
    """

    def __init__(self) -> None:
        self.missed = 0
        self.restarts = 0
        self._boot: bytes | None = None
        self._block = 0

    def follow(self, summary: Summary) -> str | None:
        """Go on to this summary; a line for the operator if something is not there."""
        boot, block = self._boot, self._block
        self._boot, self._block = summary.boot, summary.block
        if boot is None:
            return None
        # a smaller number is another database: nothing can be said of what it holds
        hole = max(0, summary.block - block - 1)
        self.missed += hole
        gap = f"{hole} summaries missed before block {summary.block}" if hole else ""
        if boot == summary.boot:
            return gap or None
        self.restarts += 1
        again = f"the ingester was restarted, going on at block {summary.block}"
        return f"{again}; {gap}" if gap else again
