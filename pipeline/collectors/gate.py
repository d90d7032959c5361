"""The way into a collector when it is not simply open: spooled calls, and no room.

All of it runs in the caller's thread, under the accumulator's lock.  Who is given up
when memory and spool are full:

- drop_oldest: the oldest waiting of the lowest level, if the new one's is higher; else
  the oldest that have a number (`lost`);
- drop_newest: the newest waiting of the lowest level, if the new one's is higher; else
  the new one;
- block: nobody, the call waits.

Waiting are rows without a number yet; a call waits `block_ms` before one is dropped.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from pipeline import clock
from pipeline.batch.encode import Row
from pipeline.collectors.accumulator import Ready
from pipeline.collectors.numbering import is_disk_full
from pipeline.collectors.outbox import CLOSED, FULL, SPOOL, Limits, Outbox
from pipeline.collectors.session import Session
from pipeline.errors import DeliveryError, EntryError

Attempt = Callable[[Row], bool | None]
"""Takes a row: whether to wake the sender; None when there is no room."""


class Bell(Protocol):
    """The part of a sender that callers use."""

    def ring(self) -> None:
        """Wake its thread."""

    def is_current(self) -> bool:
        """Whether its thread is the one that asks."""


class Gate:
    """Takes rows into an outbox, or decides which one is given up."""

    def __init__(
        self, limits: Limits, wait: float | None, box: Outbox, session: Session
    ) -> None:
        """`wait` seconds is how long a call may wait; None: as long as it takes."""
        self._limits = limits
        self._wait = wait
        self._box = box
        self._session = session
        self._writing = False
        self._deferred: list[Row] = []
        self._reason = FULL

    def enter(self, row: Row, bell: Bell) -> bool:
        """Take a row or count it as dropped; whether to wake the sender."""
        if not self._session.always:
            return self._find_room(row, self._box.accumulator.append, bell)
        if self._writing:  # a signal's handler logs in the middle of a call
            self._deferred.append(row)
            return True
        self._writing = True
        try:
            wake = self._find_room(row, self._write, bell)
            while self._deferred:
                wake |= self._find_room(self._deferred.pop(0), self._write, bell)
        finally:
            self._writing = False
        return wake

    def submit(self, ready: Ready) -> bool:
        """Take an encoded batch; False when there is no room."""
        box = self._box
        if box.closing:
            return False
        if not self._session.always:
            return box.accumulator.append_ready(ready)
        if box.accumulator.cost + len(ready.payload) > self._limits.memory_bytes:
            return False
        if self._session.behind:  # its callback needs it here, in its turn
            return False
        try:
            self._session.write_batch(ready)
        except DeliveryError as error:
            self._note(error)
            return False
        box.accumulator.put(ready)
        return True

    def _find_room(self, row: Row, attempt: Attempt, bell: Bell) -> bool:
        box = self._box
        wake = None if box.closing else attempt(row)
        if wake is None and not box.closing:
            wake = self._wait_for_room(row, attempt, bell)
        if wake is None and not box.closing and self._limits.policy != "block":
            wake = self._evict(row, attempt)
        if wake is None:
            box.drop(CLOSED if box.closing else self._reason, Counter({row[2]: 1}))
            return False
        return wake

    def _wait_for_room(self, row: Row, attempt: Attempt, bell: Bell) -> bool | None:
        """None when there was no room in time.

        In an event loop nothing waits, unless the policy is to block: whoever shares
        the loop would wait, too, at each call again.
        """
        room = self._box.accumulator.room
        end = None if self._wait is None else clock.monotonic() + self._wait
        waits = self._wait is None or not _in_event_loop()
        # The sender logs when `str` of a value does: it must not wait for itself.
        while not (self._box.closing or bell.is_current()):
            if not self._box.pressed:
                self._box.pressed = True
                bell.ring()
            wake = self._give_up_oldest(row, attempt, bell)
            left = 0.1 if end is None else end - clock.monotonic()
            if wake is not None or not waits or left <= 0:
                return wake
            room.wait(min(left, 0.1))
            wake = attempt(row)
            if wake is not None:
                return wake
        return None

    def _give_up_oldest(self, row: Row, attempt: Attempt, bell: Bell) -> bool | None:
        """With drop_oldest: drop one of a lower level, else ask for the oldest."""
        if self._limits.policy != "drop_oldest":
            return None
        if self._session.always:
            if self._reason != FULL:
                return None
        elif not self._box.stuck:  # the sender is only slower than the callers
            return None
        wake = self._evict(row, attempt)
        if wake is None:
            self._box.give_up = True
            bell.ring()
        return wake

    def _evict(self, row: Row, attempt: Attempt) -> bool | None:
        """Drop waiting rows of lower levels for this one; None when it has no room."""
        if self._session.always:  # what waits there has its numbers
            return None
        newest = self._limits.policy == "drop_newest"
        while True:
            level = self._box.accumulator.evict(row[2], newest=newest)
            if level is None:
                return None
            self._box.evicted += 1
            self._box.drop(FULL, Counter({level: 1}))
            wake = attempt(row)
            if wake is not None:
                return wake

    def _write(self, row: Row) -> bool | None:
        """Number a row and spool it; memory has it as well if there is room."""
        session, accumulator = self._session, self._box.accumulator
        try:
            kept = session.write(row)
        except EntryError as error:
            self._refuse(error)
            if session.behind:
                accumulator.accepted += 1
            else:
                accumulator.put(Ready(b"", 0, 1))
            return True
        except DeliveryError as error:
            self._note(error)
            return None
        wake = None if session.behind else accumulator.append(kept)
        if wake is None:  # the sender reads it from the spool
            accumulator.accepted += 1
            wake, session.behind = not session.behind, True
        return wake

    def _refuse(self, error: EntryError) -> None:
        self._box.rejected[error.field.split(".")[0]] += 1
        self._box.refused += 1
        self._box.reports.append(str(error))

    def _note(self, error: DeliveryError) -> None:
        self._reason = FULL if is_disk_full(error) else SPOOL
        if self._reason == SPOOL:
            self._box.spool_errors += 1
            self._box.last_error = str(error)


def _in_event_loop() -> bool:
    asyncio = sys.modules.get("asyncio")  # whoever runs a loop has it
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
