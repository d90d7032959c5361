"""The ingester's side of compaction: a worker kept alive, its blocks swapped in.

Nothing here waits. A swap, a purge or a vacuum is one chore of the committer, done when
no commit waits; what fails leaves the store as it was, is counted, and tried again by
the worker later. What was asked for survives the worker: a new one is asked again.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from math import inf
from typing import Any, Final

from pipeline import clock, journal, transport
from pipeline.ingester.committer import Chore, Committer
from pipeline.ingester.compaction.process import WorkerProcess, environment
from pipeline.ingester.compaction.purging import STEP, STEP_BUSY, Purging, keep_of
from pipeline.ingester.retention import rules
from pipeline.ingester.retention.policy import PRESSED_KEEP_SECONDS
from pipeline.ingester.retention.retention import Retention
from pipeline.ingester.space.space import Space
from pipeline.settings import Settings
from pipeline.store.compacted import Compacted
from pipeline.store.schema import PAGE_BYTES
from pipeline.store.writer import Writer

BACK_OFF_SECONDS: Final = 0.1
BACK_OFF_SECONDS_MAX: Final = 5.0
STEADY_SECONDS: Final = 10.0
"""A worker that lived this long died of one block, not of its circumstances."""

UNASKED_SECONDS: Final = 2.0
"""A worker that has nothing to do yet is not started with the pipeline: it took a sixth
of the 1,330 ms of processor time until questions are answered (node/bench/start.js)."""

SILENT_SECONDS: Final = 600.0
"""It tells its state each second but while it makes a block: 64 MiB at the highest
level take a minute of a free processor, of which it gets what others leave."""

NEWS_SECONDS: Final = 0.1
QUIET_SECONDS: Final = 2.0
"""Without a commit, free pages are given back to the disk."""

VACUUM_PAGES: Final = 64  # one step: 1 MiB
REQUESTS_MAX: Final = 16
"""That wait; beyond, the asker is told so."""

_DELETING: Final = {"delete": "", "expire": "rule", "drop": "archive"}
"""Orders that take entries out, and the reason that the chain has of them."""

TRIES: Final = 3
"""A request that three workers died of is given up."""

Reply = Callable[[dict[str, Any]], None]


@dataclass(slots=True)
class Request:
    """What somebody waits for."""

    order: dict[str, Any]
    reply: Reply
    totals: Counter[str]
    tries: int = 0


class Compaction:
    """One worker after the other, and the chores that it causes."""

    def __init__(
        self,
        settings: Settings,
        writer: Writer,
        committer: Committer,
        poller: transport.Poller,
        log: Callable[[dict[str, Any]], None],
    ) -> None:
        """`log` stores an entry of the ingester's own.

        Raises ConfigError for rules of retention that make no sense.
        """
        rules.check(settings)
        self.counters: Counter[str] = Counter()
        self._is_enabled = settings.compaction.enabled
        self._writer, self._committer, self._poller = writer, committer, poller
        self._environ = environment(settings, os.environ)
        self.purging = Purging(keep_of(settings))
        self.purging.replaced(writer.last_compacted, clock.monotonic())
        self._retention = Retention(settings.storage, log, self.ask)
        self.space = Space(
            *(settings.storage, log, self.ask, self._retention.went),
            can_rewrite=self._is_enabled,
        )
        self._worker: WorkerProcess | None = None
        self._state: dict[str, int] = {}
        self._swap: dict[str, Any] | None = None
        self._after: Callable[[Chore], None] | None = None
        self._requests: dict[int, Request] = {}
        self._numbers = count(1)
        self._started = clock.monotonic()
        self._restart_at = self._started + UNASKED_SECONDS
        self._failures = 0
        self._heard = self._started
        """When the worker last said something; infinite while it waits for a swap."""

        self._news = False
        self._news_at = self._commit_at = self._started
        self._free_pages = 0

    def committed(self, now: float) -> None:
        """There is something new."""
        self._news, self._commit_at = True, now

    def step(self, now: float) -> None:
        """Take what the worker says, follow the running chore, begin the next."""
        self._keep_up(now)
        self._listen(now)
        self._look_after(now)
        self._tell_news(now)
        chore = self._committer.done()
        if chore is not None and self._after is not None:
            self._after(chore)
        self._committer.is_short = self.space.is_short
        if not self._committer.has_chore:
            self._next_chore(now)

    def patience(self, now: float) -> float:
        """Seconds until something is due; one at most."""
        if self._worker is None and self._is_enabled:
            return 0.0 if self._may_start(now) else min(1.0, self._restart_at - now)
        is_due = self._due(now) is not None
        return 0.02 if is_due and not self._committer.has_chore else 1.0

    def status(self) -> dict[str, Any]:
        """Counters since the start, and what waits."""
        return {
            "worker_pid": self._worker.pid if self._worker else None,
            "requests": len(self._requests),
            "free_pages": self._free_pages,
            **self.purging.status(clock.monotonic()),
            **self._state,
            **self.counters,
        }

    @property
    def retention(self) -> dict[str, Any]:
        """What retention did since the start, and what there is."""
        return self._retention.status()

    def ask(self, order: dict[str, Any], reply: Reply) -> bool:
        """Have the worker do something; False when too much waits already."""
        if len(self._requests) >= REQUESTS_MAX:
            return False
        number = next(self._numbers)
        totals = Counter(deleted=0, blocks_rewritten=0, bytes_freed=0)
        self._requests[number] = Request({**order, "request": number}, reply, totals)
        self._hand_over(number)
        return True

    def reload(self, settings: Settings) -> None:
        """Go by these; a worker that has others is replaced, and begins anew."""
        self._retention.settings = self.space.settings = settings.storage
        self.purging.keep = keep_of(settings)
        before, self._environ = self._environ, environment(settings, os.environ)
        if self._environ != before and self._worker is not None:
            self._worker.kill()
            self._lose_worker()
            self._news, self._restart_at = True, clock.monotonic()

    def close(self) -> None:
        """End the worker; what it had begun is as if it had not."""
        for number in list(self._requests):
            self._answer(number, {"error": "the ingester is stopping"})
        self._is_enabled = False
        self._lose_worker()

    def finish(self, now: float) -> None:
        """Store what is to be said, while that can be."""
        self._retention.close(now)

    # the worker's process

    def _may_start(self, now: float) -> bool:
        is_asked = self._failures == 0 and bool(self._news or self._requests)
        return self._is_enabled and (is_asked or now >= self._restart_at)

    def _keep_up(self, now: float) -> None:
        if self._worker is not None or not self._may_start(now):
            return
        try:
            self._worker = WorkerProcess(self._environ)
        except OSError as error:
            self._back_off(now, f"can't be started: {error.strerror}")
            return
        self._started = self._heard = now
        self._poller.watch(self._worker.fileno())
        for number in list(self._requests):
            self._hand_over(number)

    def _listen(self, now: float) -> None:
        if self._worker is None:
            return
        self._worker.flush()
        before, how = self._worker.received, ""
        try:
            messages = self._worker.receive()
        except ValueError as error:  # nothing after this can be trusted
            messages, how = None, f"said {error} and "
            self.counters["rubbish"] += 1
            self._worker.kill()
        if messages is None:
            code = self._lose_worker()
            self._back_off(now, f"{how}ended with {code}")
            return
        if self._worker.received > before:
            self._heard = now
        for message in messages:
            self._take(message)

    def _look_after(self, now: float) -> None:
        """One that hangs would never give way to another."""
        if self._worker is None or now - self._heard < SILENT_SECONDS:
            return
        self.counters["hangs"] += 1
        self._worker.kill()
        self._lose_worker()
        self._back_off(now, f"was silent for {SILENT_SECONDS:g} s")

    def _lose_worker(self) -> int:
        if self._worker is None:
            return 0
        self._poller.forget(self._worker.fileno())
        worker, self._worker = self._worker, None
        self._swap = None
        return worker.end()

    def _back_off(self, now: float, how: str) -> None:
        if now - self._started > STEADY_SECONDS:
            self._failures = 0
        wait = min(BACK_OFF_SECONDS * 2**self._failures, BACK_OFF_SECONDS_MAX)
        self._failures = min(self._failures + 1, 10)
        self.counters["restarts"] += 1
        self._restart_at = now + wait
        journal.error("ingester", f"the compaction worker {how}; another in {wait:g} s")

    def _tell_news(self, now: float) -> None:
        if self._worker is None or not self._news or now < self._news_at:
            return
        if not self._worker.is_behind:
            self._news, self._news_at = False, now + NEWS_SECONDS
            self._worker.send({"kind": "news"})

    def _take(self, message: dict[str, Any]) -> None:
        kind = message.pop("kind")
        if kind == "swap":
            self._swap, self._heard = message, inf
        elif kind == "said":  # on stderr
            journal.note_others("compaction", message)
        elif kind == "state":
            self._state = message
        elif kind == "done":
            self._conclude(message)

    def _hand_over(self, number: int) -> None:
        """Ask this worker; one that many have died of is given up."""
        if self._worker is None:
            return
        request = self._requests[number]
        request.tries += 1
        if request.tries > TRIES:
            self._answer(number, {"error": "the compaction worker dies of it"})
        else:
            self._worker.send(request.order)

    def _conclude(self, message: dict[str, Any]) -> None:
        number = message.pop("request")
        request = self._requests.get(number)
        if request is None:
            return
        if "result" in message:
            own = request.totals if request.order["kind"] in _DELETING else {}
            message = {"result": {**own, **message["result"]}}
        self._answer(number, message)

    def _answer(self, number: int, message: dict[str, Any]) -> None:
        request = self._requests.pop(number)
        request.reply({**message, "totals": dict(request.totals)})

    def _next_chore(self, now: float) -> None:
        quiet = now - self._commit_at > QUIET_SECONDS
        up_to = self._due(now)
        if self._retention.due(now):
            self._do(self._retention.look, self._looked)
        elif self.space.relief_due(now):
            self._do(self.space.relieve, self._relieved)
        elif self._swap is not None:
            self._begin_swap()
        elif up_to is not None:
            is_short = self.space.is_short
            limit = STEP if quiet and not is_short else STEP_BUSY
            self._do(
                lambda writer: writer.purge(up_to, limit, is_short=is_short),
                lambda chore: self._purged(chore, up_to, limit),
            )
        elif self._free_pages and (quiet or self._is_pressed):
            self._do(lambda writer: writer.vacuum(VACUUM_PAGES), self._vacuumed)

    def _due(self, now: float) -> int | None:
        """Up to which block replaced ones may go; soon, where room is short."""
        if self._retention.is_full or self.space.is_short:
            self.purging.break_pins()
        is_pressed = self._retention.is_pressed or self.space.is_short
        return self.purging.due(now, PRESSED_KEEP_SECONDS if is_pressed else None)

    @property
    def _is_pressed(self) -> bool:
        """Whether the files have to become smaller."""
        return self._retention.is_above or self.space.is_short

    def _looked(self, chore: Chore) -> None:
        now = clock.monotonic()
        look = chore.result if chore.error is None else None
        if look is not None and look.tombstone:
            self.purging.replaced(look.tombstone, now)
        self._retention.looked(look, now)

    def _relieved(self, chore: Chore) -> None:
        now = clock.monotonic()
        relief = chore.result if chore.error is None else None
        if relief is not None:
            self._free_pages = relief.free_bytes // PAGE_BYTES
            if relief.tombstone:
                self.purging.replaced(relief.tombstone, now)
        self.space.relieved(relief, now)

    def _do(
        self, work: Callable[[Writer], Any], after: Callable[[Chore], None]
    ) -> None:
        self._after = after
        self._committer.do(Chore(work))

    def _begin_swap(self) -> None:
        assert self._swap is not None
        swap, self._swap = self._swap, None
        worker, block = self._worker, swap.pop("block")

        def after(chore: Chore) -> None:
            self._swapped(chore, swap)
            # another worker has not asked for it
            if worker is not None and worker is self._worker:
                self._heard = clock.monotonic()
                worker.send(
                    {"kind": "swapped", "id": chore.result, "error": chore.error}
                )

        gone = swap.get("deleted", 0)
        if not self.space.has_room(len(block), is_asked="request" in swap):
            refused = Chore(bool, error="the disk has no room for a block written anew")
            after(refused)
            return
        asked = self._requests.get(swap.get("request", 0))
        why = _DELETING.get(asked.order["kind"], "") if asked is not None else ""
        self._do(lambda writer: writer.swap(Compacted.unpack(block), gone, why), after)

    def _swapped(self, chore: Chore, swap: dict[str, Any]) -> None:
        if chore.error is not None:
            self.counters["swap_failures"] += 1
            return
        self.purging.replaced(chore.result, clock.monotonic())
        self.counters["swaps"] += 1
        self._failures = 0  # it does what it is for
        request = self._requests.get(swap.get("request", 0))
        if request is not None:
            request.totals["deleted"] += swap["deleted"]
            request.totals["blocks_rewritten"] += 1
            request.totals["bytes_freed"] += swap["freed"]
            self.counters["deleted_rows"] += swap["deleted"]
        elif "blocks" in swap:
            self.counters["blocks_merged"] += swap["blocks"]
            self.counters["rows_merged"] += swap["rows"]
            self.counters["bytes_before"] += swap["before"]
            self.counters["bytes_after"] += swap["after"]

    def _purged(self, chore: Chore, up_to: int, limit: int) -> None:
        if chore.error is not None or chore.result < limit:
            self.purging.purged(up_to)
        if chore.error is not None:  # tried again as if they were replaced just now
            self.counters["purge_failures"] += 1
            self.purging.replaced(up_to, clock.monotonic())
        if chore.error is None:
            self.counters["blocks_purged"] += chore.result
            self._free_pages = max(self._free_pages, 1 if chore.result else 0)

    def _vacuumed(self, chore: Chore) -> None:
        left = 0 if chore.error is not None else chore.result
        self._free_pages = left if left != self._free_pages else 0
