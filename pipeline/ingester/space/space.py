"""Watches the disk that the database is on, and acts before and when it is full.

Free room is looked at from the loop, which costs a system call. What changes the store
is a chore of the committer, as all that the writer does; what goes by level goes
through the compaction worker, in the room that there is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from pipeline import clock, service
from pipeline.errors import StoreError
from pipeline.ingester.retention.telling import Dropped
from pipeline.ingester.space.policy import Level, Marks, Stage, marks_of
from pipeline.ingester.space.reclaim import Action, Reclaim, Step
from pipeline.ingester.space.reserve import Disk, Reserve, disk_of
from pipeline.ingester.space.telling import Telling, text_of
from pipeline.settings.storage import Storage
from pipeline.store.writer import Writer

LOOK_SECONDS: Final = 1.0
LOOK_FULL_SECONDS: Final = 0.25
RESERVE_AFTER_SECONDS: Final = 5.0
"""The start has other things to do."""

DEBUG_SHARE: Final = 0.1
"""Of a block's rows: with less DEBUG than that it is not worth being written anew."""

REASON: Final = "space"


class Relief(NamedTuple):
    """What one look at the store did."""

    action: Action | None
    order: dict[str, Any] | None
    """What the compaction worker has to do."""

    dropped: Dropped | None
    tombstone: int
    free_bytes: int
    """Of pages that nothing uses."""


class Space:
    """The disk's stage, and what is done about it.

    `log` stores an entry, `ask` has the compaction worker do something, `went` counts
    what is gone.
    """

    def __init__(
        self,
        settings: Storage,
        log: Callable[[dict[str, Any]], None],
        ask: Callable[[dict[str, Any], Callable[[dict[str, Any]], None]], bool],
        went: Callable[[Dropped], None],
        *,
        can_rewrite: bool,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.settings = settings
        self._log, self._ask, self._went = log, ask, went
        self._folder = Path(settings.db_path).parent
        self._reserve = Reserve(Path(settings.db_path))
        self._level = Level()
        self._reclaim = Reclaim(can_rewrite=can_rewrite)
        self._telling = Telling()
        self._disk = Disk(0, 0)
        self._marks = Marks(0, 0, 0)
        self._short_since: float | None = None
        self._see_at = self._relieve_at = clock.monotonic()
        self._reserve_at = self._see_at + RESERVE_AFTER_SECONDS
        self._is_asking = False

    @property
    def stage(self) -> Stage:
        """How full the disk is."""
        return self._level.stage

    @property
    def is_full(self) -> bool:
        """Whether nothing new may be taken."""
        return self._level.stage is Stage.FULL

    @property
    def is_short(self) -> bool:
        """Whether what takes room for nothing has to go soon."""
        return self._level.stage is not Stage.PLENTY

    def has_room(self, size: int, *, is_asked: bool) -> bool:
        """Whether something of this size may be written beside what it replaces.

        `is_asked`: somebody wants entries to go, for which there is the reserve.
        """
        if not self.is_short:
            return True
        try:
            free = disk_of(self._folder).free - 2 * size
        except OSError:
            return False
        return free >= (0 if is_asked else self._marks.floor + self._marks.reserve)

    def patience(self, now: float) -> float:
        """Seconds until the disk is looked at again."""
        return self._see_at - now

    def hasten(self) -> None:
        """Look at the disk now: it has refused something."""
        self._see_at = 0.0

    def see(self, now: float, *, is_refused: bool, refused: int) -> None:
        """Look at the disk, when it is time to; `now` in seconds, of a steady clock.

        `is_refused`: a commit waits that the disk has refused; `refused` are the
        entries that nobody takes for it, counted so far.
        """
        if now < self._see_at:
            return
        try:
            self._disk = disk_of(self._folder)
        except OSError:
            self.counters["failures"] += 1
            self._see_at = now + LOOK_SECONDS
            return
        storage, disk = self.settings, self._disk
        self._marks = marks_of(disk.total, storage.low_water_mb, storage.reserve_mb)
        if self._level.see(disk.free, self._marks, now, refused=is_refused):
            self._change(now, refused)
        self._keep_reserve(now)
        self._see_at = now + (LOOK_FULL_SECONDS if self.is_full else LOOK_SECONDS)

    def relief_due(self, now: float) -> bool:
        """Whether the store should be looked at for what may go."""
        return self.is_short and now >= self._relieve_at

    def relieve(self, writer: Writer) -> Relief:
        """Empty the WAL and see what has to go; on the writer's thread."""
        # The reader that keeps it from being emptied will have ended at the next look.
        with suppress(StoreError):
            writer.checkpoint(at_once=True)
        stock, now = writer.stock(), clock.monotonic()
        free = disk_of(self._folder).free + stock.free_bytes + stock.replaced_bytes
        blocks, action = stock.blocks, None
        if self.settings.low_water_mb and not self._is_asking:
            needed = max(self._marks.low_again, self._marks.resume) - free
            short_for = now - (self._short_since or now)
            action = self._reclaim.next(blocks, needed, short_for, now)
        if action is None:
            return Relief(None, None, None, 0, stock.free_bytes)
        gone = blocks[: action.blocks]
        if action.step is Step.ERROR:
            made = writer.drop(gone[0].first, gone[-1].last, clock.now_ns(), "space")
            dropped = Dropped.of_blocks(REASON, gone)
            return Relief(action, None, dropped, made, stock.free_bytes)
        rule = {"q": action.step.value, "up_to": gone[-1].last}
        share = DEBUG_SHARE if action.step is Step.DEBUG else 0.0
        order = {"kind": "expire", "rules": [rule], "share": share}
        return Relief(action, order, None, 0, stock.free_bytes)

    def relieved(self, relief: Relief | None, now: float) -> None:
        """Follow what a look did; None: it failed."""
        self._relieve_at = now + LOOK_SECONDS
        if relief is None:
            self.counters["failures"] += 1
        elif relief.dropped is not None:
            self._went(relief.dropped)
            self._reclaim.done(Step.ERROR, relief.dropped.rows)
        elif relief.action is not None and relief.order is not None:
            step = relief.action.step
            self._is_asking = True  # the answer may come before `ask` returns
            if not self._ask(relief.order, lambda told: self._taken_out(step, told)):
                self._is_asking = False

    def status(self) -> dict[str, Any]:
        """How the disk is, and what was done."""
        return {
            "stage": self._level.stage.value,
            "free_bytes": self._disk.free,
            "low_water_bytes": self._marks.low,
            "reserve_bytes": self._reserve.size,
            "is_spent": self._reclaim.is_spent,
            **self.counters,
        }

    def _change(self, now: float, refused: int) -> None:
        stage, free = self._level.stage, self._disk.free
        self.counters[f"times_{stage.value}"] += 1
        if stage is Stage.PLENTY:
            self._short_since = None
            self._reclaim.relax()
        elif self._short_since is None:
            self._short_since = now
        if stage is Stage.FULL:
            self._reserve.give_up()
        entry = self._telling.maybe_entry(stage, free, self._marks, refused, now)
        if entry is not None:
            service.say(f"ingester: {text_of(stage, free, self._marks)}")
            self._log(entry)

    def _keep_reserve(self, now: float) -> None:
        """Have one, but where that would fill the disk."""
        held = self._reserve.size
        if self.is_full or now < self._reserve_at or held == self._marks.reserve:
            return
        if self._disk.free + held < self._marks.resume and self._marks.reserve:
            return
        if not self._reserve.make(self._marks.reserve):
            self.counters["reserve_failures"] += 1
            self._reserve_at = now + RESERVE_AFTER_SECONDS

    def _taken_out(self, step: Step, told: dict[str, Any]) -> None:
        self._is_asking = False
        totals = told.get("totals", {})
        rows = totals.get("deleted", 0)
        if rows:
            blocks, freed = totals["blocks_rewritten"], totals["bytes_freed"]
            self._went(Dropped(REASON, rows, blocks, freed, 0))
        if "error" in told:
            self.counters["failures"] += 1
        self._reclaim.done(step, rows, failed="error" in told)


def make_way(database: Path) -> None:
    """Give the reserve up when a database can't be opened for want of room."""
    reserve = Reserve(database)
    with suppress(OSError):
        if reserve.size and disk_of(database.parent).free < reserve.size:
            reserve.give_up()


def lacks_room(database: Path) -> bool:
    """Whether the disk has too little for the files of a database."""
    with suppress(OSError):
        disk = disk_of(database.parent)
        return disk.free < marks_of(disk.total, 0, 0).floor
    return False
