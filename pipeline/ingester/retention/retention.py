"""Looks at what is stored once a second, and drops what is too old or too much.

A look is a chore of the committer, as all that the writer does. Dropping a block is a
tombstone over its commits: nobody sees the entries any more from then on, and their
rows go when those who were reading have ended (`purging`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pipeline import clock, journal, service
from pipeline.ingester.retention import policy, rules
from pipeline.ingester.retention.elapsed import DAY, Elapsed
from pipeline.ingester.retention.telling import Dropped, Telling
from pipeline.settings.storage import Storage
from pipeline.store.schema import CLOCK
from pipeline.store.writer import Stock, Writer

LOOK_SECONDS: Final = 1.0
KEEP_SECONDS: Final = 3600.0
"""Between two times that the clock is kept in the store without a jump."""

RULE_SECONDS: Final = 600.0
"""Between two passes of the rules: each looks at the counts of all blocks."""

BLOCKS_A_LOOK: Final = 256
"""Dropped at once: the commit that waits behind it waits some milliseconds."""

MB: Final = 1_000_000


class Look(NamedTuple):
    """What one look found, and did."""

    room: policy.Room
    file_bytes: int
    dropped: Dropped | None
    held: Dropped | None
    """A mass deletion that waits for its second look."""

    tombstone: int
    """The id of what stands for the dropped blocks."""

    orders: list[dict[str, Any]]
    """What the compaction worker has to take out."""


@dataclass(slots=True)
class Retention:
    """What the settings allow, the store's clock, and what was dropped so far.

    `log` stores an entry; `ask` has the compaction worker do something.
    """

    settings: Storage
    log: Callable[[dict[str, Any]], None]
    ask: Callable[[dict[str, Any], Callable[[dict[str, Any]], None]], bool]
    counters: Counter[str] = field(default_factory=Counter)
    last: Look | None = None
    _elapsed: Elapsed | None = None
    _by_age: policy.Hold = field(
        default_factory=lambda: policy.Hold(policy.HOLD_AGE_SECONDS)
    )
    _by_size: policy.Hold = field(
        default_factory=lambda: policy.Hold(policy.HOLD_SIZE_SECONDS)
    )
    _fits: bool = False
    """Whether the store once had its size: what is too much since then has come."""

    _look_at: float = 0.0
    _keep_at: float = 0.0
    _rules_at: float = 0.0
    _is_ruling: bool = False
    _telling: Telling = field(default_factory=Telling)

    def due(self, now: float) -> bool:
        """Whether it is time to look; seconds, of a clock that can't be set."""
        return now >= self._look_at

    @property
    def is_pressed(self) -> bool:
        """Whether what was replaced has to go soon."""
        return self.last is not None and self.last.room.is_pressed

    @property
    def is_full(self) -> bool:
        """Whether even pinned blocks have to go."""
        return self.last is not None and self.last.room.used > self.last.room.most

    @property
    def is_above(self) -> bool:
        """Whether the files are larger than they may be."""
        return self.last is not None and self.last.file_bytes > self.last.room.most

    def look(self, writer: Writer) -> Look:
        """See what is stored and drop what has to go; on the writer's thread."""
        now = clock.monotonic()
        stock = writer.stock()
        elapsed = self._see_clock(writer, stock, now)
        ages = elapsed.ages(stock.blocks)
        room = policy.Room(
            self.settings.max_size_mb * MB,
            stock.file_bytes - stock.free_bytes + stock.wal_bytes,
            stock.dropped_bytes,
        )
        file_bytes = stock.file_bytes + stock.wal_bytes
        count, reason, held = self._decide(stock, ages, room, now)
        orders = self._orders(stock, ages, count, now)
        if held is not None or not count:
            return Look(room, file_bytes, None, held, 0, orders)
        blocks = stock.blocks[: min(count, BLOCKS_A_LOOK)]
        made = writer.drop(blocks[0].first, blocks[-1].last, clock.now_ns(), reason)
        return Look(
            room, file_bytes, Dropped.of_blocks(reason, blocks), None, made, orders
        )

    def looked(self, look: Look | None, now: float) -> None:
        """Follow what a look did; None: it failed."""
        more = look is not None and look.dropped is not None
        self._look_at = now if more else now + LOOK_SECONDS
        if look is None:
            self.counters["failures"] += 1
            return
        self.last = look
        if look.dropped is not None:
            self.went(look.dropped)
        if look.held is not None and self._telling.hold():
            self._say(look.held)
        self._tell(now)
        self._rule(look.orders, now)

    def status(self) -> dict[str, Any]:
        """Counters since the start, and what there is."""
        found: dict[str, Any] = dict(self.counters)
        if self.last is not None:
            found["used_bytes"] = self.last.room.used
            found["leaving_bytes"] = self.last.room.leaving
            found["most_bytes"] = self.last.room.most
            found["held_rows"] = self.last.held.rows if self.last.held else 0
        return found

    def close(self, now: float) -> None:
        """Tell what was not told yet."""
        self._tell(now, at_once=True)

    def _see_clock(self, writer: Writer, stock: Stock, now: float) -> Elapsed:
        if self._elapsed is None:
            self._elapsed = _restored(writer, stock)
        times = clock.now_ns(), clock.monotonic_ns()
        jumped = self._elapsed.look(*times, stock.blocks)
        if jumped or now >= self._keep_at:
            self._elapsed.forget(stock.blocks[0].first if stock.blocks else 0)
            writer.keep_note(CLOCK, self._elapsed.pack())
            self._keep_at = now + KEEP_SECONDS
        return self._elapsed

    def _decide(
        self, stock: Stock, ages: list[int], room: policy.Room, now: float
    ) -> tuple[int, str, Dropped | None]:
        """How many of the oldest blocks go and why; the third waits, if any."""
        old = policy.expired(ages, self.settings.max_days * DAY)
        much = policy.too_much(stock.blocks, room)
        old_mass = policy.is_mass(stock.blocks, old)
        much_mass = not self._fits and policy.is_mass(stock.blocks, much)
        self._fits = self._fits or not much_mass
        old_passes = self._by_age.passes(old_mass, now)
        much_passes = self._by_size.passes(much_mass, now)
        allowed = max((old_passes * old, "age"), (much_passes * much, "size"))
        if allowed[0]:
            return *allowed, None
        wanted = max((old, "age"), (much, "size"))
        held = (
            Dropped.of_blocks(wanted[1], stock.blocks[: wanted[0]])
            if wanted[0]
            else None
        )
        return *allowed, held

    def _orders(
        self, stock: Stock, ages: list[int], dropped: int, now: float
    ) -> list[dict[str, Any]]:
        if now < self._rules_at or not self.settings.rules or self._is_ruling:
            return []
        left = slice(dropped, None)
        return rules.orders(self.settings.rules, stock.blocks[left], ages[left])

    def _rule(self, orders: list[dict[str, Any]], now: float) -> None:
        """Have the worker carry out the rules, one order for all of them."""
        if not orders:
            return
        order = {"kind": "expire", "rules": orders, "share": rules.REWRITE_SHARE}
        self._is_ruling = True  # the answer may come before `ask` returns
        self._rules_at = now + RULE_SECONDS
        if not self.ask(order, self._ruled):
            self._is_ruling, self._rules_at = False, now

    def _ruled(self, message: dict[str, Any]) -> None:
        self._is_ruling = False
        totals = message.get("totals", {})
        if totals.get("deleted"):
            dropped = Dropped(
                *("rule", totals["deleted"], totals["blocks_rewritten"]),
                *(totals["bytes_freed"], 0),
            )
            self.went(dropped)
        if "error" in message:
            self.counters["failures"] += 1

    def went(self, dropped: Dropped) -> None:
        """Count what is gone, and tell of it later."""
        self.counters[f"rows_by_{dropped.reason}"] += dropped.rows
        self.counters[f"blocks_by_{dropped.reason}"] += dropped.blocks
        self.counters[f"bytes_by_{dropped.reason}"] += dropped.bytes
        self._telling.add(dropped)

    def _tell(self, now: float, *, at_once: bool = False) -> None:
        for entry in self._telling.entries(now, at_once=at_once):
            self.log(entry)

    def _say(self, held: Dropped) -> None:
        entry = self._telling.held_entry(held, self.settings)
        service.say(f"ingester: {entry['message']}")
        self.log(entry)


def _restored(writer: Writer, stock: Stock) -> Elapsed:
    """The store's clock as it was kept, else as the blocks tell."""
    text = writer.note(CLOCK)
    if text is not None:
        try:
            return Elapsed.unpack(text)
        except ValueError as error:
            journal.warn("ingester", f"meta {CLOCK}: {error}; begun anew")
    first = stock.blocks[0].committed if stock.blocks else clock.now_ns()
    return Elapsed(first)
