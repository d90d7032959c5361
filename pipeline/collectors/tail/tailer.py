"""Follows files: one thread, one link to the ingester, a bounded amount of memory.

There is no file of marks.  A file's bytes are the numbers of its producer, so that what
the ingester says of that producer is where to go on; whether the file still is the one
that was read is told by the 64 bytes before that place.

Order of a turn: take replies in, look around for files (each second), look at files
(five times a second), read a chunk of each that has more, send.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from pipeline import clock, transport
from pipeline.collectors.link import Link
from pipeline.collectors.tail.asking import Asking
from pipeline.collectors.tail.family import Choice, choose, readable, unclosed
from pipeline.collectors.tail.followed import OPEN_SECONDS, Followed, Stage, covers
from pipeline.collectors.tail.identity import Inode
from pipeline.collectors.tail.opened import OpenFile, allow
from pipeline.collectors.tail.probe import GENERATIONS_MAX, Mark, matches
from pipeline.collectors.tail.scan import FILES_MAX, Found, Scan, scan
from pipeline.collectors.tail.sending import Sending
from pipeline.collectors.tail.streams import Streams
from pipeline.journal import warn
from pipeline.redaction import Redactor
from pipeline.service import StopSignal, say
from pipeline.settings.model import Files

NAME: Final = "collector"
MEMORY_BYTES: Final = 16 << 20
"""Held of all files together; beyond, nothing is read until some of it is durable."""

OPEN_MAX: Final = 512
"""Files open at once; beyond, those that were quiet longest are closed."""

DRAIN_SECONDS: Final = 2.0
"""At the end, for what was sent; what isn't durable then is read again."""

LOOK_SECONDS: Final = 0.2
SCAN_SECONDS: Final = 1.0
_SCAN_SHARE: Final = 50
"""A look around that takes long comes at most every so many times as long."""

_HELD_BYTES: Final = 64 << 10
_CHUNKS_A_TURN: Final = 4


class Tailer:
    """All files of one process."""

    def __init__(
        self, groups: Sequence[Files], link: Link, redactor: Redactor | None = None
    ) -> None:
        self.files: dict[Inode, Followed] = {}
        self.beyond = 0
        """Files that match and are left alone, because there are too many."""

        self._groups = groups
        self._link = link
        self._memory_bytes = MEMORY_BYTES
        self._sending = Sending(link)
        self._asking = Asking(link, self._sending.feeds)
        self._redactor = redactor
        self._streams = Streams(self._sending, redactor)
        self._poller = transport.Poller()
        self._link.register(self._poller)
        self._look_at = self._scan_at = clock.monotonic()
        self._since = clock.now_ns()
        self._open_max = OPEN_MAX
        self._is_crowded = False
        """Whether a file was closed because too many are open."""

        self._problem = ""
        self._has_scanned = False
        self._first: Scan | None = scan(groups)
        """What was there before; what comes from now on is new."""

        self._is_busy = False

    def run(self, stop: StopSignal, is_over: Callable[[], bool]) -> None:
        """Follow until asked to stop, then wait a moment for what is on its way."""
        self._open_max = allow(OPEN_MAX)
        self._poller.watch(stop.fileno())
        while not stop.is_set and not is_over():
            self.turn()
            stop.drain()
        self._poller.forget(stop.fileno())
        end = clock.monotonic() + DRAIN_SECONDS
        while not self._sending.is_idle and clock.monotonic() < end:
            self._poller.wait(LOOK_SECONDS / 10)
            for producer, reply in self._link.replies():
                self._sending.acknowledge(producer, reply, clock.monotonic_ns())
            self._sending.send(clock.monotonic_ns(), clock.monotonic())

    def close(self) -> None:
        """Let go of all files."""
        for followed in self.files.values():
            followed.close()

    def turn(self) -> None:
        """Wait until something is due, and do it."""
        self._poller.wait(self._patience())
        moment = clock.monotonic()
        self._listen(moment)
        if moment >= self._scan_at:
            self._scan(moment)
        if moment >= self._look_at:
            self._look_at = moment + LOOK_SECONDS
            self._look(moment)
        done = self._asking.advance(moment)
        for followed in done:
            with self._guarded(followed):
                self._resolve(followed, moment)
        if done:
            self._decide()
        self._is_busy = self._read(moment)
        self._sending.send(clock.monotonic_ns(), moment)
        self._link.watch_room(self._poller, wanted=self._sending.is_blocked)

    def _patience(self) -> float:
        return 0.0 if self._is_busy else max(0.0, self._look_at - clock.monotonic())

    def _listen(self, moment: float) -> None:
        now = clock.monotonic_ns()
        for producer, reply in self._link.replies():
            self._asking.answer(producer, reply)
            if not self._sending.acknowledge(producer, reply, now):
                owner = self._streams.drop(producer)
                if owner is not None:
                    self._identify(owner, moment)

    # Which files there are

    def _scan(self, moment: float) -> None:
        found, self._first = self._first or scan(self._groups), None
        took = clock.monotonic() - moment
        self._scan_at = moment + max(SCAN_SECONDS, _SCAN_SHARE * took)
        for file in found.files:
            self._meet(file, moment)
        seen = {file.inode for file in found.files}
        for inode in self.files.keys() - seen:
            if not found.hides(self.files[inode].found):
                self._miss(self.files[inode], moment)
        if found.problem not in ("", self._problem):
            warn(NAME, found.problem)
        self._problem = found.problem
        if not self._has_scanned:
            for group in self._groups:
                if not any(file.group is group for file in found.files):
                    say(f"collector: no file matches {', '.join(group.paths)} yet")
        self._has_scanned = True
        if found.beyond != self.beyond:
            self.beyond = found.beyond
            warn(NAME, f"{self.beyond} files beyond {FILES_MAX} are left alone")

    def _meet(self, found: Found, moment: float) -> None:
        followed = self.files.get(found.inode)
        if followed is None:
            old_bytes = 0 if self._has_scanned else found.size
            followed = Followed(found, moment, not self._has_scanned, old_bytes)
            self.files[found.inode] = followed
            self._identify(followed, moment)
            return
        if followed.path != found.path:
            followed.renamed += 1
            followed.changed_at, followed.is_due = moment, True
            if followed.path == followed.found.primary:
                say(f"collector: {followed.path} is {found.path} now")
        followed.found, followed.is_named = found, True
        if self._is_open_again(followed):
            self._identify(followed, moment)

    def _is_open_again(self, followed: Followed) -> bool:
        """Whether what was decided about a file may be otherwise by now."""
        if followed.stage is Stage.FAILED:
            return self._streams.is_over(followed.after)
        if followed.stage is Stage.COPY and not self._streams.is_busy(followed.copied):
            return True
        if followed.file is None and followed.seems_changed:
            followed.is_due = followed.is_due or followed.stage is Stage.READING
            if followed.stage is Stage.NEW:
                return True
        is_closed = followed.stage in (Stage.CLOSED, Stage.IGNORED, Stage.COPY)
        return is_closed and followed.seems_changed

    def _miss(self, followed: Followed, moment: float) -> None:
        """Its names are gone; while it is open it is read to its end."""
        if followed.is_named:
            followed.is_named, followed.changed_at = False, moment
            followed.is_due = True
        if followed.file is not None:
            return
        if followed.feed is not None:  # it was closed, since too many were open
            followed.feed.finish(clock.now_ns())
            self._streams.release(followed)
            followed.stage = Stage.FAILED
        elif self._streams.is_over(followed.after):
            self._asking.forget(followed)
            del self.files[followed.found.inode]

    def _identify(self, followed: Followed, moment: float) -> None:
        with self._guarded(followed):
            if followed.identify(moment):
                self._asking.add(followed)
            else:
                followed.stage = Stage.NEW

    @contextmanager
    def _guarded(self, followed: Followed) -> Iterator[None]:
        """A file that can't be opened or read is tried again; it is said once.

        One more than may be open is closed at once, and opened when it is needed.
        """
        try:
            yield
            if OpenFile.count > self._open_max and followed.is_named:
                followed.close()
                self._is_crowded = True
        except OSError as error:
            problem = error.strerror or str(error)
            if problem != followed.problem:
                warn(NAME, f"{followed.path}: {problem}; trying again")
            followed.problem = problem
            self._streams.release(followed, keeps_rest=False)
            followed.close()
            followed.stage = Stage.FAILED

    # Where to go on with each

    def _resolve(self, followed: Followed, moment: float) -> None:
        """All answers are there; raises OSError."""
        probe, file = followed.probe, followed.open()
        assert probe is not None
        if not followed.still_is(probe.fingerprint):
            self._identify(followed, moment)
            return
        own = probe.own()
        if own is not None:
            followed.is_known = True
            if matches(own, file.look().size, file.before):
                self._streams.begin(
                    followed, own.producer, own.generation, own.reply.durable
                )
            else:
                self._begin_fresh(followed)
        elif not any(self._goes_on(followed, mark) for mark in probe.copied()):
            followed.stage = Stage.UNSEEN

    def _goes_on(self, followed: Followed, mark: Mark) -> bool:
        """Whether a file is a copy of another, and if so, what follows; OSError."""
        file, producer = followed.open(), mark.producer
        size, is_taken = file.look().size, producer in self._sending.feeds
        is_copy = covers(self._sending.checkpoints(producer), file)
        if not is_taken and matches(mark, size, file.before):
            self._streams.begin(followed, producer, mark.generation, mark.reply.durable)
            return True
        if not is_taken and 0 < mark.reply.durable <= size:
            return False
        if is_copy is False:
            return False
        if is_copy and not is_taken and mark.reply.durable > size:
            followed.stage, followed.is_known = Stage.CLOSED, True  # read to its end
        elif is_copy is None and followed.is_quiet(clock.monotonic()):
            return False
        else:
            followed.stage, followed.copied = Stage.COPY, producer
            self._streams.hand_over(producer)
        followed.close()
        return True

    def _decide(self) -> None:
        """Begin files that the ingester doesn't have."""
        names = {
            f.found.primary for f in self.files.values() if f.stage is Stage.UNSEEN
        }
        for name in names:
            members = [f for f in self.files.values() if f.found.primary == name]
            for followed, choice in choose(members, self._since):
                with self._guarded(followed):
                    if choice is Choice.IGNORE:
                        followed.stage = Stage.IGNORED
                        followed.close()
                        continue
                    self._begin_fresh(followed)
                    if choice is Choice.SKIP:
                        followed.skip_old(clock.monotonic())

    def _begin_fresh(self, followed: Followed) -> None:
        assert followed.probe is not None
        fresh = followed.probe.fresh()
        if fresh is None:
            raise OSError(0, f"began {GENERATIONS_MAX} times with the same line")
        self._streams.begin(followed, *fresh, 0)

    def status(self) -> Iterator[str]:
        """A line for each file, and one for all."""
        for followed in self.files.values():
            yield followed.status()
        streams = len(self._sending.feeds)
        yield (
            f"{len(self.files)} files, {self.beyond} left alone, {streams} streams,"
            f" {self._sending.memory} bytes held"
        )
        if self._redactor is not None:
            yield self._redactor.told

    # Reading

    def _look(self, moment: float) -> None:
        for followed in list(self.files.values()):
            with self._guarded(followed):
                if followed.look(moment):
                    followed.is_due = True
                self._advance(followed, moment)
        self._streams.see_off(moment)
        if self._is_crowded:
            self._make_room()

    def _make_room(self) -> None:
        """Close those that were quiet longest, for those that were closed for them."""
        self._is_crowded = False
        opened = [f for f in self.files.values() if f.file is not None and f.is_named]
        opened.sort(key=lambda followed: followed.changed_at)
        for followed in opened[: max(1, self._open_max // 8)]:
            if followed.is_caught_up:
                self._streams.retire(followed)
            elif not followed.is_due:
                followed.close()

    def _advance(self, followed: Followed, moment: float) -> None:
        """What time does to a file; raises OSError."""
        is_over = followed.is_past and followed.is_quiet(moment)
        if followed.stage is Stage.NEW:
            if followed.size > 0 and (followed.is_due or is_over):
                followed.is_due = False
                self._identify(followed, moment)
            elif is_over:
                self._retire(followed)
        elif followed.stage is Stage.EMPTYING:
            if self._streams.is_over(followed.after):
                followed.after = None
                self._identify(followed, moment)
        elif followed.stage is Stage.READING and not followed.is_due:
            feed = followed.feed
            assert feed is not None
            if followed.is_caught_up and (is_over or followed.file is None):
                self._retire(followed)
            elif is_over:
                feed.finish(clock.now_ns())
            elif moment - followed.fed_at >= OPEN_SECONDS:
                feed.close(clock.now_ns())

    def _read(self, moment: float) -> bool:
        """Read a few chunks, of those that waited longest; whether there is more."""
        due = readable(self.files.values())
        due.sort(key=lambda followed: followed.fed_at)
        for followed in unclosed(self.files.values()):
            if followed.feed is not None:
                followed.feed.close(clock.now_ns())
        for followed in due[:_CHUNKS_A_TURN]:
            if self._sending.memory >= self._memory_bytes:
                return self._relieve(due, moment)
            self._read_one(followed, moment)
        return bool(due)

    def _read_one(self, followed: Followed, moment: float) -> None:
        with self._guarded(followed):
            if followed.read(clock.now_ns(), moment):
                followed.problem = ""
            else:
                self._streams.release(followed)
                followed.stage, followed.replaced = (
                    Stage.EMPTYING,
                    followed.replaced + 1,
                )
                say(f"collector: {followed.path}: was emptied or replaced; begins anew")

    def _relieve(self, due: Sequence[Followed], moment: float) -> bool:
        """Memory is full of lines without an end: the longest one may go on."""
        if not self._sending.is_idle:
            return False
        reading = [f for f in self.files.values() if f.feed is not None]
        longest = max(reading, key=lambda f: f.feed.cutter.held if f.feed else 0)
        if longest in due:
            self._read_one(longest, moment)
            return True
        for followed in reading:
            feed = followed.feed
            if feed is not None and feed.cutter.held > _HELD_BYTES:
                feed.rewind()
        return False

    def _retire(self, followed: Followed) -> None:
        self._streams.retire(followed)
        if not followed.is_named:
            del self.files[followed.found.inode]
