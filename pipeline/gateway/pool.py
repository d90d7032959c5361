"""The query workers: who is asked next, who is too slow, who has to be replaced.

A worker has one question at a time and the rest wait here, so that a question that is
cancelled while it waits costs nothing, and a worker that dies fails only its own. They
are asked in their order, but long ones never have all workers of several: short ones
need not wait for them.
Nothing below is called from another thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec import Raw, Struct

from pipeline import journal
from pipeline.gateway.durations import LONG_SECONDS, Durations, shape_of
from pipeline.gateway.errors import (
    INTERNAL_ERROR,
    TIME_LIMIT,
    WORKER_LOST,
    RpcError,
    busy,
)
from pipeline.gateway.params import pack_params
from pipeline.gateway.process import START_SECONDS, Answer, Question, WorkerProcess
from pipeline.query.requests import TailRequest
from pipeline.scope import Scope

STOP_SECONDS: Final = 1.0
"""A worker that was told to stop has this long before it is killed."""

BACK_OFF_SECONDS: Final = 0.1
BACK_OFF_SECONDS_MAX: Final = 5.0
"""The wait before a dead worker is replaced doubles between these."""

STEADY_SECONDS: Final = 10.0
"""A worker that lived this long died of one question, not of its circumstances."""

RETRY_MS: Final = 500

SILENT_SECONDS: Final = 10.0


@dataclass(slots=True, eq=False)
class _Job:
    method: str
    params: Struct
    packed: Raw
    timeout: float
    done: asyncio.Future[bytes]
    shape: Hashable
    scope: Scope | None
    expiry: asyncio.TimerHandle | None = None
    began: float = 0.0
    """When a worker got it, by the loop's clock."""

    is_long: bool = False
    is_held: bool = False


@dataclass(slots=True, eq=False)
class _Slot:
    """A place for one worker, through all its processes."""

    process: WorkerProcess | None = None
    job: _Job | None = None
    question: int = 0
    is_ready: bool = False
    guard: asyncio.TimerHandle | None = None
    reason: RpcError | None = None
    is_stale: bool = False
    """Its worker goes by settings that no longer hold."""

    pinged: float = 0.0
    heard: float = 0.0
    """When it was last asked for a sign of life, and gave one, by the loop's clock."""


@dataclass(slots=True)
class Counters:
    """What the pool has seen since it started."""

    answered: int = 0
    failed: int = 0
    cancelled: int = 0
    timed_out: int = 0
    refused_busy: int = 0
    held_back: int = 0
    """Long ones that waited while a worker was kept for short ones."""

    unexpectedly_long: int = 0
    restarts: int = 0
    killed: int = 0


@dataclass(slots=True)
class Pool:
    """`workers` processes; at most `queue_max` questions wait, `timeout` s each."""

    command: Sequence[str]
    environ: Mapping[str, str]
    workers: int
    queue_max: int
    timeout: float
    clock_ns: Callable[[], int]
    counters: Counters = field(default_factory=Counters)
    _slots: list[_Slot] = field(default_factory=list)
    _durations: Durations = field(default_factory=Durations)
    _jobs: deque[_Job] = field(default_factory=deque)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _last: int = 0
    _is_closing: bool = False
    _first_ready: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self) -> None:
        """Start the workers; questions may be asked at once."""
        for _ in range(self.workers):
            slot = _Slot()
            self._slots.append(slot)
            self._tasks.append(asyncio.create_task(self._keep_up(slot)))

    def renew(self, environ: Mapping[str, str]) -> None:
        """Have workers that know this environment; each ends its question first."""
        self.environ = environ
        for slot in self._slots:
            slot.is_stale = True  # one that is just being started, too
            self._maybe_retire(slot)

    def _maybe_retire(self, slot: _Slot) -> None:
        if slot.is_stale and slot.question == 0 and slot.process is not None:
            slot.is_ready = slot.is_stale = False
            slot.process.retire()

    async def close(self) -> None:
        """End all workers; whoever still waits gets an error."""
        self._is_closing = True
        for job in list(self._jobs):
            self._fail(job, busy("the gateway is stopping", RETRY_MS))
        self._jobs.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def ask(
        self, method: str, params: Struct, scope: Scope | None = None
    ) -> bytes:
        """The worker's answer as JSON text, of what a scope allows; raises RpcError.

        When the caller is cancelled, so is the question.
        """
        if self._is_closing or len(self._jobs) >= self.queue_max:
            self.counters.refused_busy += 1
            raise busy(f"{len(self._jobs)} questions are waiting already", RETRY_MS)
        loop = asyncio.get_running_loop()
        shape = shape_of(method, params)
        packed = pack_params(params)
        done = loop.create_future()
        job = _Job(method, params, packed, self.timeout, done, shape, scope)
        job.expiry = loop.call_later(job.timeout, self._expire, job)
        self._jobs.append(job)
        self._assign()
        try:
            return await job.done
        except asyncio.CancelledError:
            self._drop(job)
            raise

    async def wait_ready(self, seconds: float) -> bool:
        """Wait for the first worker; whether there is one in time."""
        try:
            async with asyncio.timeout(seconds):
                return await self._first_ready.wait()
        except TimeoutError:
            return False

    def learn(self, method: str, params: Struct, seconds: float) -> None:
        """What a question took: its like are expected to take as long."""
        self._durations.learn(shape_of(method, params), seconds)

    @property
    def ready(self) -> int:
        """Workers that are up and have answered."""
        return sum(slot.is_ready for slot in self._slots)

    @property
    def active(self) -> int:
        """Questions that a worker has."""
        return sum(slot.job is not None for slot in self._slots)

    @property
    def long(self) -> int:
        """Questions that a worker has and that are long, as expected or not."""
        now = asyncio.get_running_loop().time()
        jobs = [slot.job for slot in self._slots if slot.job is not None]
        return sum(job.is_long or now - job.began >= LONG_SECONDS for job in jobs)

    @property
    def waiting(self) -> int:
        """Questions that wait for a worker."""
        return len(self._jobs)

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers that run."""
        return [slot.process.pid for slot in self._slots if slot.process is not None]

    def ping(self) -> None:
        """Ask all workers for a sign of life; one that gives none is asked less often,
        or its pipe would fill up."""
        now = asyncio.get_running_loop().time()
        for slot in self._slots:
            is_due = slot.heard >= slot.pinged or now - slot.pinged > SILENT_SECONDS
            if slot.process is not None and is_due:
                slot.pinged = now
                slot.process.ping(1)

    def heartbeats(self) -> list[tuple[int | None, float]]:
        """(process id, seconds since its last sign of life) of each worker's place."""
        now = asyncio.get_running_loop().time()
        return [
            (slot.process.pid if slot.process else None, now - slot.heard)
            for slot in self._slots
        ]

    def _assign(self) -> None:
        for slot in self._slots:
            if slot.is_ready and slot.question == 0:
                job = self._next()
                if job is None:
                    return
                self._jobs.remove(job)
                self._begin(slot, job)

    def _next(self) -> _Job | None:
        """The oldest question; a long one only if a worker is left for others."""
        has_place = self.long < max(self.ready - 1, 1)
        for job in self._jobs:
            job.is_long = self._durations.is_long(job.shape)
            if has_place or not job.is_long:
                return job
            self.counters.held_back += not job.is_held
            job.is_held = True
        return None

    def _begin(self, slot: _Slot, job: _Job) -> None:
        job.began = asyncio.get_running_loop().time()
        if job.expiry is not None:
            job.expiry.cancel()
        slot.job = job
        self._send(slot, job.method, job.packed, job.scope)
        # the worker keeps the time itself; this is for one that can't
        overdue = RpcError(
            TIME_LIMIT,
            {"problem": f"no answer within {job.timeout:g} s", "retry": False},
        )
        self._guard(slot, job.timeout + STOP_SECONDS, overdue)

    def _send(
        self, slot: _Slot, method: str, params: Raw, scope: Scope | None = None
    ) -> None:
        assert slot.process is not None
        slot.question = self._last = self._last + 1
        now = self.clock_ns()
        slot.process.ask(Question(self._last, method, params, now, self.timeout, scope))

    def _guard(self, slot: _Slot, seconds: float, reason: RpcError | None) -> None:
        if slot.guard is not None:
            slot.guard.cancel()
        loop = asyncio.get_running_loop()
        slot.guard = loop.call_later(seconds, self._kill, slot, reason)

    def _kill(self, slot: _Slot, reason: RpcError | None) -> None:
        if slot.process is not None:
            self.counters.killed += 1
            slot.reason = reason
            slot.process.kill()

    def _drop(self, job: _Job) -> None:
        """Nobody waits for this job any more."""
        self.counters.cancelled += 1
        if job.expiry is not None:
            job.expiry.cancel()
        if job in self._jobs:
            self._jobs.remove(job)
            return
        for slot in self._slots:
            if slot.job is job and slot.process is not None:
                slot.process.cancel(slot.question)
                self._guard(slot, STOP_SECONDS, None)

    def _expire(self, job: _Job) -> None:
        """A job has waited as long as it might have run."""
        self._jobs.remove(job)
        self.counters.refused_busy += 1
        problem = f"no worker was free within {job.timeout:g} s"
        self._fail(job, busy(problem, RETRY_MS))

    def _fail(self, job: _Job, error: RpcError) -> None:
        if job.expiry is not None:
            job.expiry.cancel()
        if not job.done.done():
            self.counters.failed += 1
            job.done.set_exception(error)

    async def _keep_up(self, slot: _Slot) -> None:
        """Run one worker after the other in this slot."""
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            slot.is_stale = False
            try:
                slot.process = await WorkerProcess.start(self.command, self.environ)
                await self._serve(slot)
            except OSError as error:
                journal.error("gateway", f"a query worker can't be started: {error}")
                self._lose(slot, str(error))
            if loop.time() - started > STEADY_SECONDS:
                failures = 0
            wait = min(BACK_OFF_SECONDS * 2**failures, BACK_OFF_SECONDS_MAX)
            failures += 1
            await asyncio.sleep(wait)
            self.counters.restarts += 1

    async def _serve(self, slot: _Slot) -> None:
        """Take the worker's answers until it ends."""
        assert slot.process is not None
        # the first question proves that it works, and loads what answering needs
        self._send(slot, "tail", pack_params(TailRequest(limit=1)))
        self._guard(slot, max(START_SECONDS, self.timeout + STOP_SECONDS), None)
        how = "the gateway"
        try:
            while (answer := await slot.process.answer()) is not None:
                self._take(slot, answer)
            # what is retired was told to end
            is_wanted = slot.is_ready or slot.question
            slot.is_ready = False
            how = await slot.process.end(STOP_SECONDS)
            if is_wanted:
                journal.error("gateway", f"a query worker ended with {how}")
        except asyncio.CancelledError:
            await slot.process.end()
            raise
        finally:
            self._lose(slot, how)

    def _take(self, slot: _Slot, answer: Answer) -> None:
        slot.heard = asyncio.get_running_loop().time()
        if answer.pong is not None:
            return
        if answer.id != slot.question:
            return
        job, slot.job, slot.question = slot.job, None, 0
        slot.is_ready = True
        self._first_ready.set()
        if slot.guard is not None:
            slot.guard.cancel()
            slot.guard = None
        if job is not None:
            self._settle(job, answer)
        self._maybe_retire(slot)
        self._assign()

    def _settle(self, job: _Job, answer: Answer) -> None:
        problem = answer.error
        taken = asyncio.get_running_loop().time() - job.began
        self.counters.unexpectedly_long += taken >= LONG_SECONDS and not job.is_long
        # one that was refused or cancelled at once tells nothing of others
        if problem is None or taken >= LONG_SECONDS:
            self.learn(job.method, job.params, taken)
        if problem is not None:
            self.counters.timed_out += problem.code == TIME_LIMIT
            if problem.code == INTERNAL_ERROR:
                what = (problem.data or {}).get("problem", problem.message)
                text = f"a query worker failed at {job.method}: {what}"
                journal.error("gateway", text)
            self._fail(job, RpcError(problem.code, problem.data, problem.message))
        elif not job.done.done():
            self.counters.answered += 1
            job.done.set_result(answer.result or b"null")

    def _lose(self, slot: _Slot, how: str) -> None:
        """The slot's process is gone: its question fails, but may be asked again."""
        if slot.guard is not None:
            slot.guard.cancel()
        job, reason = slot.job, slot.reason
        slot.process = slot.job = slot.guard = slot.reason = None
        slot.question = 0
        slot.is_ready = False
        if job is not None:
            data = {"problem": f"it ended with {how}", "retry_after_ms": RETRY_MS}
            self._fail(job, reason or RpcError(WORKER_LOST, data))
        if not self._is_closing:
            self._assign()  # a long one that was held back may be all that is left
