"""The thread behind a Collector: encodes batches, sends them, follows what is durable.

It alone touches the sockets and the window.  The other side talks to it through an
`Outbox`: rows and ready batches in, a bell to wake it, a condition when something is
settled (durable, refused or lost).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from pipeline import clock, transport
from pipeline.collectors.accumulator import Portion
from pipeline.collectors.adoption import Adoption
from pipeline.collectors.encoding import Encoded, Encoder
from pipeline.collectors.link import Link
from pipeline.collectors.outbox import Limits, Outbox
from pipeline.collectors.session import Session
from pipeline.collectors.woken import WokenThread
from pipeline.errors import DeliveryError, EntryError, PipelineError
from pipeline.redaction import Redactor, Rules
from pipeline.wire.frame import Acknowledgement, Reply

HELLO_SECONDS: Final = 0.25
"""Wait for HELLO before the first batch: what is sent earlier is sent twice."""

PATIENCE_SECONDS: Final = 1.0
"""Rows wait so long for their batch to fill while others can't be sent anyway."""

FAREWELL_SECONDS: Final = 0.25
"""Wait for the answer to FIN; who gets none is finished all the same."""

FAILED_SECONDS: Final = 0.1
"""Until the next turn, after one that has failed."""

ENCODED_BATCHES: Final = 4
"""At a time: then those are sent, and what has come is looked at."""

ADOPTED_BATCHES: Final = 16
"""Of a dead producer, sent at a time beside one's own."""


class Sender:
    """One collector's thread: its own session, and what it adopts."""

    def __init__(
        self,
        endpoints: tuple[str, str],
        limits: Limits,
        box: Outbox,
        on_error: Callable[[str], None] | None,
        rules: Rules | None = None,
    ) -> None:
        self._endpoints = endpoints
        self._limits = limits
        self._box = box
        self._on_error = on_error
        self._redactor = None if rules is None else Redactor(rules)
        self._encoder = Encoder(limits.compress, self._refuse, self._redactor)
        self.session = Session(limits, box, self._encoder, clock.monotonic_ns())
        self._first_seen: float | None = None
        self._blocked = False
        self._hello_by: float | None = None
        self._thread = WokenThread("pipeline-sender", self._run)

    @property
    def redacted(self) -> Counter[str]:
        """Secrets that were masked, by the rule."""
        both = (self._redactor, self.session.redactor)
        return sum((each.counts for each in both if each), Counter())

    def start(self) -> None:
        """Start the thread, unless it runs or can't; under the accumulator's lock."""
        try:
            self._thread.start()
        except (OSError, RuntimeError) as error:  # too many files or threads
            self._note(error)

    def ring(self) -> None:
        """Wake the thread."""
        self._thread.ring()

    def join(self, timeout: float) -> None:
        """Wait for the thread's end; without one, what it would do then."""
        if not self._thread.join(timeout):
            self._leave()

    @property
    def runs(self) -> bool:
        """Whether the thread was started."""
        return self._thread.runs

    def is_current(self) -> bool:
        """Whether it is the sender's own thread that asks."""
        return self._thread.is_current()

    def _run(self) -> None:
        poller = transport.Poller()
        poller.watch(self._thread.bell)
        try:
            link = Link(self._endpoints)
        except PipelineError as error:
            self.report(str(error))
            while not self._finished():
                poller.wait(PATIENCE_SECONDS)
                self._thread.hush()
            self._leave()
            return
        encoder = Encoder(
            self._limits.compress,
            lambda error: self.report(str(error)),
            self._redactor,
        )
        adoption = Adoption(self._limits, encoder, self.report)
        link.follow(self.session.producer)
        link.register(poller)
        try:
            while not self._finished():
                try:
                    self._turn(poller, link, adoption)
                except Exception as error:  # noqa: BLE001 - no caller is there
                    self._note(error)
                    time.sleep(FAILED_SECONDS)
            self._take_leave(link, poller)
        finally:
            adoption.close(link)
            self._leave()
            link.close()

    def _turn(self, poller: transport.Poller, link: Link, adoption: Adoption) -> None:
        """Wait until there is something to do, and do it."""
        link.watch_room(poller, wanted=self._blocked)
        poller.wait(self._patience(adoption))
        self._thread.hush()
        self._listen(link, adoption)
        self._encode()
        self._sync()
        self._send(link, adoption)
        self._account(adoption)

    def _note(self, error: Exception) -> None:
        """Count what nobody has thought of; the thread goes on."""
        with self._box.accumulator.lock:
            self._box.sender_errors += 1
            self._box.last_error = f"sender: {error!r}"

    def _finished(self) -> bool:
        box = self._box
        if not box.closing:
            return False
        if clock.monotonic() >= box.deadline:
            return True
        return box.settled >= box.accumulator.accepted - box.evicted

    def _take_leave(self, link: Link, poller: transport.Poller) -> None:
        """Say that nothing follows, unless the last batch said so."""
        box, session = self._box, self.session
        if not session.drained:
            return
        frames = session.window.farewell(session.dropped_total)
        if frames is None or not link.send(frames):
            return
        link.watch_room(poller, wanted=False)
        end = min(box.deadline, clock.monotonic() + FAREWELL_SECONDS)
        while (left := end - clock.monotonic()) > 0:  # closed at once it would be gone
            poller.wait(left)
            self._thread.hush()
            if any(producer == session.producer for producer, _ in link.replies()):
                return

    def _patience(self, adoption: Adoption) -> float:
        """Seconds until something has to be done without being woken."""
        box = self._box
        now = clock.monotonic()
        waits = [1.0]
        if self._first_seen is not None and not box.stuck:
            waits.append(self._first_seen + self._linger() - now)
        if self._hello_by is not None and not box.connected:
            waits.append(self._hello_by - now)
        if not (self.session.window.idle() and adoption.idle) or box.stuck:
            waits.append(0.05)
        if box.closing:
            waits.append(0.02)
        if box.accumulator.full and not box.stuck and not self._is_held_up():
            waits.append(0.0)
        if self.session.behind and self.session.has_room():
            waits.append(0.01)
        return max(0.0, min(waits))

    def _listen(self, link: Link, adoption: Adoption) -> None:
        now = clock.monotonic_ns()
        for producer, reply in link.replies():
            if producer == self.session.producer:
                self._acknowledge(reply, link, now)
            elif producer == adoption.producer:
                adoption.acknowledge(reply, link, now)

    def _acknowledge(self, reply: Acknowledgement, link: Link, now: int) -> None:
        session, box = self.session, self._box
        box.connected |= reply.kind == Reply.HELLO
        producer, forged = session.producer, session.window.is_forged(reply)
        for first, rows, call in session.acknowledge(reply, now):
            with self._guarded("on_durable"):
                call(producer, first, rows)
        if forged:
            session.renew(session.window.durable, now)
            link.leave(producer)
            link.follow(session.producer)
            self.report(f"somebody else has sent as {producer.hex()}, this one's id")

    @contextmanager
    def _guarded(self, name: str) -> Iterator[None]:
        """What a caller's function raises must not end the thread."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - not ours, and nobody to raise it to
            with self._box.accumulator.lock:
                self._box.last_error = f"{name}: {error!r}"

    def report(self, problem: str) -> None:
        """Tell of something that was refused or has failed."""
        with self._box.accumulator.lock:
            self._box.last_error = problem
        if self._on_error is not None:
            with self._guarded("on_error"):
                self._on_error(problem)

    def _account(self, adoption: Adoption) -> None:
        """Bring the counters up to date, and wake who waits for them."""
        box, session = self._box, self.session
        with box.accumulator.lock:
            box.settled = session.settled
            box.resent = session.window.resent
            box.spool_bytes = session.spool.bytes if session.spool else 0
            box.adopted_spools = adoption.spools
            box.adopted_rows = adoption.rows
            box.adopted_torn_bytes = adoption.torn_bytes
            elsewhere = session.window.rejected - box.refused
            if elsewhere > 0:
                box.rejected["by the ingester"] = elsewhere
            box.accumulator.hold(session.cost + adoption.cost)
            box.accumulator.room.notify_all()
            reports, box.reports = box.reports, []
        for problem in reports:
            self.report(problem)

    def _encode(self) -> None:
        """Turn rows into batches: full ones now, the rest when they have waited."""
        box, session = self._box, self.session
        waiting = box.accumulator
        now = clock.monotonic_ns()
        for _ in range(ENCODED_BATCHES):
            if not self._place(now):
                break
            if waiting.is_empty:
                self._first_seen = None
                break
            if not waiting.full and not self._waited_enough():
                break
            if self._is_held_up():
                break
            self._first_seen = None
            portion = waiting.take()
            try:
                self._take(portion)
            except BaseException:
                waiting.put_back(portion)
                raise
            box.pressed = False
        self._place(now)
        reached = session.base + session.window.last + box.evicted
        session.flush = reached < box.flush_to
        session.follow_up(now)

    def _is_held_up(self) -> bool:
        """Whether rows that are spooled already must wait for room in the window."""
        return self.session.always and not self.session.has_room()

    def _place(self, now: int) -> bool:
        """Whether all that was taken has its number, and more may follow."""
        box, session = self._box, self.session
        placed = session.place(now)
        if box.give_up and (not placed or session.always):
            session.give_up()
            placed = session.place(now)
        with box.accumulator.lock:
            box.give_up = False
            box.stuck = not placed
            box.accumulator.hold(session.cost)
            box.accumulator.room.notify_all()
        return placed

    def _take(self, portion: Portion) -> None:
        box = self._box
        ready = portion.ready
        if ready is not None:
            batches = [Encoded(ready.payload, ready.rows, ready.span)]
            self.session.queue(batches, flush=True, call=ready.on_durable)
            return
        if not portion.rows:  # all of them were dropped for others
            return
        first = box.accumulator.passed - len(portion.rows)
        flush = first + box.evicted < box.flush_to or box.closing
        before = self._encoder.bytes
        self.session.queue(list(self._encoder.encode(portion.rows)), flush)
        if size := self._encoder.bytes - before:
            box.accumulator.measured(portion.cost, size)

    def _linger(self) -> float:
        """Seconds that rows wait for their batch to fill."""
        linger = self._limits.linger
        return linger if self.session.window.idle() else max(linger, PATIENCE_SECONDS)

    def _waited_enough(self) -> bool:
        box = self._box
        done = box.accumulator.passed + box.evicted
        if box.closing or box.pressed or box.flush_to > done:
            return True
        now = clock.monotonic()
        if self._first_seen is None:
            self._first_seen = now
        return now >= self._first_seen + self._linger()

    def _refuse(self, error: EntryError) -> None:
        with self._box.accumulator.lock:
            self._box.rejected[error.field.split(".")[0]] += 1
            self._box.refused += 1
        self.report(str(error))

    def _awaits_hello(self, link: Link) -> bool:
        """Whether HELLO may still come; its time runs from the connection."""
        if self._hello_by is None:
            self._blocked = not link.writable()
            if not self._blocked:
                self._hello_by = clock.monotonic() + HELLO_SECONDS
            return True
        return clock.monotonic() < self._hello_by

    def _send(self, link: Link, adoption: Adoption) -> None:
        self._blocked = False
        box, session = self._box, self.session
        if not box.connected and self._awaits_hello(link):
            return
        now = clock.monotonic_ns()
        if box.connected:
            adoption.begin(link, clock.monotonic())
            adoption.expire(now)
            adoption.send(link, now, 1)  # or a busy session would leave it nothing
        session.window.expire(now)
        dropped = session.dropped_total
        while (frames := session.window.take(now, dropped)) is not None:
            if not link.send(frames):
                session.window.untake()
                self._blocked = True
                return
        adoption.send(link, now, ADOPTED_BATCHES)

    def _sync(self) -> None:
        """Have the spool on disk, as far as `fsync` says; also with nobody there."""
        try:
            if self.session.spool is not None:
                self.session.spool.sync(clock.monotonic())
        except DeliveryError as error:
            self.session.failed(error, clock.monotonic_ns())

    def _leave(self) -> None:
        """At the end: what is not durable goes to the spool, or is counted."""
        waiting = self._box.accumulator
        portions = []
        while not waiting.is_empty:
            portions.append(waiting.take())
        portions = [portion for portion in portions if portion.numbers]
        self.session.leave(portions, clock.monotonic_ns())
        with waiting.lock:
            waiting.room.notify_all()
