"""What callers and the sender's thread share: rows on their way, and the counters.

All of it is under the accumulator's lock.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from pipeline.batch.encode import Compress
from pipeline.collectors.accumulator import Accumulator
from pipeline.delivery.spool import Fsync
from pipeline.entry import LEVEL_NAMES

Policy = Literal["drop_oldest", "drop_newest", "block"]
SpoolMode = Literal["overflow", "off", "always"]

FULL: Final = "full"
"""Reason: memory, and the spool if there is one, had no room."""

CLOSED: Final = "closed"
"""Reason: it came after `close`, or could not be sent before it."""

SPOOL: Final = "spool"
"""Reason: the spool could not be written, which `always` promises."""


class Limits(NamedTuple):
    """What a sender may hold, where, and how long it waits."""

    memory_bytes: int
    batch_rows: int
    batch_bytes: int
    linger: float
    compress: Compress | None
    policy: Policy
    mode: SpoolMode
    folder: Path | None
    """Of the spools; None: there is none."""
    spool_bytes: int
    fsync: Fsync

    @property
    def window_bytes(self) -> int:
        """The share of encoded batches in memory; the rest is for rows."""
        return self.memory_bytes // 2


@dataclass(slots=True)
class Outbox:
    """Rows in, and what became of them."""

    accumulator: Accumulator
    settled: int = 0
    """Rows that are durable, refused or lost."""
    flush_to: int = 0
    """Of the rows that were accepted, how many somebody waits for."""
    closing: bool = False
    deadline: float = 0.0
    stuck: bool = False
    """Whether nothing can be numbered: memory and spool are full."""
    pressed: bool = False
    """Whether a call waits for room: rows are not to wait for their batch to fill."""
    give_up: bool = False
    """Whether somebody asks for the oldest to be given up."""
    dropped: dict[str, Counter[int]] = field(default_factory=dict)
    lost: dict[str, Counter[int]] = field(default_factory=dict)
    reports: list[str] = field(default_factory=list)
    """Of callers' threads, for the sender's to tell."""
    rejected: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    """Rows rejected here; the ingester counts those of its own."""
    spooled: int = 0
    """Rows that were left to the next session."""
    spool_bytes: int = 0
    spool_errors: int = 0
    sender_errors: int = 0
    """Turns of the sender's thread, or starts of it, that have failed."""
    adopted_spools: int = 0
    adopted_rows: int = 0
    adopted_torn_bytes: int = 0
    forged: int = 0
    unknown_levels: int = 0
    redacted: Counter[str] = field(default_factory=Counter)
    """Secrets that were masked in rows that their callers have encoded, by rule."""
    resent: int = 0
    connected: bool = False
    last_error: str | None = None

    @property
    def evicted(self) -> int:
        """Rows that were accepted, and dropped before they had a number."""
        return self.accumulator.evicted

    def drop(self, reason: str, levels: Counter[int]) -> None:
        """Count rows that were given up before they had a number."""
        self.dropped.setdefault(reason, Counter()).update(levels)

    def abandon(self, levels: Counter[int]) -> None:
        """Count rows that were accepted, and are not sent before the end."""
        self.drop(CLOSED, levels)
        self.accumulator.passed -= levels.total()
        self.accumulator.evicted += levels.total()

    def lose(self, reason: str, levels: Counter[int]) -> None:
        """Count rows that had a number when they were given up."""
        if levels:
            self.lost.setdefault(reason, Counter()).update(levels)

    @property
    def dropped_total(self) -> int:
        """Rows that never had a number."""
        return sum(levels.total() for levels in self.dropped.values())

    @property
    def given_up(self) -> int:
        """Rows that will never be stored."""
        lost = sum(levels.total() for levels in self.lost.values())
        return self.dropped_total + lost + self.rejected.total()

    def stats(self, redacted: Counter[str]) -> dict[str, Any]:
        """The counters, as plain values; `redacted` are the sender's own."""
        logged = self.accumulator.accepted - self.evicted
        return {
            "logged": logged,
            "settled": self.settled,
            "waiting": logged - self.settled,
            "held_bytes": self.accumulator.cost,
            "spool_bytes": self.spool_bytes,
            "spooled": self.spooled,
            "spool_errors": self.spool_errors,
            "sender_errors": self.sender_errors,
            "dropped": _named(self.dropped),
            "lost": _named(self.lost),
            "rejected": dict(self.rejected),
            "unknown_levels": self.unknown_levels,
            "redacted": dict(self.redacted + redacted),
            "resent_batches": self.resent,
            "adopted_spools": self.adopted_spools,
            "adopted_rows": self.adopted_rows,
            "adopted_torn_bytes": self.adopted_torn_bytes,
            "forged": self.forged,
            "connected": self.connected,
            "last_error": self.last_error,
        }


def _named(reasons: dict[str, Counter[int]]) -> dict[str, dict[str, int]]:
    """By reason, then by the name of the level."""
    return {
        reason: {
            LEVEL_NAMES.get(level, "UNKNOWN"): count
            for level, count in sorted(levels.items())
        }
        for reason, levels in reasons.items()
    }
