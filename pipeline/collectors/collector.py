"""The library that services log with: a call costs microseconds, a thread the rest.

    from pipeline import Collector

    with Collector("tcp://127.0.0.1:5555", source="web") as log:
        log.log("INFO", "started", {"port": 8080})

Memory is bounded: when the pipeline is away and it is full, a call waits at most
`block_ms` (in an event loop not at all) and then drops the entry, which is counted by
reason (`stats()`); with policy="block" it waits as long as it takes.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Literal

from pipeline import clock
from pipeline.batch.encode import Row, encode_rows, unpacked_bytes
from pipeline.collectors.accumulator import Accumulator
from pipeline.collectors.sender import (
    PAYLOAD_BYTES,
    Limits,
    OnDurable,
    Outbox,
    Ready,
    Sender,
)
from pipeline.compression import compress
from pipeline.entry import LEVEL_NAMES, Level, parse_level, parse_timestamp
from pipeline.errors import EntryError
from pipeline.limits import BATCH_ROWS
from pipeline.transport import default_acknowledge_endpoint

ENDPOINT: Final = "tcp://127.0.0.1:5555"
ENDPOINT_VARIABLE: Final = "PIPELINE_INGEST__ENDPOINT"
ACKNOWLEDGE_VARIABLE: Final = "PIPELINE_PUBLISH__ENDPOINT"

Policy = Literal["drop_newest", "block"]
Metadata = Mapping[str, Any]


class Collector:
    """Sends a service's entries; safe in threads, after fork and at exit.

    `acknowledge_endpoint` is the pipeline's publish.endpoint: by default that of the
    environment (PIPELINE_PUBLISH__ENDPOINT), else the ingest port + 1. `on_error` is
    called, on the sender's thread, with the reason of each refused entry.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        source: str = "app",
        *,
        acknowledge_endpoint: str | None = None,
        memory_bytes: int = 16 << 20,
        batch_rows: int = 2000,
        batch_bytes: int = 512 << 10,
        linger_ms: float = 10,
        block_ms: float = 5,
        policy: Policy = "drop_newest",
        compression: Literal["none", "zstd"] = "zstd",
        on_error: Callable[[str], None] | None = None,
    ) -> None:
        endpoint = endpoint or os.environ.get(ENDPOINT_VARIABLE, ENDPOINT)
        acknowledge = (
            acknowledge_endpoint
            or os.environ.get(ACKNOWLEDGE_VARIABLE)
            or default_acknowledge_endpoint(endpoint)
        )
        self.source = source
        self._endpoints = (endpoint, acknowledge)
        self._limits = Limits(
            memory_bytes,
            max(1, min(batch_rows, BATCH_ROWS)),
            batch_bytes,
            linger_ms / 1000,
            compress if compression == "zstd" else None,
        )
        self._wait = None if policy == "block" else block_ms / 1000
        self._on_error = on_error
        self._closed = False
        self._sender: Sender | None = None
        self._lost_before = 0
        self._unknown_levels = 0
        self._outbox = self._new_outbox()
        _open_collectors.add(self)
        _close_at_end_of_child()

    def log(
        self,
        level: str | int,
        message: str,
        metadata: Metadata | None = None,
        tags: Sequence[str] | None = None,
        trace_id: str | None = None,
        timestamp: object = None,
        source: str | None = None,
    ) -> None:
        """Log one entry; returns at once, or after `block_ms` when memory is full.

        A nested value of `metadata` must not be changed afterwards. Raises EntryError
        when `timestamp` is no time.
        """
        number = _LEVELS.get(level)
        if number is None:
            number, metadata = self._level(level, metadata)
        if type(message) is not str:
            message = str(message)
        now = clock.now_ns()
        row = (
            now if timestamp is None else parse_timestamp(timestamp, now),
            source or self.source,
            number,
            message,
            dict(metadata) if metadata else None,
            tags if tags.__class__ is not str else [tags],
            trace_id,
        )
        accumulator = self._outbox.accumulator
        with accumulator.lock:
            wake = accumulator.append(row)
            if wake is None:
                wake = self._append_when_room(row)
            if wake is None:
                self._outbox.dropped[LEVEL_NAMES[number]] += 1
        if wake:
            self._ring()

    def submit(self, rows: Sequence[Row], on_durable: OnDurable | None = None) -> bool:
        """Send checked entries as one batch at once; False when memory is full.

        `on_durable(producer, first number, count)` is called on the sender's thread.
        Raises EntryError for a batch that no frame holds.
        """
        payload = encode_rows(rows, compress=self._limits.compress)
        size = unpacked_bytes(payload)
        if size > PAYLOAD_BYTES or len(rows) > BATCH_ROWS:
            found = f"{len(rows):,} rows, {size:,} bytes"
            expected = f"at most {BATCH_ROWS:,} rows and {PAYLOAD_BYTES:,} bytes"
            raise EntryError("batch", found, expected)
        box = self._outbox
        with box.accumulator.lock:
            held = box.accumulator.held_bytes + sum(len(b.payload) for b in box.ready)
            if self._closed or held + len(payload) > self._limits.memory_bytes:
                return False
            box.ready.append(Ready(payload, len(rows), on_durable))
            box.submitted += len(rows)
            # `entry_from_map` has kept them
            self._unknown_levels += sum("level_text" in (row[4] or ()) for row in rows)
        self._ring()
        return True

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all that was logged is durable; True only when all of it is.

        False after `timeout` seconds, or when an entry since the last flush was dropped
        or refused.
        """
        end = clock.monotonic() + timeout
        box = self._outbox
        with box.accumulator.lock:
            rows = box.flush_to = box.accumulator.appended
            submitted = box.submitted
        if rows or submitted:
            self._ring()
        return self._wait_until(rows, submitted, end)

    def close(self, timeout: float = 5.0) -> bool:
        """Send what is here, wait until it is durable, end the thread.

        Whether everything was durable within `timeout` seconds.
        """
        box = self._outbox
        with box.accumulator.lock:
            if self._closed:
                return box.settled >= box.logged
            self._closed = True
            box.accumulator.close()
            rows = box.flush_to = box.accumulator.appended
            submitted = box.submitted
            box.deadline = clock.monotonic() + timeout
            box.closing = True
        _open_collectors.discard(self)
        if rows or submitted:
            self._ring()
        done = self._wait_until(rows, submitted, box.deadline)
        if self._sender is not None:
            self._sender.ring()
            self._sender.join(timeout + 1.0)
        return done

    def stats(self) -> dict[str, Any]:
        """Counters: logged, durable, waiting, bytes held, dropped and rejected."""
        box = self._outbox
        with box.accumulator.lock:
            return {
                "logged": box.logged,
                "settled": box.settled,
                "waiting": box.logged - box.settled,
                "held_bytes": box.accumulator.held_bytes,
                "dropped": dict(box.dropped),
                "rejected": dict(box.rejected),
                "unknown_levels": self._unknown_levels,
                "resent_batches": box.resent,
                "connected": box.connected,
                "last_error": box.last_error,
            }

    def __enter__(self) -> Collector:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def reset(self) -> None:
        """Start as new in a forked child, whose thread is gone."""
        self._outbox = self._new_outbox()
        self._sender = None
        self._lost_before = 0

    def _new_outbox(self) -> Outbox:
        limits = self._limits
        return Outbox(
            Accumulator(limits.memory_bytes, limits.batch_rows, limits.batch_bytes)
        )

    def _wait_until(self, rows: int, submitted: int, end: float) -> bool:
        """Whether so many are settled in time, none of them given up."""
        box = self._outbox
        with box.accumulator.lock:
            while box.settled_rows < rows or box.settled_submitted < submitted:
                left = end - clock.monotonic()
                if left <= 0:
                    return False
                box.accumulator.room.wait(left)
            lost = box.dropped.total() + box.rejected.total()
            before, self._lost_before = self._lost_before, lost
            return lost == before

    def _ring(self) -> None:
        sender = self._sender
        if sender is None:
            with self._outbox.accumulator.lock:
                if self._sender is None:
                    self._sender = Sender(
                        self._endpoints, self._limits, self._outbox, self._on_error
                    )
                sender = self._sender
        sender.ring()

    def _append_when_room(self, row: Row) -> bool | None:
        """Wait for room, under the lock; None when there was none in time.

        In an event loop nothing waits, unless the policy is to block: whoever shares
        the loop would wait, too, at each call again.
        """
        if self._wait is not None and _in_event_loop():
            return None
        room = self._outbox.accumulator.room
        end = None if self._wait is None else clock.monotonic() + self._wait
        # The sender logs when `str` of a value does: it must not wait for itself.
        while not (self._closed or (self._sender and self._sender.is_current())):
            left = None if end is None else end - clock.monotonic()
            if left is not None and left <= 0:
                return None
            room.wait(0.1 if left is None else left)
            wake = self._outbox.accumulator.append(row)
            if wake is not None:
                return wake
        return None

    def _level(
        self, level: object, metadata: Metadata | None
    ) -> tuple[int, Metadata | None]:
        number = parse_level(level)
        if number is not None:
            return number, metadata
        self._unknown_levels += 1
        return int(Level.INFO), {"level_text": str(level), **(metadata or {})}


_LEVELS: Final[dict[object, int]] = {
    **{level.name: int(level) for level in Level},
    **{level.name.lower(): int(level) for level in Level},
    "WARNING": int(Level.WARN),
    "CRITICAL": int(Level.FATAL),
}

_open_collectors: set[Collector] = set()
"""Held until they are closed: what one has taken is sent even if its maker lets go."""
_closes_at_end_of = 0
"""The process that has its finalizer."""


def _in_event_loop() -> bool:
    asyncio = sys.modules.get("asyncio")  # whoever runs a loop has it
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _close_all() -> None:
    for collector in list(_open_collectors):
        with contextlib.suppress(Exception):
            collector.close()


def _after_fork() -> None:
    for collector in list(_open_collectors):
        collector.reset()
    util = sys.modules.get("multiprocessing.util")
    if util is not None and _open_collectors:
        # A child clears its finalizers as it starts, hence the detour by its fork hook.
        util.register_after_fork(_close_all, lambda _: _close_at_end_of_child())


def _close_at_end_of_child() -> None:
    """Flush when a multiprocessing child ends: it leaves by os._exit, past atexit."""
    global _closes_at_end_of
    util = sys.modules.get("multiprocessing.util")
    if util is not None and _closes_at_end_of != os.getpid():
        _closes_at_end_of = os.getpid()
        util.Finalize(None, _close_all, exitpriority=1)


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
