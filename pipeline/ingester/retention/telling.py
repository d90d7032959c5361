"""What retention did, as entries of source `pipeline`; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pipeline.ingester.retention import policy
from pipeline.settings.storage import Storage

TELL_SECONDS: Final = 60.0
"""Between two entries for the same reason."""

SOURCE: Final = "pipeline"

_WHY: Final = {
    "age": "older than storage.max_days",
    "size": "the oldest, as the store has reached storage.max_size_mb",
    "rule": "past what storage.rules keep",
    "space": "the disk has less than storage.low_water_mb left",
}


class Dropped(NamedTuple):
    """Entries that went, or would."""

    reason: str
    """age, size, rule or space"""

    rows: int
    blocks: int
    bytes: int
    newest: int
    """When the newest of them was committed, in ns; 0: not known."""

    @classmethod
    def of_blocks(cls, reason: str, blocks: Sequence[Any]) -> Dropped:
        """All rows of some blocks."""
        rows = sum(block.rows for block in blocks)
        size = sum(block.size for block in blocks)
        newest = max((block.committed for block in blocks), default=0)
        return cls(reason, rows, len(blocks), size, newest)

    def with_more(self, other: Dropped) -> Dropped:
        """Both, for the same reason."""
        return Dropped(
            *(self.reason, self.rows + other.rows, self.blocks + other.blocks),
            *(self.bytes + other.bytes, max(self.newest, other.newest)),
        )


@dataclass(slots=True)
class Telling:
    """What was not told yet, by reason, and when that may be told."""

    _waiting: dict[str, Dropped] = field(default_factory=dict)
    _told_at: dict[str, float] = field(default_factory=dict)
    _is_held: bool = False

    def add(self, dropped: Dropped) -> None:
        """Something went."""
        known = self._waiting.get(dropped.reason)
        self._waiting[dropped.reason] = known.with_more(dropped) if known else dropped
        self._is_held = False

    def hold(self) -> bool:
        """Whether this is the first look at which something is held."""
        was, self._is_held = self._is_held, True
        return not was

    def entries(self, now: float, *, at_once: bool = False) -> list[dict[str, Any]]:
        """What is to be told now."""
        found = []
        for reason in list(self._waiting):
            told = self._told_at.get(reason)
            if at_once or told is None or now - told >= TELL_SECONDS:
                found.append(entry_of(self._waiting.pop(reason)))
                self._told_at[reason] = now
        return found

    def held_entry(self, held: Dropped, settings: Storage) -> dict[str, Any]:
        """What would go, and how to keep it."""
        seconds = policy.HOLD_AGE_SECONDS
        change = f"storage.max_days is {settings.max_days}"
        if held.reason == "size":
            seconds = policy.HOLD_SIZE_SECONDS
            change = f"storage.max_size_mb is {settings.max_size_mb}"
        text = (
            f"retention: {change}, so {held.rows:,} entries in {held.blocks:,} blocks"
            f" go in {seconds / 60:g} minutes; raise it to keep them"
        )
        return _entry("WARN", text, "retention_held", held)


def entry_of(dropped: Dropped) -> dict[str, Any]:
    """One line for people, and the numbers."""
    text = (
        f"retention dropped {dropped.rows:,} entries of {dropped.blocks:,} blocks,"
        f" {dropped.bytes / 1e6:,.1f} MB: {_WHY[dropped.reason]}"
    )
    return _entry("INFO", text, "retention", dropped)


def _entry(level: str, text: str, event: str, dropped: Dropped) -> dict[str, Any]:
    return {
        "source": SOURCE,
        "level": level,
        "message": text,
        "metadata": {
            "event": event,
            "reason": dropped.reason,
            "entries": dropped.rows,
            "blocks": dropped.blocks,
            "bytes": dropped.bytes,
        },
    }
