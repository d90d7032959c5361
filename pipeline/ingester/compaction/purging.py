"""When blocks that were replaced may go: after everybody has stopped reading; pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

KEEP_SECONDS: Final = 60.0

STEP_BUSY: Final = 8
STEP: Final = 32
"""Rows of one step while commits come, and when none do: 8 fresh blocks of half a
megabyte are some milliseconds."""


def keep_seconds(setting: float, timeout: float) -> float:
    """How long: what is set, else longer than any query that began before."""
    return setting or max(KEEP_SECONDS, 2 * timeout)


@dataclass(slots=True)
class Purging:
    """Ids up to which replaced rows may go, each with its moment in seconds."""

    keep: float
    _waiting: deque[tuple[float, int]] = field(default_factory=deque)

    def replaced(self, by: int, now: float) -> None:
        """A block took others' place."""
        self._waiting.append((now + self.keep, by))

    def due(self, now: float) -> int | None:
        """What `Writer.purge` may go up to; None: nothing yet."""
        up_to = None
        for moment, by in self._waiting:
            if moment > now:
                break
            up_to = max(by, up_to or 0)  # one that failed stands behind newer ones
        return up_to

    def purged(self, up_to: int) -> None:
        """All rows that were replaced by blocks up to this id are gone."""
        while self._waiting and self._waiting[0][1] <= up_to:
            self._waiting.popleft()
