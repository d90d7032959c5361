"""How much is stored a second, and how much of it failed; time is an argument."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from pipeline.level import Level

WINDOW_SECONDS: Final = 60.0


class Rates:
    """Counts of the commits of the last minute, as summaries tell them."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._commits: deque[tuple[float, int, int]] = deque()
        self._rows = 0
        self._errors = 0

    def take(self, summary: Mapping[str, Any], now: float) -> None:
        """A commit."""
        rows = summary.get("rows", 0)
        counts = summary.get("counts", ())
        errors = sum(count for _, _, level, count in counts if level >= Level.ERROR)
        self._commits.append((now, rows, errors))
        self._rows += rows
        self._errors += errors
        self._forget(now)

    def told(self, now: float) -> dict[str, float]:
        """Entries a second, errors a second, and the share of errors among them."""
        self._forget(now)
        seconds = max(min(now - self._since, WINDOW_SECONDS), 1.0)
        return {
            "entries": self._rows / seconds,
            "errors": self._errors / seconds,
            "error_share": self._errors / self._rows if self._rows else 0.0,
        }

    def _forget(self, now: float) -> None:
        while self._commits and self._commits[0][0] < now - WINDOW_SECONDS:
            _, rows, errors = self._commits.popleft()
            self._rows -= rows
            self._errors -= errors
