"""The ingester's loop: sockets on one side, the committer on the other.

Order of a turn: answer subscriptions, take in messages until the commit is full, start
a commit when it is due and none runs, acknowledge what one made durable.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pipeline import clock, memory, service, transport
from pipeline.batch.pack import pack
from pipeline.control import endpoint_of
from pipeline.delivery.stream import Stream
from pipeline.ingester.batcher import Policy
from pipeline.ingester.committer import Commit, Committer
from pipeline.ingester.compaction.host import Compaction
from pipeline.ingester.control import Control, audit_entry
from pipeline.ingester.intake import Intake
from pipeline.ingester.publisher import Publisher
from pipeline.settings import Settings
from pipeline.store.writer import Writer
from pipeline.wire.frame import Reply, Status

RETRY_MS: Final = 250
"""Between two tries of a commit that the disk refused."""

_STATUS_SECONDS: Final = 1.0
_REASSURE_SECONDS: Final = 0.3
"""Producers whose batches wait for a slow commit hear how far they were accepted, well
before they would send again what is here already."""

_EXPIRE_SECONDS: Final = 60.0
_MESSAGES_A_TURN: Final = 16
"""Then the committer and the subscribers are looked at again."""

_QUIET_SECONDS: Final = 0.05
_DRAIN_SECONDS: Final = 2.0
"""At the end: receive until nothing came for the first, at most for the second."""


class Ingester:
    """One process: what comes in on one socket becomes blocks in one database."""

    def __init__(self, settings: Settings) -> None:
        boot = secrets.token_bytes(16)
        self._writer = Writer(
            Path(settings.storage.db_path),
            settings.storage.durability,
            lambda text: service.say(f"ingester: {text}"),
        )
        known = self._writer.streams()
        policy = Policy(
            rows=settings.ingest.commit_rows,
            age=settings.ingest.commit_interval_ms * 1_000_000,
        )
        self._intake = Intake(boot, known, policy)
        self._pull = transport.pull(settings.ingest.endpoint)
        self._publisher = Publisher(settings.publish.endpoint, boot)
        self._committer = Committer(self._writer)
        self._poller = transport.Poller()
        self._poller.watch(self._publisher.socket)
        self._poller.watch(self._committer.wake)
        self._compaction = Compaction(
            settings, self._writer, self._committer, self._poller
        )
        self._control = Control(
            endpoint_of(settings.control.endpoint, settings.storage.db_path),
            *(self._compaction, self._report, self._audit),
        )
        self._poller.watch(self._control.socket)
        self._audited: list[Callable[[], None]] = []
        self._committing: list[Callable[[], None]] = []
        self._receiving = False
        self._failed: Commit | None = None
        self._retry_at = 0.0
        self._status_at = self._expire_at = clock.monotonic()
        self._reassure_at = self._status_at

    def run(self, stop: service.StopSignal) -> None:
        """Work until asked to stop, then make durable what is here."""
        self._poller.watch(stop.fileno())
        while not stop.is_set:
            self._turn()
        self._drain()

    def close(self) -> None:
        """End worker and thread, and close sockets and database."""
        self._compaction.close()
        self._control.close()
        self._committer.close()
        self._pull.close(0)
        self._publisher.close()
        self._writer.close()

    def _turn(self) -> None:
        self._receive(not self._intake.batcher.full())
        ready = self._poller.wait(self._patience())
        now = self._look_at_clocks()
        self._greet(self._publisher.subscriptions())
        if self._pull in ready:
            self._take_in(now)
        self._advance(now)
        if self._control.socket in ready:
            self._control.serve(self._writer.last_block)
        self._compaction.step(clock.monotonic())
        self._tell(clock.monotonic(), now)

    def _look_at_clocks(self) -> int:
        """Nanoseconds, monotonic; the time of day may have been set meanwhile."""
        now = clock.monotonic_ns()
        self._intake.epoch = clock.now_ns() - now
        return now

    def _receive(self, wanted: bool) -> None:
        """Stop reading the socket when the next commit is full; senders then wait."""
        if wanted and not self._receiving:
            self._poller.watch(self._pull)
        elif self._receiving and not wanted:
            self._poller.forget(self._pull)
        self._receiving = wanted

    def _patience(self) -> float:
        """Seconds until something is due."""
        now = clock.monotonic()
        waits = [self._status_at - now, self._compaction.patience(now)]
        if self._committer.busy:
            waits.append(self._reassure_at - now)
        if self._failed is not None and not self._committer.busy:
            waits.append(self._retry_at - now)
        deadline = self._intake.batcher.deadline()
        if deadline is not None and not self._committer.busy and not self._failed:
            waits.append((deadline - clock.monotonic_ns()) / 1e9)
        return max(0.0, min(waits))

    def _take_in(self, now: int) -> None:
        for _ in range(_MESSAGES_A_TURN):
            if self._intake.batcher.full():
                return
            frames = transport.receive_views(self._pull)
            if frames is None:
                return
            self._intake.receive(frames, now)

    def _advance(self, now: int) -> None:
        """Follow the running commit, answer producers, start the next commit."""
        ended = self._committer.ended()
        if ended is not None:
            self._conclude(ended)
        for producer, kind in self._intake.replies.items():
            stream = self._intake.streams.peek(producer)
            if stream is not None:
                self._publisher.acknowledge(stream, kind, self._status())
        self._intake.replies.clear()
        if self._failed is not None:
            if clock.monotonic() >= self._retry_at and not self._committer.busy:
                self._committer.submit(self._failed)
        elif not self._committer.busy and self._intake.due(now):
            self._committing, self._audited = self._audited, []
            self._committer.submit(Commit(self._intake.cut(now)))

    def _conclude(self, commit: Commit) -> None:
        if commit.error is not None:
            if self._failed is None:
                service.say(f"ingester: {commit.error}; trying again")
            self._failed = commit
            self._retry_at = clock.monotonic() + RETRY_MS / 1000
            self._intake.counters["commits_failed"] += 1
            self._refuse(commit)
            return
        self._failed = None
        self._intake.counters["commits"] += 1
        if commit.sealed:
            self._compaction.committed(clock.monotonic())
        for stream in self._intake.committed(commit.cut):
            kind = Reply.ACK
            if stream.waiting and stream.durable >= stream.accepted:
                kind, stream.waiting = Reply.HELLO, False
            self._publisher.acknowledge(stream, kind, Status.OK)
        for block, sealed in enumerate(commit.sealed or (), commit.first_block):
            self._publisher.publish(block, sealed)
        for then in self._committing:
            then()
        self._committing = []

    def _refuse(self, commit: Commit) -> None:
        """Tell the producers of a failed commit to hold what they have."""
        for mark in commit.cut.marks:
            stream = self._intake.streams.peek(mark.producer)
            if stream is not None:
                self._publisher.acknowledge(
                    stream, Reply.ACK, Status.DISK_FULL, RETRY_MS
                )

    def _status(self) -> Status:
        return Status.OK if self._failed is None else Status.DISK_FULL

    def _greet(self, producers: list[bytes]) -> None:
        """Answer a subscription with HELLO, once all that was accepted is durable."""
        for producer in producers:
            stream = self._intake.streams.peek(producer) or Stream(producer)
            if stream.durable < stream.accepted:
                stream.waiting = True
            else:
                self._publisher.acknowledge(stream, Reply.HELLO, self._status())

    def _tell(self, moment: float, now: int) -> None:
        if moment >= self._status_at or self._publisher.status_asked:
            self._status_at = moment + _STATUS_SECONDS
            self._publisher.status(self._report())
        if moment >= self._reassure_at:
            self._reassure_at = moment + _REASSURE_SECONDS
            for stream in self._intake.undurable():
                self._publisher.acknowledge(stream, Reply.ACK, self._status())
        if moment >= self._expire_at:
            self._expire_at = moment + _EXPIRE_SECONDS
            self._intake.streams.expire(now)

    def _report(self) -> dict[str, Any]:
        """How the ingester is, for all who ask."""
        return {
            "pid": os.getpid(),
            "time": clock.now_ns(),
            "status": self._status().name,
            "producers": len(self._intake.streams),
            "waiting_rows": self._intake.batcher.rows,
            "last_block": self._writer.last_block,
            "counters": {**self._intake.counters, **self._publisher.counters},
            "compaction": self._compaction.status(),
        }

    def _audit(
        self,
        request: dict[str, Any],
        totals: dict[str, int],
        then: Callable[[], None],
    ) -> None:
        """Store who deleted what, as any other entry; `then` is called when it is
        durable."""
        now = self._look_at_clocks()
        entry = audit_entry(request, totals, now + self._intake.epoch)
        self._intake.receive([pack(entry)], now)
        self._intake.batcher.flush(now)
        self._audited.append(then)

    def _drain(self) -> None:
        """Take in what has arrived and commit it; what is not acknowledged is held by
        its sender."""
        end = clock.monotonic() + _DRAIN_SECONDS
        quiet = clock.monotonic() + _QUIET_SECONDS
        while clock.monotonic() < min(end, quiet):
            before = self._intake.counters["messages"]
            self._receive(not self._intake.batcher.full())
            self._poller.wait(0.01)
            now = self._look_at_clocks()
            self._take_in(now)
            self._advance(now)
            if self._intake.counters["messages"] != before:
                quiet = clock.monotonic() + _QUIET_SECONDS
        self._finish(end + _DRAIN_SECONDS)

    def _finish(self, end: float) -> None:
        """Commit what waits; a disk that refuses gets until `end`."""
        self._intake.batcher.hasten(0)
        while clock.monotonic() < end:
            now = self._look_at_clocks()
            self._advance(now)
            waits = self._intake.batcher.deadline() is not None
            if not waits and not self._committer.busy and self._failed is None:
                return
            self._poller.wait(0.01)


def run(settings: Settings) -> None:
    """The ingester's process: until SIGTERM or SIGINT."""
    memory.return_large_blocks()
    stop = service.stop_on_signals()
    ingester = Ingester(settings)
    service.announce_ready("ingester", f"{settings.ingest.endpoint}")
    try:
        ingester.run(stop)
    finally:
        ingester.close()
