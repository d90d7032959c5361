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
from collections import Counter, deque
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
        self,
        limits: Limits,
        wait: float | None,
        box: Outbox,
        session: Session,
        bell: Bell,
    ) -> None:
        """`wait` seconds is how long a call may wait; None: as long as it takes."""
        self._limits = limits
        self._wait = wait
        self._box = box
        self._session = session
        self._bell = bell
        self._writing = False
        """Whether a row is on its way to the spool; never while a call waits."""
        self._torn = False
        """Whether an exception has ended that before its end."""
        self._before = 0
        """The highest number before it."""
        self._deferred: deque[Row] = deque()
        """What a signal's handler has logged in the middle of it."""
        self._reason = FULL

    def enter(self, row: Row) -> bool:
        """Take a row or count it as dropped; whether to wake the sender."""
        if not self._session.always:
            return self._find_room(row, self._box.accumulator.append)
        if self._writing:  # on this very thread, which has the lock
            self._deferred.append(row)
            return False
        wake = self.catch_up()
        wake |= self._find_room(row, self._spool)
        return wake | self.catch_up()

    def submit(self, ready: Ready) -> bool:
        """Take an encoded batch; False when there is no room."""
        box = self._box
        if box.closing:
            return False
        if not self._session.always:
            return box.accumulator.append_ready(ready)
        if self._writing or self._mended().behind:
            return False  # its callback needs it in memory, in its turn
        if box.accumulator.cost + len(ready.payload) > self._limits.memory_bytes:
            return False
        taken = self._spool_batch(ready)
        self.catch_up()
        return taken

    def catch_up(self) -> bool:
        """Take what a handler has logged in the middle of a call; whether to wake.

        Behind a call that such a handler has ended with an exception, too.
        """
        wake = False
        while self._deferred and not self._writing:
            row = self._deferred.popleft()
            try:
                wake |= self._find_room(row, self._spool)
            except BaseException:
                if not (self._torn and self._session.reached > self._before):
                    self._deferred.appendleft(row)
                raise
        if self._torn and not self._writing:
            self._mended()
            wake = True
        return wake

    def _spool(self, row: Row) -> bool | None:
        """As `_write`, which a signal's handler may interrupt, or end."""
        self._before = self._mended().last
        self._torn = self._writing = True
        try:
            wake = self._write(row)
            self._torn = False
        finally:
            self._writing = False
        return wake

    def _spool_batch(self, ready: Ready) -> bool:
        self._torn = self._writing = True
        try:
            self._session.write_batch(ready)
            self._box.accumulator.put(ready)
            self._torn = False
        except DeliveryError as error:
            self._torn = False
            self._note(error)
            return False
        finally:
            self._writing = False
        return True

    def _mended(self) -> Session:
        if self._torn:
            self._session.mend()
            self._torn = False
        return self._session

    def _find_room(self, row: Row, attempt: Attempt) -> bool:
        box = self._box
        wake = None if box.closing else attempt(row)
        if wake is None and not box.closing:
            wake = self._wait_for_room(row, attempt)
        if wake is None and not box.closing and self._limits.policy != "block":
            wake = self._evict(row, attempt)
        if wake is None:
            box.drop(CLOSED if box.closing else self._reason, Counter({row[2]: 1}))
            return False
        return wake

    def _wait_for_room(self, row: Row, attempt: Attempt) -> bool | None:
        """None when there was no room in time.

        In an event loop nothing waits while the ingester is away, unless the policy is
        to block: whoever shares the loop would wait, too, at each call again.
        """
        room = self._box.accumulator.room
        end = None if self._wait is None else clock.monotonic() + self._wait
        waits = self._wait is None or not _in_event_loop()
        # The sender logs when `str` of a value does: it must not wait for itself.
        while not (self._box.closing or self._bell.is_current()):
            if not self._box.pressed:
                self._box.pressed = True
                self._bell.ring()
            wake = self._give_up_oldest(row, attempt)
            left = 0.1 if end is None else end - clock.monotonic()
            is_over = left <= 0 or not (waits or self._sender_goes_on())
            if wake is not None or is_over:
                return wake
            room.wait(min(left, 0.1))
            wake = attempt(row)
            if wake is not None:
                return wake
        return None

    def _sender_goes_on(self) -> bool:
        """Whether it makes room as fast as it can: it is only slower than the calls."""
        return not (self._box.stuck or self._session.always)

    def _give_up_oldest(self, row: Row, attempt: Attempt) -> bool | None:
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
            self._bell.ring()
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
                accumulator.passed += 1
            else:
                accumulator.put(Ready(b"", 0, 1))
            return True
        except DeliveryError as error:
            self._note(error)
            return None
        wake = None if session.behind else accumulator.append(kept)
        if wake is None:  # the sender reads it from the spool
            accumulator.passed += 1
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
