"""Signs of life of the processes beside the gateway, asked for once a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from pipeline.control import Client, ControlError
from pipeline.gateway.pool import Pool

EVERY_SECONDS: Final = 1.0

ALIVE_SECONDS: Final = 2.5
"""A process whose last sign of life is older is stuck: known within 3 s."""

_ANSWER_SECONDS: Final = 2.0


class Pulse:
    """Asks query workers and the analyzer; the ingester says by itself how it is."""

    def __init__(self, pool: Pool, analyzer: str, clock: Callable[[], float]) -> None:
        """`analyzer` is its control endpoint, `clock` monotonic."""
        self._pool, self._clock = pool, clock
        self._analyzer = Client(analyzer)
        self._tasks: list[asyncio.Task[None]] = []
        self.analyzer: dict[str, Any] = {}
        """Its last status; empty until it answers."""
        self.analyzer_at: float | None = None

    def start(self) -> None:
        """Begin to ask."""
        self._tasks = [
            asyncio.create_task(self._ask_workers()),
            asyncio.create_task(self._ask_analyzer()),
        ]

    async def close(self) -> None:
        """Ask no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask_workers(self) -> None:
        while True:
            self._pool.ping()
            await asyncio.sleep(EVERY_SECONDS)

    async def _ask_analyzer(self) -> None:
        while True:
            with suppress(ControlError):
                self.analyzer = await self._analyzer.ask_async(
                    "status", {}, _ANSWER_SECONDS
                )
                self.analyzer_at = self._clock()
            await asyncio.sleep(EVERY_SECONDS)
