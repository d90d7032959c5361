"""When blocks that were replaced may go: after everybody has stopped reading; pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from pipeline.settings import Settings

KEEP_SECONDS: Final = 60.0

STEP_BUSY: Final = 8
STEP: Final = 32
"""Rows of one step while commits come, and when none do: 8 fresh blocks of half a
megabyte are some milliseconds."""


def keep_of(settings: Settings) -> float:
    """How long: what is set, else longer than any query that began before."""
    setting = settings.compaction.keep_replaced_seconds
    return setting or max(KEEP_SECONDS, 2 * settings.query.timeout_seconds)


PIN_SECONDS_MAX: Final = 300.0
"""A pin lives so long without being renewed, at most: its holder may be dead."""

PINS_MAX: Final = 16


class PinError(ValueError):
    """A pin that can't be had: what it was to keep has gone, or there are too many."""


@dataclass(slots=True)
class Purging:
    """Ids up to which replaced rows may go, each with its moment in seconds."""

    keep: float
    _waiting: deque[tuple[float, int]] = field(default_factory=deque)
    _pins: dict[str, tuple[float, int]] = field(default_factory=dict)
    """By name: until when, and the newest block that replaced others before it."""

    _broken: int = 0
    """Pins that were ended because the room was needed."""

    _newest: int = 0
    _gone: int = 0
    """Rows that were replaced by blocks up to this id are gone."""

    def pin(self, name: str, newest: int | None, seconds: float, now: float) -> int:
        """Keep what blocks above `newest` replace, for so long; that id.

        None: above the newest there is. Who has the pin already renews it. Raises
        PinError.
        """
        self._forget_pins(now)
        held = self._pins.get(name)
        if held is not None:
            newest = held[1]
        elif newest is None:
            newest = self._newest
        if newest < self._gone:
            raise PinError("blocks that were to be kept are gone; begin anew")
        if held is None and len(self._pins) >= PINS_MAX:
            raise PinError(f"{PINS_MAX} pins are held already; ask again later")
        self._pins[name] = now + seconds, newest
        return newest

    def unpin(self, name: str) -> bool:
        """Give a pin back; whether it was held."""
        return self._pins.pop(name, None) is not None

    def break_pins(self) -> None:
        """The room is needed: who holds one is told when he renews it."""
        self._broken += len(self._pins)
        self._pins.clear()

    def status(self, now: float) -> dict[str, int]:
        """How many pins are held, and how many were ended."""
        self._forget_pins(now)
        return {"pins": len(self._pins), "pins_broken": self._broken}

    def _forget_pins(self, now: float) -> None:
        ended = [name for name, (until, _) in self._pins.items() if until <= now]
        for name in ended:
            del self._pins[name]

    def replaced(self, by: int, now: float) -> None:
        """A block took others' place."""
        self._newest = max(self._newest, by)
        self._waiting.append((now + self.keep, by))

    def due(self, now: float, keep: float | None = None) -> int | None:
        """What `Writer.purge` may go up to; None: nothing yet.

        `keep`: so long only, where room is short.
        """
        up_to = None
        self._forget_pins(now)
        most = min((newest for _, newest in self._pins.values()), default=None)
        sooner = 0.0 if keep is None else max(0.0, self.keep - keep)
        for moment, by in self._waiting:
            if moment - sooner > now:
                break
            if most is not None and by > most:
                continue
            up_to = max(by, up_to or 0)  # one that failed stands behind newer ones
        return up_to

    def purged(self, up_to: int) -> None:
        """All rows that were replaced by blocks up to this id are gone."""
        self._gone = max(self._gone, up_to)
        while self._waiting and self._waiting[0][1] <= up_to:
            self._waiting.popleft()
