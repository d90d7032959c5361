"""One file that is followed: what it is, how far it was read, and what it was found as.

It reads its file and decides what that means; asking the ingester and sending is its
owner's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Final

from pipeline.collectors.tail.feed import Checkpoint, Feed
from pipeline.collectors.tail.identity import fingerprint
from pipeline.collectors.tail.opened import OpenFile
from pipeline.collectors.tail.probe import Probe
from pipeline.collectors.tail.scan import Found
from pipeline.wire.frame import file_tail

CHUNK_BYTES: Final = 256 << 10
"""Read of one file before it is another's turn."""

QUIET_SECONDS: Final = 5.0
"""A renamed or deleted file to which nothing was written for so long is final."""

OPEN_SECONDS: Final = 1.0
"""An entry that could go on waits so long for its next line."""

_SKIP_BYTES: Final = 1 << 20


class Stage(Enum):
    """Where a file is on its way to being read."""

    NEW = auto()
    """Too short to tell it from others."""

    ASKING = auto()
    """The ingester is asked how far it has it."""

    UNSEEN = auto()
    """The ingester doesn't have it."""

    COPY = auto()
    """What is in it is read, or was, from the file that it was copied from."""

    READING = auto()
    EMPTYING = auto()
    """It was emptied or replaced, and what was read before is on its way."""

    CLOSED = auto()
    """Read to its end, and looked at again when it changes."""

    IGNORED = auto()
    """It was rotated away before anything was followed."""

    FAILED = auto()
    """It can't be opened or read; tried again."""


@dataclass(slots=True)
class Followed:
    """A file by its inode."""

    found: Found
    changed_at: float
    """When it, or its name, was last seen to change, monotonic."""

    is_early: bool
    """Whether it was there when the process started."""

    old_bytes: int = 0
    """Of it that were there when the process started."""

    stage: Stage = Stage.NEW
    file: OpenFile | None = None
    feed: Feed | None = None
    probe: Probe | None = None
    after: Feed | None = None
    """What must be durable before the file is read anew."""

    size: int = -1
    modified: int = -1
    fed_at: float = 0.0
    is_due: bool = False
    """Whether there may be something to read."""

    is_named: bool = True
    """Whether the last look around has found it."""

    is_known: bool = False
    """Whether any of it was ever read."""

    copied: bytes = b""
    """The producer of the stream that it is a copy of."""

    problem: str = ""
    generation: int = 0
    replaced: int = 0
    """How often it was emptied or replaced."""

    renamed: int = 0

    @property
    def path(self) -> str:
        """Its name, as it was last seen."""
        return self.found.path

    @property
    def is_past(self) -> bool:
        """Whether it is no longer where it was written to."""
        return self.found.is_rotated or not self.is_named

    @property
    def name(self) -> str:
        """Its path when it was written to."""
        return self.found.primary if self.found.is_rotated else self.found.path

    @property
    def last_change(self) -> int:
        """When it was last written to, in nanoseconds since 1970."""
        return max(self.modified, self.found.modified)

    @property
    def is_caught_up(self) -> bool:
        """Whether all of it was read, and is durable."""
        feed = self.feed
        if feed is None:
            return self.stage is Stage.NEW and self.size == 0
        is_sent = feed.is_done and not feed.cutter.is_within_line
        return self.stage is Stage.READING and is_sent and not self.is_due

    @property
    def behind(self) -> int:
        """Bytes that are not durable."""
        durable = self.feed.window.durable if self.feed else 0
        return max(0, self.size - durable)

    def status(self) -> str:
        """How far it is, in one line."""
        feed = self.feed
        counts: dict[str, object] = {"size": self.size}
        if feed is not None:
            counts |= {"read": feed.cutter.position, "durable": feed.window.durable}
            counts |= {"behind": self.behind, "entries": feed.entries}
            counts |= {"rejected": feed.rejected, **feed.parser_counts}
        counts |= {"generation": self.generation, "replaced": self.replaced}
        counts |= {"renamed": self.renamed, "problem": self.problem or None}
        shown = [f"{name} {value}" for name, value in counts.items() if value]
        return f"{self.path}: {self.stage.name.lower()}, " + ", ".join(shown)

    def open(self) -> OpenFile:
        """The file; raises OSError. Another one under its name is not taken."""
        if self.file is None:
            file = OpenFile(Path(self.path))
            if file.inode != self.found.inode:
                file.close()
                raise FileNotFoundError(0, "was replaced meanwhile", self.path)
            self.file = file
        return self.file

    def close(self) -> None:
        """Let go of the file, not of what was read of it."""
        if self.file is not None:
            self.file.close()
            self.file = None

    def look(self, now: float) -> bool:
        """Whether it has changed since the last look; raises OSError."""
        if self.file is None:
            return False
        look = self.file.look()
        if (look.size, look.modified) == (self.size, self.modified):
            return False
        if look.size < self.old_bytes:
            self.old_bytes = 0  # emptied: what is in it now was not there
        self.size, self.modified = look.size, look.modified
        self.changed_at = now
        return True

    @property
    def seems_changed(self) -> bool:
        """Whether the last look around saw another size or time than the last look."""
        return (self.found.size, self.found.modified) != (self.size, self.modified)

    def is_quiet(self, now: float) -> bool:
        """Whether nothing was written to it for a while."""
        return now - self.changed_at >= QUIET_SECONDS

    def identify(self, now: float) -> bool:
        """Whether it can be told from others by now: then `probe` asks; OSError."""
        file = self.open()
        self.look(now)
        is_final = self.is_past and self.is_quiet(now)
        first = fingerprint(file.head(), is_final=is_final)
        if first is None:
            return False
        self.probe = Probe(first, self.found.inode, self.found.others)
        return True

    def still_is(self, first: bytes) -> bool:
        """Whether it still begins as it did; raises OSError."""
        return self.open().head().startswith(first)

    def read(self, now: int, moment: float) -> bool:
        """Feed the next bytes; False when it is another file now. Raises OSError.

        The bytes before them come with the same call, so that nothing can change
        between the look at what it was and the reading of what it has become.
        """
        if self.file is None:
            self.open()
            self.look(moment)
        file, feed = self.open(), self.feed
        assert feed is not None
        position, before = feed.cutter.position, feed.before
        data = file.read(position - len(before), len(before) + CHUNK_BYTES)
        if not data.startswith(before):
            return False
        chunk = data[len(before) :]
        if position == 0 and self.probe is not None:
            first = self.probe.fingerprint
            if chunk[: len(first)] != first:
                return False
        if chunk:
            feed.feed(chunk, now)
            self.fed_at = self.changed_at = moment
        self.is_due = len(chunk) == CHUNK_BYTES
        return True

    def skip_old(self, now: float) -> None:
        """Begin behind the last line that was there at the start; raises OSError."""
        file, feed = self.open(), self.feed
        assert feed is not None
        self.look(now)
        start = max(0, self.old_bytes - _SKIP_BYTES)
        data = file.read(start, self.old_bytes - start)
        end = start + data.rfind(b"\n") + 1
        if end == start > 0:  # within a line that is longer than any entry
            end = self.old_bytes
        if end > feed.window.last:
            feed.skip(end, file.before(end))


def covers(checkpoints: Iterable[Checkpoint], file: OpenFile) -> bool | None:
    """Whether a file has what a stream had where it was; None: that can't be told.

    Raises OSError.
    """
    size = file.look().size
    reached = [point for point in checkpoints if point.offset <= size]
    if not reached:
        return None
    last = max(reached)
    return file_tail(file.before(last.offset)) == last.tail
