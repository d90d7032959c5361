"""The process that compacts: orders on standard input, blocks on standard output.

It can't write: each block that it makes is swapped in by the ingester, while it makes
the next. It ends with its input, at once, since it holds nothing that matters.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any, BinaryIO, Final

from pipeline import clock, journal, memory
from pipeline.entry import Entry
from pipeline.errors import FrameError, QueryError, StoreError
from pipeline.ingester.compaction.deleting import plan_deletion, rewrite
from pipeline.ingester.compaction.frames import pack_frame, read_frame
from pipeline.ingester.compaction.merging import NAME, Merged, Merging, Templates
from pipeline.ingester.compaction.policy import backlog
from pipeline.level import Level
from pipeline.query.plan import Plan
from pipeline.query.requests import FieldError
from pipeline.query.scan import Headers
from pipeline.settings import Settings
from pipeline.store.compacted import Compacted, tombstone
from pipeline.store.reader import Reader

IDLE_SECONDS: Final = 2.0
"""Without new blocks it is quiet, and a higher level is worth its time."""

RELEASE_SECONDS: Final = 0.5
"""Without anything to do, until free memory is given back: what is taken again for the
next block costs a sixth of its making."""

STATE_SECONDS: Final = 1.0
BACK_OFF_SECONDS: Final = 0.5
BACK_OFF_SECONDS_MAX: Final = 30.0
"""The wait after a swap was refused doubles between these."""

TRIES: Final = 5
"""Passes of a deletion over blocks that something else replaces meanwhile."""

ORDERS: Final = ("compact", "delete", "expire", "drop")
Order = dict[str, Any]


class RefusedError(StoreError):
    """The ingester could not swap a block in."""


def run(settings: Settings) -> int:
    """Compact until standard input ends; the exit code."""
    # Ctrl-C reaches the whole group; the ingester ends its worker itself
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(settings.compaction.nice)
    memory.keep_large_blocks()
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # a stray print must not end up between two frames
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    pipe = Pipe(sys.stdin.buffer, replies)
    levels = settings.compaction.level, settings.compaction.idle_level
    worker = Worker(Path(settings.storage.db_path), levels, pipe)
    with suppress(BrokenPipeError):
        worker.serve()
    return 0


class Pipe:
    """Orders that wait, and answers to what the worker asks for."""

    def __init__(self, orders: BinaryIO, replies: BinaryIO) -> None:
        self._orders, self._replies = orders, replies
        self._inbox: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._kept: deque[Order] = deque()
        self._is_swapping = False
        self._error: str | None = None
        Thread(target=self._read, name="orders", daemon=True).start()

    def _read(self) -> None:
        while (order := read_frame(self._orders)) is not None:
            self._inbox.put(order)
        os._exit(0)

    def send(self, **message: Any) -> None:
        """Tell the ingester something."""
        self._replies.write(pack_frame(message))
        self._replies.flush()

    def next(self, seconds: float) -> Order | None:
        """The next order; None when there is none in time."""
        if self._kept:
            return self._kept.popleft()
        try:
            return self._inbox.get(timeout=seconds)
        except queue.Empty:
            return None

    @property
    def has_order(self) -> bool:
        """Whether somebody waits: compaction can be gone on with later."""
        while not self._inbox.empty():
            self._sort(self._inbox.get())
        return bool(self._kept)

    def swap(self, block: Compacted, **told: Any) -> None:
        """Have a block swapped in, once the one before it is; see `settle`."""
        self.settle()
        self.send(kind="swap", block=block.pack(), **told)
        self._is_swapping = True

    def settle(self) -> None:
        """Wait until nothing is being swapped in; raises RefusedError if it was not."""
        while self._is_swapping:
            self._sort(self._inbox.get())
        error, self._error = self._error, None
        if error is not None:
            raise RefusedError(error)

    def _sort(self, order: Order) -> None:
        if order["kind"] == "swapped":
            self._is_swapping, self._error = False, order["error"]
        elif order["kind"] != "news":
            self._kept.append(order)


@dataclass(slots=True)
class Worker:
    """Compacts what is worth it, and does what it is asked to between two blocks."""

    path: Path
    levels: tuple[int, int]
    """While entries come, and when it is quiet."""

    pipe: Pipe
    _reader: Reader = field(init=False)
    _headers: Headers = field(init=False)
    _templates: Templates = field(init=False)
    _merging: Merging = field(init=False)
    _newest: int = 0
    _moved: float = 0.0
    _worked: float = 0.0
    _resume: float = 0.0
    _back_off: float = 0.0
    _told: float = 0.0

    def __post_init__(self) -> None:
        self._reader = Reader(self.path)
        self._headers = Headers(self._reader)
        self._templates = Templates(self._reader)
        self._merging = Merging(self._reader, self._templates, self.pipe.settle)

    def serve(self) -> None:
        """Work until the process ends."""
        while True:
            wait = STATE_SECONDS
            if self._resume > (now := clock.monotonic()):
                wait = min(wait, self._resume - now)
            order = self.pipe.next(wait)
            if order is not None and order["kind"] in ORDERS:
                self._obey(order)
            try:
                self._compact_some()
            except StoreError as error:
                self._fail(error)

    def _compact_some(self) -> None:
        """Until an order waits, or nothing is left that is worth it."""
        if clock.monotonic() < self._resume:
            self._tell()
            return
        self.pipe.settle()  # a pass that failed may have left one
        self._see()
        idle = clock.monotonic() - self._moved > IDLE_SECONDS
        level = self.levels[idle]
        worked = False
        for merged in self._merging.next(level, idle=idle):
            self._swap(merged)
            worked = True
            self._tell()
            if self.pipe.has_order:
                break
        self.pipe.settle()
        self._back_off = 0.0
        self._merging.forget_gone()
        self._tell(at_once=worked)
        if worked:
            self._worked = clock.monotonic()
        elif self._worked and clock.monotonic() - self._worked > RELEASE_SECONDS:
            self._worked = 0.0
            memory.release()

    def _see(self) -> None:
        self._reader.refresh()
        if self._reader.newest != self._newest:
            self._newest = self._reader.newest
            self._moved = clock.monotonic()

    def _swap(self, merged: Merged) -> None:
        block = merged.block
        self.pipe.swap(
            block,
            blocks=merged.blocks,
            rows=block.rows,
            before=merged.bytes,
            after=block.size,
        )
        self._templates.note(block)

    def _fail(self, error: StoreError) -> None:
        """Nothing has changed; try again a while later."""
        self._templates.forget()
        if not self._back_off:
            journal.warn(NAME, f"{error}; trying again")
        self._back_off = min(
            max(BACK_OFF_SECONDS, 2 * self._back_off), BACK_OFF_SECONDS_MAX
        )
        self._resume = clock.monotonic() + self._back_off

    def _tell(self, *, at_once: bool = False) -> None:
        now = clock.monotonic()
        if at_once or now - self._told >= STATE_SECONDS:
            self._told = now
            rows, blocks = backlog(self._reader.headers)
            self.pipe.send(
                kind="state",
                backlog_rows=rows,
                backlog_blocks=blocks,
                damaged_blocks=len(self._merging.damaged),
            )
            journal.own.store(self._pass_on)

    def _pass_on(self, entry: Entry) -> bool:
        failed = entry.level >= Level.ERROR
        self.pipe.send(
            kind="said", text=entry.message, failed=failed, more=entry.metadata or {}
        )
        return True

    def _beat(self) -> bool:
        """Show that a long scan goes on; nobody cancels it."""
        self._tell()
        return False

    def _obey(self, order: Order) -> None:
        work = {"delete": self._delete, "expire": self._expire, "drop": self._drop}
        try:
            result = work.get(order["kind"], self._compact)(order)
        except FieldError as error:
            told = {"error": error.problem, "field": error.field, "hint": error.hint}
            self.pipe.send(kind="done", request=order["request"], **told)
        except (QueryError, StoreError, FrameError) as error:
            self._templates.forget()
            self.pipe.send(kind="done", request=order["request"], error=str(error))
        else:
            self.pipe.send(kind="done", request=order["request"], result=result)
            self._worked = clock.monotonic()

    def _compact(self, order: Order) -> dict[str, int]:
        """Whatever can be compacted, while it becomes no more."""
        self._see()
        totals: Counter[str] = Counter(blocks=0, rows=0, bytes_before=0, bytes_after=0)
        merged: Iterable[Merged]
        merged = self._merging.next(order["level"] or self.levels[1], everything=True)
        for each in merged:
            self._swap(each)
            self._tell()
            totals["blocks"] += each.blocks
            totals["rows"] += each.block.rows
            totals["bytes_before"] += each.bytes
            totals["bytes_after"] += each.block.size
        self.pipe.settle()
        self._tell(at_once=True)
        return dict(totals)

    def _delete(self, order: Order) -> dict[str, int]:
        plan = plan_deletion(order["params"], order["now"], order["up_to"])
        return {"unreadable_blocks": self._take_out(plan, order["request"])}

    def _expire(self, order: Order) -> dict[str, int]:
        """What the rules of retention are done with, where it is much of a block."""
        damaged = 0
        for rule in order["rules"]:
            plan = plan_deletion({"q": rule["q"]}, clock.now_ns(), rule["up_to"])
            damaged = self._take_out(plan, order["request"], order["share"])
        return {"unreadable_blocks": damaged}

    def _drop(self, order: Order) -> dict[str, int]:
        """Just these blocks, which are archived elsewhere; raises StoreError."""
        self._see()
        first, last = order["first"], order["last"]
        headers = [
            each
            for each in self._reader.headers
            if each.last >= first and each.first <= last
        ]
        ids = [header.id for header in headers]
        if ids != order["blocks"]:
            raise StoreError(f"commits {first} to {last} are in blocks {ids} by now")
        self.pipe.swap(
            tombstone(first, last, clock.now_ns(), ids),
            request=order["request"],
            deleted=sum(header.rows for header in headers),
            freed=sum(header.size for header in headers),
        )
        self.pipe.settle()
        return {}

    def _take_out(self, plan: Plan, request: int, share: float = 0.0) -> int:
        """Write blocks anew without what matches; how many could not be read.

        A block that something else has replaced meanwhile is looked at again.
        """
        damaged: set[int] = set()
        for left in reversed(range(TRIES)):
            self._headers.refresh()
            rewritten = rewrite(
                *(self._headers, plan, self.levels[0], clock.monotonic),
                *(self._templates.allowed, damaged, share),
                beat=self._beat,
            )
            try:
                for each in rewritten:
                    self.pipe.swap(
                        each.block,
                        request=request,
                        deleted=each.deleted,
                        freed=each.bytes,
                    )
                    self.pipe.settle()
                    self._templates.note(each.block)
                break
            except RefusedError:
                if not left:
                    raise
        return len(damaged)
