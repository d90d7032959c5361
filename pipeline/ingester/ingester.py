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

from pipeline import clock, journal, service, transport
from pipeline.batch.pack import pack
from pipeline.control import endpoint_of
from pipeline.delivery.stream import Stream
from pipeline.entry import Entry
from pipeline.errors import PipelineError
from pipeline.ingester.batcher import Policy
from pipeline.ingester.committer import Commit, Committer
from pipeline.ingester.compaction.host import Compaction
from pipeline.ingester.control import Control
from pipeline.ingester.door import NO_COUNTS, Door, door_of
from pipeline.ingester.intake import Intake
from pipeline.ingester.publisher import Publisher
from pipeline.ingester.retention import rules
from pipeline.ingester.space.space import Space, make_way
from pipeline.level import Level
from pipeline.settings import Settings
from pipeline.settings.live import taken_over
from pipeline.settings.watching import Configuration, Reading
from pipeline.store.writer import Writer
from pipeline.wire.frame import Reply, Status

NAME: Final = "ingester"
RETRY_MS: Final = 250
"""Between two tries of a commit that the disk refused."""

HOLD_MS: Final = 1000
"""Between two tries of senders, while the disk has no room: each sends its window."""

READING_SECONDS: Final = 0.05
"""Between two looks whether the configuration has been read."""

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

    def __init__(self, settings: Settings, configuration: Configuration) -> None:
        self._settings = settings
        self._reading = Reading(configuration)
        boot = secrets.token_bytes(16)
        make_way(Path(settings.storage.db_path))
        self._writer = Writer(
            Path(settings.storage.db_path),
            settings.storage.durability,
            lambda text: journal.error(NAME, text),
        )
        known = self._writer.streams()
        self._intake = Intake(boot, known, _policy_of(settings))
        self._door, own = door_of(settings)
        self._pull = transport.pull(settings.ingest.endpoint, own)
        self._publisher = Publisher(settings.publish.endpoint, boot, own, self._door)
        self._committer = Committer(self._writer)
        self._poller = transport.Poller()
        self._poller.watch(self._publisher.socket)
        if self._door is not None:
            self._poller.watch(self._door.socket)
        self._poller.watch(self._committer.wake)
        self._compaction = Compaction(
            settings, self._writer, self._committer, self._poller, self._log
        )
        self._space: Space = self._compaction.space
        self._control = Control(
            endpoint_of(settings.control.endpoint, settings.storage.db_path),
            *(self._compaction, self._report, self._audit, self._reload_now),
        )
        self._poller.watch(self._control.socket)
        self._audited: list[Callable[[], None]] = []
        self._committing: list[Callable[[], None]] = []
        self._receiving = False
        self._failed: Commit | None = None
        self._retry_at = 0.0
        self._told = self._status(), self._space.stage
        self._status_at = self._expire_at = clock.monotonic()
        self._reassure_at = self._status_at

    def run(self, stop: service.StopSignal) -> None:
        """Work until asked to stop, then make durable what is here."""
        service.on_hangup(self._reading.ask, stop.set)
        self._poller.watch(stop.fileno())
        while not stop.is_set:
            self._turn()
            stop.drain()
        self._drain()

    def close(self) -> None:
        """End worker and thread, and close sockets and database."""
        self._compaction.close()
        self._control.close()
        self._committer.close()
        self._pull.close(0)
        self._publisher.close()
        if self._door is not None:
            self._door.close()
        self._writer.close()

    def _turn(self) -> None:
        self._receive(self._has_room())
        ready = self._poller.wait(self._patience())
        now = self._look_at_clocks()
        self._look_at_disk()
        if self._door is not None:
            self._serve(self._door)
        self._greet(self._publisher.subscriptions())
        if self._pull in ready:
            self._take_in(now)
        self._advance(now)
        if self._control.socket in ready:
            self._control.serve(self._writer.last_block)
        self._compaction.step(clock.monotonic())
        self._maybe_reload()
        journal.own.store(self._note)
        self._tell(clock.monotonic(), now)

    def _look_at_clocks(self) -> int:
        """Nanoseconds, monotonic; the time of day may have been set meanwhile."""
        now = clock.monotonic_ns()
        self._intake.epoch = clock.now_ns() - now
        return now

    def _look_at_disk(self) -> None:
        refused = self._intake.counters["entries_refused"]
        self._space.see(
            clock.monotonic(), is_refused=self._failed is not None, refused=refused
        )
        self._intake.is_refusing = self._space.is_full

    def _has_room(self) -> bool:
        """Whether messages can be taken in; on a full disk they are refused."""
        return self._intake.is_refusing or not self._intake.batcher.full()

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
        waits.append(self._space.patience(now))
        if self._reading.is_running:
            waits.append(READING_SECONDS)
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
            if not self._has_room():
                return
            if self._door is not None:
                if not self._take_from(self._door, now):
                    return
                continue
            frames = transport.receive_views(self._pull)
            if frames is None:
                return
            self._intake.receive(frames, now)

    def _serve(self, door: Door) -> None:
        """Let in who waits; keys that came and went are in the audit."""
        door.serve(clock.monotonic())
        while door.notes:
            self._audit(door.notes.pop(0), lambda: None)

    def _take_from(self, door: Door, now: int) -> bool:
        """Take one message in if its sender's key may send it; False: none waits."""
        found = transport.receive_from(self._pull)
        if found is None:
            return False
        sender = door.allowed(found[0])
        if sender is not None:
            self._intake.receive(found[1], now, check=door.check(sender))
        return True

    def _advance(self, now: int) -> None:
        """Follow the running commit, answer producers, start the next commit."""
        ended = self._committer.ended()
        if ended is not None:
            self._conclude(ended)
        for producer, kind in self._intake.replies.items():
            stream = self._intake.streams.peek(producer)
            if stream is not None:
                self._acknowledge(stream, kind)
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
                journal.error(NAME, f"{commit.error}; trying again")
            self._failed = commit
            self._retry_at = clock.monotonic() + RETRY_MS / 1000
            self._intake.counters["commits_failed"] += 1
            self._space.hasten()
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
            self._acknowledge(stream, kind)
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
                self._acknowledge(stream, Reply.ACK)

    def _acknowledge(self, stream: Stream, kind: Reply) -> None:
        """Tell a producer how far it is, and how long to wait where nothing can be
        stored."""
        status = self._status()
        wait = HOLD_MS if self._space.is_full else RETRY_MS
        retry = 0 if status is Status.OK else wait
        self._publisher.acknowledge(stream, kind, status, retry)

    def _status(self) -> Status:
        is_well = self._failed is None and not self._space.is_full
        return Status.OK if is_well else Status.DISK_FULL

    def _greet(self, producers: list[bytes]) -> None:
        """Answer a subscription with HELLO, once all that was accepted is durable."""
        for producer in producers:
            stream = self._intake.streams.peek(producer) or Stream(producer)
            if stream.durable < stream.accepted:
                stream.waiting = True
            else:
                self._acknowledge(stream, Reply.HELLO)

    def _tell(self, moment: float, now: int) -> None:
        known = self._status(), self._space.stage
        is_news = known != self._told or self._publisher.status_asked
        if moment >= self._status_at or is_news:
            self._status_at, self._told = moment + _STATUS_SECONDS, known
            self._publisher.status(self._report())
        if moment >= self._reassure_at:
            self._reassure_at = moment + _REASSURE_SECONDS
            for stream in self._intake.undurable():
                self._acknowledge(stream, Reply.ACK)
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
            "retention": self._compaction.retention,
            "space": self._space.status(),
            "journal": journal.own.told(),
            "keys": dict(NO_COUNTS if self._door is None else self._door.counters),
        }

    def _reload_now(self) -> dict[str, Any]:
        """Who asks has had the configuration checked; raises PipelineError."""
        wanted = self._reading.now()
        rules.check(wanted)
        return {"changed": self._take_over(wanted)}

    def _maybe_reload(self) -> None:
        """Go by what was read; the old settings stay where it is wrong."""
        read = self._reading.step(clock.monotonic())
        if isinstance(read, PipelineError):
            journal.warn(NAME, f"the old configuration stays: {read}")
        elif read is not None:
            self._take_over(read)

    def _take_over(self, wanted: Settings) -> list[str]:
        self._settings, changed, _ = taken_over(self._settings, wanted, "ingester")
        self._intake.batcher.policy = _policy_of(self._settings)
        self._compaction.reload(self._settings)
        service.say(f"ingester: reloaded: {', '.join(changed) or 'nothing changed'}")
        return changed

    def _note(self, entry: Entry) -> bool:
        self._log({**entry._asdict(), "tags": [], "level": Level(entry.level).name})
        return True

    def _log(self, entry: dict[str, Any]) -> None:
        """Store an entry of the ingester's own, as any other."""
        now = self._look_at_clocks()
        stamped = {"timestamp": now + self._intake.epoch, **entry}
        self._intake.receive([pack(stamped)], now, is_own=True)

    def _audit(self, entry: dict[str, Any], then: Callable[[], None]) -> None:
        """Store who did what, as any other entry; `then` is called when it is
        durable."""
        now = self._look_at_clocks()
        stamped = {**entry, "timestamp": now + self._intake.epoch}
        self._intake.receive([pack(stamped)], now, is_own=True)
        self._intake.batcher.flush(now)
        self._audited.append(then)

    def _drain(self) -> None:
        """Take in what has arrived and commit it; what is not acknowledged is held by
        its sender."""
        self._compaction.finish(clock.monotonic())
        end = clock.monotonic() + _DRAIN_SECONDS
        quiet = clock.monotonic() + _QUIET_SECONDS
        while clock.monotonic() < min(end, quiet):
            before = self._intake.counters["messages"]
            self._receive(self._has_room())
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


def _policy_of(settings: Settings) -> Policy:
    interval = settings.ingest.commit_interval_ms * 1_000_000
    return Policy(rows=settings.ingest.commit_rows, age=interval)
