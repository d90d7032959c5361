"""The thread behind a Collector: encodes batches, sends them, follows what is durable.

It alone touches the sockets and the window.  The other side talks to it through an
`Outbox`: rows and ready batches in, a bell to wake it, a condition when something is
settled (durable, rejected or dropped).
"""

from __future__ import annotations

import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pipeline import clock, transport
from pipeline.batch.encode import Compress, Row, encode_rows, unpacked_bytes
from pipeline.collectors.accumulator import Accumulator
from pipeline.collectors.admission import admit
from pipeline.delivery.window import Window
from pipeline.errors import EntryError, FrameError, PipelineError
from pipeline.limits import FRAME_BYTES
from pipeline.wire.frame import (
    ACKNOWLEDGE_TOPIC,
    PRODUCER_BYTES,
    Codec,
    Reply,
    parse_acknowledgement,
)

HELLO_SECONDS: Final = 0.25
"""Wait for HELLO before the first batch: what is sent earlier is sent twice."""

PAYLOAD_BYTES: Final = FRAME_BYTES // 4
"""Of a batch before compression, at most, unless it is one row: a frame beyond its
limit would be refused for ever, with everything behind it."""

OnDurable = Callable[[bytes, int, int], None]
"""Called on the sender's thread with producer, first number and count of a batch."""


class Limits(NamedTuple):
    """What a sender may hold and how long it waits."""

    memory_bytes: int
    batch_rows: int
    batch_bytes: int
    linger: float
    compress: Compress | None


class Ready(NamedTuple):
    """A batch encoded by its caller."""

    payload: bytes
    rows: int
    on_durable: OnDurable | None


@dataclass(slots=True)
class Outbox:
    """What callers and the sender share; all of it under the accumulator's lock."""

    accumulator: Accumulator
    ready: deque[Ready] = field(default_factory=deque)
    submitted: int = 0
    settled_rows: int = 0
    settled_submitted: int = 0
    flush_to: int = 0
    """Of the rows that were appended, how many somebody waits for."""
    closing: bool = False
    deadline: float = 0.0
    rejected: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    last_error: str | None = None
    connected: bool = False
    resent: int = 0

    @property
    def logged(self) -> int:
        """Rows taken from callers so far."""
        return self.accumulator.appended + self.submitted

    @property
    def settled(self) -> int:
        """Rows that are durable, or were refused."""
        return self.settled_rows + self.settled_submitted


class Sender:
    """One producer's session with one ingester."""

    def __init__(
        self,
        endpoints: tuple[str, str],
        limits: Limits,
        outbox: Outbox,
        on_error: Callable[[str], None] | None,
    ) -> None:
        self.producer = os.urandom(PRODUCER_BYTES)
        self._endpoints = endpoints
        self._limits = limits
        self._outbox = outbox
        self._on_error = on_error
        self._window = Window(self.producer, clock.monotonic_ns())
        self._marks: deque[tuple[int, int, int]] = deque()
        """(number, rows and submitted rows settled once it is durable), in order."""
        self._calls: deque[tuple[int, int, OnDurable]] = deque()
        self._taken_rows = 0
        self._taken_submitted = 0
        self._first_seen: float | None = None
        self._blocked = False
        self._hello_by: float | None = None
        self._bell_lock = threading.RLock()
        self._hung_up = False
        self._bell_out, self._bell_in = os.pipe()
        os.set_blocking(self._bell_out, False)
        os.set_blocking(self._bell_in, False)
        self._thread = threading.Thread(
            target=self._run, name="pipeline-sender", daemon=True
        )
        self._thread.start()

    def ring(self) -> None:
        """Wake the thread; a full pipe has woken it already."""
        with self._bell_lock, suppress(OSError):
            if not self._hung_up:
                os.write(self._bell_in, b"x")

    def join(self, timeout: float) -> bool:
        """Wait for the thread's end; whether it has ended."""
        self._thread.join(timeout)
        ended = not self._thread.is_alive()
        with self._bell_lock:
            if ended and not self._hung_up:
                self._hung_up = True
                os.close(self._bell_in)
                os.close(self._bell_out)
        return ended

    def is_current(self) -> bool:
        """Whether it is the sender's own thread that asks."""
        return threading.current_thread() is self._thread

    def _run(self) -> None:
        try:
            push = transport.push(self._endpoints[0])
            topic = ACKNOWLEDGE_TOPIC + self.producer
            replies = transport.subscribe(self._endpoints[1], [topic])
        except PipelineError as error:
            self._report(str(error))
            return
        poller = transport.Poller()
        poller.watch(replies)
        poller.watch(self._bell_out)
        try:
            while not self._finished():
                poller.watch(push, write=True) if self._blocked else poller.forget(push)
                poller.wait(self._patience())
                self._hush()
                self._listen(replies)
                self._encode()
                self._send(push)
        finally:
            replies.close(0)
            push.close(0)

    def _finished(self) -> bool:
        box = self._outbox
        if not box.closing:
            return False
        return box.settled >= box.logged or clock.monotonic() >= box.deadline

    def _hush(self) -> None:
        with suppress(BlockingIOError):
            while len(os.read(self._bell_out, 4096)) == 4096:
                pass

    def _patience(self) -> float:
        """Seconds until something has to be done without being woken."""
        now = clock.monotonic()
        waits = [1.0]
        if self._first_seen is not None:
            waits.append(self._first_seen + self._limits.linger - now)
        if self._hello_by is not None and not self._outbox.connected:
            waits.append(self._hello_by - now)
        if not self._window.idle():
            waits.append(0.05)
        if self._outbox.closing:
            waits.append(0.02)
        return max(0.0, min(waits))

    def _listen(self, replies: transport.Socket) -> None:
        moved = False
        while (frames := transport.receive(replies)) is not None:
            with suppress(FrameError):
                reply = parse_acknowledgement(frames[-1])
                moved |= self._window.acknowledge(reply, clock.monotonic_ns())
                self._outbox.connected |= reply.kind == Reply.HELLO
        if not moved:
            return
        durable = self._window.durable
        while self._calls and self._calls[0][0] + self._calls[0][1] - 1 <= durable:
            first, rows, call = self._calls.popleft()
            with self._guarded("on_durable"):
                call(self.producer, first, rows)
        self._settle()

    @contextmanager
    def _guarded(self, name: str) -> Iterator[None]:
        """What a caller's function raises must not end the thread."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - not ours, and nobody to raise it to
            with self._outbox.accumulator.lock:
                self._outbox.last_error = f"{name}: {error!r}"

    def _report(self, problem: str) -> None:
        with self._outbox.accumulator.lock:
            self._outbox.last_error = problem
        if self._on_error is not None:
            with self._guarded("on_error"):
                self._on_error(problem)

    def _settle(self) -> None:
        box = self._outbox
        with box.accumulator.lock:
            while self._marks and self._marks[0][0] <= self._window.durable:
                _, box.settled_rows, box.settled_submitted = self._marks.popleft()
            box.accumulator.held_bytes = self._window.bytes
            box.resent = self._window.resent
            if self._window.rejected:
                box.rejected["by the ingester"] = self._window.rejected
            box.accumulator.room.notify_all()

    def _encode(self) -> None:
        """Turn rows into batches: full ones now, the rest when they have waited."""
        box = self._outbox
        while box.ready:
            with box.accumulator.lock:  # `submit` looks through the queue
                ready = box.ready.popleft()
            first = self._add(ready.payload, ready.rows, flush=True)
            self._mark(submitted=ready.rows)
            if ready.on_durable is not None:
                self._calls.append((first, ready.rows, ready.on_durable))
        while box.accumulator.full or box.accumulator.rows:
            if not box.accumulator.full and not self._waited_enough():
                return
            self._first_seen = None
            rows = box.accumulator.take()
            flush = self._taken_rows < box.flush_to
            self._add_rows(rows, flush=flush or box.closing)
        self._first_seen = None

    def _waited_enough(self) -> bool:
        box = self._outbox
        if box.closing or box.flush_to > self._taken_rows:
            return True
        now = clock.monotonic()
        if self._first_seen is None:
            self._first_seen = now
        return now >= self._first_seen + self._limits.linger

    def _add_rows(self, rows: list[Row], *, flush: bool) -> None:
        payload = self._payload(rows)
        if payload is None:
            kept = self._admitted(rows)
            self._mark(rows=len(rows) - len(kept))
            self._settle()
            rows = kept
            payload = self._payload(rows) if rows else None
        if payload is None:
            return
        size = unpacked_bytes(payload)
        if size > PAYLOAD_BYTES and len(rows) > 1:
            middle = len(rows) // 2
            self._add_rows(rows[:middle], flush=flush)
            self._add_rows(rows[middle:], flush=flush)
            return
        messages = sum(len(row[3]) for row in rows)
        self._outbox.accumulator.measured(len(rows), size, messages)
        self._add(payload, len(rows), flush=flush)
        self._mark(rows=len(rows))

    def _payload(self, rows: list[Row]) -> bytes | None:
        """All rows at once; None when one of them stands in the way."""
        try:
            payload = encode_rows(rows, compress=self._limits.compress)
        except Exception:  # noqa: BLE001 - `str` of a caller's object may raise anything
            return None
        # Many values, each within its limit: `admit` says what is too much.
        too_large = len(rows) == 1 and unpacked_bytes(payload) > PAYLOAD_BYTES
        return None if too_large else payload

    def _admitted(self, rows: list[Row]) -> list[Row]:
        kept: list[Row] = []
        for row in rows:
            try:
                entry = admit(row)
                encode_rows([entry])
                kept.append(entry)
            except EntryError as error:
                self._refuse(error)
            except Exception as error:  # noqa: BLE001 - as above; it costs this row only
                self._refuse(
                    EntryError("entry", repr(error), "values that have a text")
                )
        return kept

    def _refuse(self, error: EntryError) -> None:
        with self._outbox.accumulator.lock:
            self._outbox.rejected[error.field.split(".")[0]] += 1
        self._report(str(error))

    def _add(self, payload: bytes, count: int, *, flush: bool) -> int:
        first = self._window.add(payload, count, Codec(0), flush=flush)
        with self._outbox.accumulator.lock:
            self._outbox.accumulator.held_bytes = self._window.bytes
        return first

    def _mark(self, *, rows: int = 0, submitted: int = 0) -> None:
        """These are settled when all that has a number by now is durable."""
        self._taken_rows += rows
        self._taken_submitted += submitted
        mark = (self._window.last, self._taken_rows, self._taken_submitted)
        self._marks.append(mark)

    def _awaits_hello(self, push: transport.Socket) -> bool:
        """Whether HELLO may still come; its time runs from the connection."""
        if self._hello_by is None:
            self._blocked = not transport.writable(push)
            if not self._blocked:
                self._hello_by = clock.monotonic() + HELLO_SECONDS
            return True
        return clock.monotonic() < self._hello_by

    def _send(self, push: transport.Socket) -> None:
        self._blocked = False
        if not self._outbox.connected and self._awaits_hello(push):
            return
        now = clock.monotonic_ns()
        self._window.expire(now)
        closing = self._outbox.closing
        dropped = self._outbox.dropped.total()
        while (frames := self._window.take(now, dropped, fin=closing)) is not None:
            if not transport.send(push, list(frames)):
                self._window.untake()
                self._blocked = True
                return
