"""What dead processes have left in the spools' folder is sent, one after another.

Each goes on under its own producer id, from where the ingester says that it is, beside
what this process logs; then its files are deleted, and only then it has finished.
Where the ingester has forgotten it, its lock file says from where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from pipeline.collectors.backlog import Backlog
from pipeline.collectors.encoding import Encoder
from pipeline.collectors.link import Link
from pipeline.collectors.outbox import Limits
from pipeline.delivery.spool import Mark, Spool, orphans
from pipeline.delivery.window import Window
from pipeline.errors import DeliveryError
from pipeline.wire.frame import Acknowledgement, Reply

SEARCH_SECONDS: Final = 60.0
HELLO_SECONDS: Final = 2.0
"""A HELLO that has not come by then is asked for again."""

REPORTS_KEPT: Final = 1000
"""Of files that can't be adopted: each is told once, not at every search."""

MEMORY_SHARE: Final = 8
"""One in so many bytes of a collector's memory is for what it adopts."""


class Adoption:
    """Sends the spools of the dead, at most one at a time; for the sender's thread."""

    def __init__(
        self, limits: Limits, encoder: Encoder, report: Callable[[str], None]
    ) -> None:
        self.spools = 0
        self.rows = 0
        self.torn_bytes = 0
        self._limits = limits
        self._encoder = encoder
        self._report = report
        self._found: Iterator[Spool] | None = None
        self._search_at = self._hello_by = 0.0
        self._spool: Spool | None = None
        self._backlog: Backlog | None = None
        self._end = self._settled = 0
        self._reported: set[str] = set()

    @property
    def producer(self) -> bytes | None:
        """Whose spool it is at present."""
        return None if self._spool is None else self._spool.producer

    @property
    def cost(self) -> int:
        """Bytes of memory."""
        return self._backlog.window.cost if self._backlog else 0

    @property
    def idle(self) -> bool:
        """Whether there is nothing to be sent now."""
        return self._backlog is None or self._backlog.window.idle()

    def begin(self, link: Link, now: float) -> None:
        """Look for the next spool, when there is none and it is time."""
        folder = self._limits.folder
        if folder is None or self._limits.mode == "off":
            return
        if self._spool is not None:
            if self._backlog is None and now >= self._hello_by:
                link.leave(self._spool.producer)
                self._ask(self._spool, link, now)
            return
        if self._found is None:
            if now < self._search_at:
                return
            self._found = orphans(folder, self._report_once)
        self._spool = next(self._found, None)
        if self._spool is None:
            self._found = None
            self._search_at = now + SEARCH_SECONDS
            return
        self._end, self._settled = self._spool.last, 0
        self.torn_bytes += self._spool.torn_bytes
        self._ask(self._spool, link, now)

    def acknowledge(self, reply: Acknowledgement, link: Link, now: int) -> None:
        """Take in what the ingester says of the adopted producer."""
        spool = self._spool
        if spool is None or (self._backlog is None and reply.kind != Reply.HELLO):
            return
        backlog = self._backlog
        if backlog is None or not (
            backlog.cut_at == reply.accepted or backlog.window.boundary(reply.accepted)
        ):
            # What its owner had sent may still have come, in batches of other lengths.
            if backlog is not None:
                self._settled += backlog.rows - backlog.window.rows
            backlog = self._backlog = self._cut_anew(spool, reply, now)
            self._read(link)
            if self._backlog is None:
                return
        backlog.window.acknowledge(reply, now)
        spool.release(backlog.window.durable)
        spool.note(Mark(backlog.window.durable, spool.mark.dropped))
        if backlog.window.is_empty and backlog.window.last >= self._end:
            self.spools += 1
            self.rows += self._settled + backlog.rows
            self._finish(link, backlog.window, spool.mark.dropped)

    def send(self, link: Link, now: int, most: int) -> None:
        """Send at most so many batches."""
        self._read(link)
        if self._backlog is None:
            return
        assert self._spool is not None
        window, dropped = self._backlog.window, self._spool.mark.dropped
        for _ in range(most):
            frames = window.take(now, dropped)
            if frames is None:
                return
            if not link.send(frames):
                window.untake()
                return

    def expire(self, now: int) -> None:
        """Send again what was not answered."""
        if self._backlog is not None:
            self._backlog.window.expire(now)

    def close(self, link: Link) -> None:
        """Let go of it: a later process goes on."""
        if self._spool is not None:
            self._end_spool(link, remove=False)
        self._found = None

    def _ask(self, spool: Spool, link: Link, now: float) -> None:
        """Ask for a HELLO, before which nothing can be sent."""
        link.follow(spool.producer)
        self._hello_by = now + HELLO_SECONDS

    def _cut_anew(self, spool: Spool, reply: Acknowledgement, now: int) -> Backlog:
        budget = self._limits.window_bytes // MEMORY_SHARE
        # 0: it never had any, or has forgotten the producer
        start = reply.durable or spool.mark.durable
        window = Window(spool.producer, now, start, limit_bytes=budget)
        backlog = Backlog(window, spool, self._encoder, self._limits)
        backlog.budget = budget
        backlog.cut_at = reply.accepted
        return backlog

    def _read(self, link: Link) -> None:
        if self._backlog is None:
            return
        try:
            self._backlog.refill(self._end)
        except DeliveryError as error:
            self._report(str(error))
            self._end_spool(link, remove=False)

    def _finish(self, link: Link, window: Window, dropped: int) -> None:
        """Delete its files, and then say FIN: who has finished is forgotten soon."""
        frames = window.farewell(dropped)
        if self._end_spool(link, remove=True) and frames is not None:
            link.send(frames)

    def _report_once(self, problem: str) -> None:
        if problem not in self._reported and len(self._reported) < REPORTS_KEPT:
            self._reported.add(problem)
            self._report(problem)

    def _end_spool(self, link: Link, *, remove: bool) -> bool:
        """Let go of it; whether its files are gone."""
        assert self._spool is not None
        if self._spool.damaged:
            text = f"{self._spool.damaged} places of damage"
            self._report(f"spool {self._spool.folder}: {text}; what was there is lost")
        link.leave(self._spool.producer)
        gone = self._spool.close(remove=remove)
        self._spool = self._backlog = None
        return gone
