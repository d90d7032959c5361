"""An entry every few seconds, followed from its log call until a question finds it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from pipeline.entry import Entry
from pipeline.gateway.errors import RpcError
from pipeline.gateway.intake import Intake
from pipeline.gateway.pool import Pool
from pipeline.level import Level
from pipeline.query.lookups import EntryRequest

SOURCE: Final = "pipeline"
TAG: Final = "canary"
PATIENCE_SECONDS: Final = 10.0
_AGAIN_SECONDS: Final = 0.02


class Canary:
    """The way of all entries, measured from outside."""

    def __init__(
        self,
        intake: Intake,
        pool: Pool,
        every: float,
        clock: Callable[[], float],
        clock_ns: Callable[[], int],
    ) -> None:
        """`every` is in seconds, 0 for never; `clock` monotonic."""
        self._intake, self._pool = intake, pool
        self._every, self._clock, self._clock_ns = every, clock, clock_ns
        self._task: asyncio.Task[None] | None = None
        self.sent = 0
        self.lost = 0
        self.lag_seconds: float | None = None
        self.measured_at: float | None = None

    def start(self) -> None:
        """Send the first after one interval: what starts is not measured."""
        if self._every > 0:
            self._task = asyncio.create_task(self._run())

    def change(self, every: float) -> None:
        """Send one so often from now on."""
        if every == self._every:
            return
        self._every = every
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self.start()

    async def close(self) -> None:
        """Send none any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def age(self, now: float) -> float | None:
        """How long ago the last one was found, or given up; in seconds."""
        return None if self.measured_at is None else now - self.measured_at

    def told(self) -> dict[str, float]:
        """What it has measured."""
        told: dict[str, float] = {"sent": self.sent, "lost": self.lost}
        if self.lag_seconds is not None:
            told["lag_seconds"] = self.lag_seconds
        return told

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            began = self._clock()
            self.sent += 1
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._follow()
            except (RpcError, TimeoutError):
                self.lost += 1
            self.measured_at = self._clock()
            self.lag_seconds = self.measured_at - began

    async def _follow(self) -> None:
        message = f"canary {self.sent}"
        now = self._clock_ns()
        row = Entry(now, SOURCE, Level.DEBUG, message, {}, [TAG], None)
        identity = await self._intake.store(row)
        while True:
            try:
                await self._pool.ask("get_entry", EntryRequest(id=identity))
            except RpcError:  # not there yet, or no worker is: both are lag
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return
