"""The lane of one channel: its own queue and thread, so that it delays nobody else.

What can not be told is reported as an entry: when the queue is full (the oldest goes),
when it is refused for good, when it is too old, and when the lane closes before.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from pipeline import alerts, clock
from pipeline.alerts import Kind
from pipeline.analyzer.book import Notice
from pipeline.analyzer.channels.channel import Channel, Undelivered
from pipeline.analyzer.channels.retry import wait_seconds
from pipeline.entry import Entry
from pipeline.timestamp import SECOND

QUEUE: Final = 100
"""Notices that wait for a channel."""

OPEN_MOST: Final = 1_000
"""Open alerts that are repeated to a channel that wants it."""

_STOPPED: Final = "the analyzer stopped before"

Report = Callable[[Entry], None]
"""Takes the entry of what could not be delivered; called by any thread."""


@dataclass(slots=True)
class Counters:
    """What a lane did: notices, and repetitions of what is open."""

    sent: int = 0
    failed: int = 0
    retried: int = 0
    dropped: int = 0
    repeated: int = 0
    repeat_failed: int = 0


@dataclass(slots=True, eq=False)
class _Waiting:
    notice: Notice
    since: float
    """Monotonic."""
    attempts: int = 0


class Lane:
    """Delivers notices to one channel, in order, until it is closed."""

    def __init__(
        self, name: str, channel: Channel, give_up: float, report: Report
    ) -> None:
        self.name = name
        self.counters = Counters()
        self._channel = channel
        self._give_up = give_up
        self._report = report
        self._changed = threading.Condition()
        self._queue: deque[_Waiting] = deque()
        self._open: dict[str, Notice] = {}
        self._closing = False
        self._abandoned = False
        self._repeat_at = clock.monotonic()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def queued(self) -> int:
        """Notices that wait, the one that is being delivered among them."""
        return len(self._queue)

    def put(self, notice: Notice) -> None:
        """Deliver it in its turn; never waits."""
        waiting, lost = _Waiting(notice, clock.monotonic()), None
        problem = f"its queue of {QUEUE} is full"
        with self._changed:
            if self._abandoned:
                lost, problem = waiting, _STOPPED
            else:
                self._note(notice)
                if len(self._queue) >= QUEUE:
                    # the first may be on its way: the next has waited longest
                    lost = self._queue[1]
                    del self._queue[1]
                self._queue.append(waiting)
                self._changed.notify()
            self.counters.dropped += lost is not None
        if lost is not None:
            self._tell(lost, problem)

    def resume(self, notices: list[Notice]) -> None:
        """These were delivered before, and are open: repeat them where that is done."""
        with self._changed:
            for notice in notices:
                self._note(notice)
            self._repeat_at = clock.monotonic()
            self._changed.notify()

    def begin_close(self) -> None:
        """Try what waits once more, without a wait."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def close(self, end: float) -> None:
        """Wait for that until then (monotonic); what is left is reported."""
        self.begin_close()
        self._thread.join(max(0.0, end - clock.monotonic()))
        with self._changed:
            self._abandoned = True
            left = list(self._queue)
            self._queue.clear()
        for waiting in left:
            self.counters.failed += 1
            self._tell(waiting, _STOPPED)

    def _note(self, notice: Notice) -> None:
        name = notice.alert.fingerprint
        if not self._open:
            self._repeat_at = clock.monotonic() + (self._channel.repeat_seconds or 0.0)
        if notice.kind is Kind.RESOLVED:
            self._open.pop(name, None)
        elif name in self._open or len(self._open) < OPEN_MOST:
            self._open[name] = notice

    def _run(self) -> None:
        while (waiting := self._next()) is not None:
            self._deliver(waiting)

    def _next(self) -> _Waiting | None:
        """The first that waits, which stays in the queue; None at the end."""
        while True:
            with self._changed:
                if self._queue:
                    return self._queue[0]
                if self._closing:
                    return None
                wait = self._until_repeat()
                if wait is None or wait > 0:
                    self._changed.wait(wait)
                    continue
                open_now = list(self._open.values())
            self._repeat(open_now)

    def _until_repeat(self) -> float | None:
        if self._channel.repeat_seconds is None or not self._open:
            return None
        return max(0.0, self._repeat_at - clock.monotonic())

    def _repeat(self, notices: list[Notice]) -> None:
        self._repeat_at = clock.monotonic() + (self._channel.repeat_seconds or 0.0)
        now = clock.now_ns() / SECOND
        failure = _try(partial(self._channel.repeat, notices, now))
        if failure is None:
            self.counters.repeated += 1
        else:
            self.counters.repeat_failed += 1  # the next one tells the same

    def _deliver(self, waiting: _Waiting) -> None:
        """Try until it is told, refused, too old, or all ends."""
        while True:
            waiting.attempts += 1
            now = clock.now_ns() / SECOND
            failure = _try(partial(self._channel.deliver, waiting.notice, now))
            if failure is None:
                self._done(waiting, sent=True)
                return
            wait = wait_seconds(waiting.attempts, random.random(), failure.after)  # noqa: S311 - no secret
            age = clock.monotonic() + wait - waiting.since
            if self._closing or not failure.again or age > self._give_up:
                if self._done(waiting, sent=False):
                    self._tell(waiting, failure.problem)
                return
            self.counters.retried += 1
            with self._changed:
                self._changed.wait_for(lambda: self._closing, wait)

    def _done(self, waiting: _Waiting, *, sent: bool) -> bool:
        """Take it out of the queue; False when `close` has, and reported it."""
        with self._changed:
            if self._abandoned:
                return False
            if sent:
                self.counters.sent += 1
            else:
                self.counters.failed += 1
            self._queue.remove(waiting)
            return True

    def _tell(self, waiting: _Waiting, problem: str) -> None:
        notice = waiting.notice
        entry = alerts.undelivered(
            self.name,
            notice.kind,
            notice.alert,
            problem,
            waiting.attempts,
            clock.now_ns(),
        )
        self._report(entry)


def _try(attempt: Callable[[], None]) -> Undelivered | None:
    """Why it failed; None when it did not."""
    try:
        attempt()
    except Undelivered as failure:
        return failure
    except Exception as error:  # noqa: BLE001 - the loop of a lane's thread
        # a mistake of ours or of a library: its text may hold a secret
        return Undelivered(f"{type(error).__name__} in the channel", again=False)
    return None
