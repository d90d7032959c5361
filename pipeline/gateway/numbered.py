"""Batches whose entries their callers have numbered: a retry stores nothing twice.

They go to the ingester under the caller's own producer id, so it makes no difference
which gateway a retry reaches, or whether one of the processes was restarted meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from pipeline.batch.encode import encode_rows, unpacked_bytes
from pipeline.collectors.forwarding import CALLS_MAX, Call, Ending, Fate
from pipeline.compression import compress
from pipeline.entry import Entry
from pipeline.gateway.errors import OUT_OF_ORDER, RpcError, busy, wrong_param
from pipeline.limits import BATCH_ROWS, FRAME_BYTES, NUMBER_MAX, PAYLOAD_BYTES
from pipeline.redaction import Redactor
from pipeline.wire.frame import Codec, Flag, Header

RETRY_MS: Final = 1_000

SMALL_ROWS: Final = 1_000
SMALL_BYTES: Final = 1 << 20
"""Up to here a batch is encoded in the event loop, in about 2 ms; beyond, on a
thread."""

_GRACE_SECONDS: Final = 1.0
"""Beyond a call's time: for a thread that does not answer."""


class Numbers(NamedTuple):
    """What a caller says of its entries' numbers; `sequence` is that of the first."""

    producer: bytes
    sequence: int
    base: int
    dropped_total: int


class Rows(NamedTuple):
    """Entries of a call, their places in it, and how many there were with the bad."""

    entries: list[Entry]
    places: list[int]
    span: int
    size: int
    """Bytes of the entries as JSON."""


class Sent(NamedTuple):
    """A batch that was handed over."""

    numbers: Numbers
    span: int
    done: asyncio.Future[Ending]


class Submitter(Protocol):
    """The part of the relay that the gateway uses."""

    def submit(self, call: Call) -> str | None:
        """Take a call; or why there is no room for it."""


@dataclass(slots=True)
class _Turns:
    """Calls of one producer, each after the one that came before it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    calls: int = 0


class Numbered:
    """Forwards numbered batches, and waits until they are durable."""

    def __init__(
        self,
        relay: Submitter,
        timeout: float,
        monotonic_ns: Callable[[], int],
        redactor: Redactor | None = None,
    ) -> None:
        self._relay = relay
        self.redactor = redactor
        self._tally = threading.Lock()
        self.timeout = timeout
        self._monotonic_ns = monotonic_ns
        self._turns: dict[bytes, _Turns] = {}
        self.counters: Counter[str] = Counter(
            numbered_durable=0,
            numbered_duplicate=0,
            numbered_out_of_order=0,
            numbered_busy=0,
            numbered_late=0,
        )
        """Calls by how they ended."""

        self.redacted: Counter[str] = Counter()
        """Secrets that were masked, by rule."""

    @asynccontextmanager
    async def turn(self, producer: bytes) -> AsyncIterator[None]:
        """Wait for the producer's calls that came earlier; raises RpcError (-32003)."""
        turns = self._turns.setdefault(producer, _Turns())
        if turns.calls >= CALLS_MAX:
            raise self._busy(f"{CALLS_MAX} calls of this producer wait already")
        turns.calls += 1
        try:
            async with turns.lock:
                yield
        finally:
            turns.calls -= 1
            if not turns.calls:
                del self._turns[producer]

    async def send(self, numbers: Numbers, rows: Rows) -> Sent:
        """Hand a batch over, within its turn.

        Raises RpcError: -32602 for a batch that no frame holds, -32003.
        """
        payload = await self._payload(rows)
        header = Header(
            Flag.FLUSH,
            Codec(0),
            numbers.producer,
            numbers.sequence,
            numbers.base,
            rows.span,
            len(rows.entries),
            0,
            numbers.dropped_total,
        )
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Ending] = loop.create_future()

        def tell(ending: Ending) -> None:
            try:
                loop.call_soon_threadsafe(_settle, done, ending)
            except RuntimeError:
                return  # the loop is closed: nobody waits any more

        deadline = self._monotonic_ns() + int(self.timeout * 1e9)
        problem = self._relay.submit(Call(header, payload, deadline, tell))
        if problem is not None:
            raise self._busy(problem)
        return Sent(numbers, rows.span, done)

    async def _payload(self, rows: Rows) -> bytes:
        if not rows.entries:
            return b""
        offsets = rows.places if len(rows.entries) < rows.span else None
        if len(rows.entries) <= SMALL_ROWS and rows.size <= SMALL_BYTES:
            payload = self._encoded(rows.entries, offsets)
        else:
            payload = await asyncio.to_thread(self._encoded, rows.entries, offsets)
        check_size(unpacked_bytes(payload), PAYLOAD_BYTES, "as columns")
        check_size(len(payload), FRAME_BYTES, "compressed")
        return payload

    def _encoded(self, rows: list[Entry], offsets: list[int] | None) -> bytes:
        redactor = None if self.redactor is None else self.redactor.twin()
        payload = encode_rows(rows, offsets, compress, redactor)
        if redactor is not None and redactor.counts:
            with self._tally:
                self.redacted.update(redactor.counts)
        return payload

    async def wait(self, sent: Sent) -> Ending:
        """Return when the batch is durable; raises RpcError (-32003, -32010)."""
        try:
            async with asyncio.timeout(self.timeout + _GRACE_SECONDS):
                ending = await sent.done
        except TimeoutError:
            ending = Ending(Fate.LATE, problem="the relay does not answer")
        if ending.fate is Fate.OUT_OF_ORDER:
            self.counters["numbered_out_of_order"] += 1
            raise out_of_order(sent.numbers, sent.span, ending.expected)
        if ending.fate is Fate.LATE:
            self.counters["numbered_late"] += 1
            problem = f"not on disk within {self.timeout:g} s: {ending.problem}"
            raise self._busy(problem, "perhaps; the same call stores nothing twice")
        name = "numbered_duplicate" if ending.is_duplicate else "numbered_durable"
        self.counters[name] += 1
        return ending

    def _busy(self, problem: str, stored: str = "no") -> RpcError:
        self.counters["numbered_busy"] += 1
        return busy(problem, RETRY_MS, stored=stored)


def check_rows(sequence: int, count: int) -> None:
    """Raise RpcError (-32602) for too many entries, or numbers too high."""
    if count > BATCH_ROWS:
        expected = f"at most {BATCH_ROWS:,} with `producer`"
        raise wrong_param("logs", f"{count:,} entries", expected)
    if sequence + count > NUMBER_MAX:
        problem = f"the last entry would be number {sequence + count - 1}"
        raise wrong_param("sequence", problem, "numbers below 2^62")


def check_size(size: int, limit: int, how: str) -> None:
    """Raise RpcError (-32602) for more bytes than one batch may have."""
    if size > limit:
        expected = f"at most {limit:,} bytes {how} with `producer`: fewer entries"
        raise wrong_param("logs", f"{size:,} bytes {how}", expected)


def out_of_order(numbers: Numbers, span: int, expected: int) -> RpcError:
    """-32010: the producer's next batch begins with another number."""
    last = numbers.sequence + span - 1
    if numbers.sequence > expected:
        problem = f"{expected} to {numbers.sequence - 1} have not come"
    else:
        problem = f"of {numbers.sequence} to {last} some are stored, others are not"
    data = {"field": "sequence", "problem": problem, "expected": expected}
    return RpcError(OUT_OF_ORDER, data)


def _settle(done: asyncio.Future[Ending], ending: Ending) -> None:
    if not done.done():
        done.set_result(ending)
