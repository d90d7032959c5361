"""The library that services log with: a call costs microseconds, a thread the rest.

    from pipeline import Collector

    with Collector("tcp://127.0.0.1:5555", source="web") as log:
        log.log("INFO", "started", {"port": 8080})

Memory is bounded.  While the pipeline is away and it is full, entries go to a spool on
disk, which a later process sends if this one can't (`spool`).  When that is full, too,
a call waits at most `block_ms` (in an event loop not at all), then the `policy` decides
what is given up; all of it is counted by reason and level (`stats()`).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal

from pipeline import clock
from pipeline.batch.encode import Row, encode_rows, unpacked_bytes
from pipeline.collectors.accumulator import Accumulator, OnDurable, Ready
from pipeline.collectors.encoding import PAYLOAD_BYTES
from pipeline.collectors.gate import Gate
from pipeline.collectors.location import spool_folder, unusable
from pipeline.collectors.outbox import Limits, Outbox, Policy, SpoolMode
from pipeline.collectors.sender import Sender
from pipeline.compression import compress
from pipeline.delivery.spool import Fsync
from pipeline.entry import Level, parse_level, parse_timestamp
from pipeline.errors import ConfigError, EntryError
from pipeline.keys import read_key
from pipeline.limits import BATCH_ROWS
from pipeline.redaction import DEFAULT, Redactor, Rules, chosen
from pipeline.transport import default_acknowledge_endpoint, identify

ENDPOINT: Final = "tcp://127.0.0.1:5555"
ENDPOINT_VARIABLE: Final = "PIPELINE_INGEST__ENDPOINT"
ACKNOWLEDGE_VARIABLE: Final = "PIPELINE_PUBLISH__ENDPOINT"
KEY_VARIABLE: Final = "PIPELINE_CURVE__KEY_FILE"

Metadata = Mapping[str, Any]


class Collector:
    """Sends a service's entries; safe in threads, after fork and at exit.

    `acknowledge_endpoint` is the pipeline's publish.endpoint: by default that of the
    environment (PIPELINE_PUBLISH__ENDPOINT), else the ingest port + 1. `on_error` is
    called, on the sender's thread, with the reason of each refused entry. `redaction`
    is the section of that name in the settings, as a map; None masks nothing.
    `key_file` is what `pipeline keys create` wrote, for an ingester that wants one: by
    default that of the environment (PIPELINE_CURVE__KEY_FILE). Raises ConfigError for a
    wrong redaction, and when spool="always" has no folder to write to; PipelineError
    for a key that can't be read.
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
        policy: Policy = "drop_oldest",
        spool: SpoolMode = "overflow",
        spool_dir: str | Path = "",
        spool_bytes: int = 256 << 20,
        fsync: Fsync = "none",
        compression: Literal["none", "zstd"] = "zstd",
        key_file: str | Path = "",
        redaction: Rules | Mapping[str, Any] | None = DEFAULT,
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
        if key := key_file or os.environ.get(KEY_VARIABLE):
            identify(self._endpoints, read_key(Path(key)))
        self._limits = Limits(
            memory_bytes,
            max(1, min(batch_rows, BATCH_ROWS)),
            batch_bytes,
            linger_ms / 1000,
            compress if compression == "zstd" else None,
            policy,
            spool,
            _folder(spool, spool_dir, endpoint),
            spool_bytes,
            fsync,
        )
        self._wait = None if policy == "block" else block_ms / 1000
        self._on_error = on_error
        self._rules = chosen(redaction, os.environ)
        self._closed = self._done = False
        self._given_up_before = 0
        self._begin()
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
        accumulator = self._accumulator
        with accumulator.lock:
            wake = None if self._always else accumulator.append(row)
            if wake is None:
                wake = self._gate.enter(row)
        if wake or self._asleep:
            self._ring()

    def submit(self, rows: Sequence[Row], on_durable: OnDurable | None = None) -> bool:
        """Send checked entries as one batch at once; False when memory is full.

        `on_durable(producer, first number, count)` is called on the sender's thread.
        Raises EntryError for a batch that no frame holds.
        """
        redactor = None if self._rules is None else Redactor(self._rules)
        payload = encode_rows(rows, None, self._limits.compress, redactor)
        size = unpacked_bytes(payload)
        if size > PAYLOAD_BYTES or len(rows) > BATCH_ROWS:
            found = f"{len(rows):,} rows, {size:,} bytes"
            expected = f"at most {BATCH_ROWS:,} rows and {PAYLOAD_BYTES:,} bytes"
            raise EntryError("batch", found, expected)
        ready = Ready(payload, len(rows), len(rows), on_durable)
        with self._accumulator.lock:
            if not self._gate.submit(ready):
                return False
            # `entry_from_map` has kept them
            unknown = sum("level_text" in (row[4] or ()) for row in rows)
            self._outbox.unknown_levels += unknown
            if redactor is not None and redactor.counts:
                self._outbox.redacted.update(redactor.counts)
        self._ring()
        return True

    def redact(self, rules: Rules | None) -> None:
        """Mask by these what is submitted from now on; None: nothing.

        What `log` takes keeps the rules that the collector was made with.
        """
        self._rules = rules

    def adopt(self) -> None:
        """Begin now to send what dead processes left, not with the first entry."""
        self._ring()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all that was logged is durable; True only when all of it is.

        False after `timeout` seconds, or when an entry since the last flush was dropped
        or refused.
        """
        end = clock.monotonic() + timeout
        box = self._outbox
        before = self._given_up_before
        with self._accumulator.lock:
            self._gate.catch_up()
            rows = box.flush_to = self._accumulator.accepted
        if rows:
            self._ring()
        return self._wait_until(rows, end, before)

    def close(self, timeout: float = 5.0) -> bool:
        """Send what is here, wait until it is durable, end the thread.

        Whether everything was durable within `timeout` seconds. What was not is in the
        spool (`stats()["spooled"]`) for a later session; without one it is dropped.
        """
        box = self._outbox
        with self._accumulator.lock:
            if self._closed:
                return self._done
            self._closed = True
            box.deadline = clock.monotonic() + timeout
            box.closing = True
            self._gate.catch_up()
            self._accumulator.close()
            rows = box.flush_to = self._accumulator.accepted
        _open_collectors.discard(self)
        if rows:
            self._ring()
        self._done = self._wait_until(rows, box.deadline, self._given_up_before)
        self._sender.ring()
        self._sender.join(timeout + 1.0)
        return self._done

    def stats(self) -> dict[str, Any]:
        """Counters; the README says what they mean."""
        with self._accumulator.lock:
            return self._outbox.stats(self._sender.redacted)

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
        self._given_up_before = 0
        self._begin()

    def _begin(self) -> None:
        limits = self._limits
        self._accumulator = Accumulator(
            limits.memory_bytes, limits.batch_rows, limits.batch_bytes
        )
        self._outbox = Outbox(self._accumulator)
        if limits.folder is None and limits.mode != "off":
            self._outbox.spool_errors += 1
            self._outbox.last_error = "spool: no folder; set spool_dir or HOME"
        self._sender = Sender(
            self._endpoints, limits, self._outbox, self._on_error, self._rules
        )
        session = self._sender.session
        self._gate = Gate(limits, self._wait, self._outbox, session, self._sender)
        self._always = session.always
        self._asleep = True
        """Whether the sender's thread has yet to be started."""

    def _wait_until(self, rows: int, end: float, before: int) -> bool:
        """Whether so many are settled in time; `before` were given up already."""
        box = self._outbox
        with self._accumulator.lock:
            while box.settled + box.evicted < rows:
                left = end - clock.monotonic()
                if left <= 0:
                    return False
                self._accumulator.room.wait(left)
            self._given_up_before = box.given_up
            return box.given_up == before

    def _ring(self) -> None:
        if not self._sender.runs:
            with self._accumulator.lock:
                self._sender.start()
            self._asleep = not self._sender.runs
        self._sender.ring()

    def _level(
        self, level: object, metadata: Metadata | None
    ) -> tuple[int, Metadata | None]:
        number = parse_level(level)
        if number is not None:
            return number, metadata
        self._outbox.unknown_levels += 1
        return int(Level.INFO), {"level_text": str(level), **(metadata or {})}


def _folder(mode: SpoolMode, given: str | Path, endpoint: str) -> Path | None:
    """Of the spools; raises ConfigError when "always" promises one and has none."""
    if mode == "off":
        return None
    folder = spool_folder(given, endpoint)
    if mode == "always":
        problem = "no folder; HOME is not set" if folder is None else unusable(folder)
        if problem:
            raise ConfigError("spool_dir", problem, 'a folder of its own for "always"')
    return folder


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
