"""The open alerts as `health` tells them: asked of a worker, kept for a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from msgspec import Struct

from pipeline.gateway.errors import RpcError
from pipeline.gateway.pool import Pool
from pipeline.query.alerted import AlertsReply, AlertsRequest

REMEMBERED_SECONDS = 1.0
PATIENCE_SECONDS = 0.5
"""Health is asked for when things are slow: it then tells what it knew last."""

LISTED = 20


class OpenAlert(Struct, frozen=True):
    """One of them, in short."""

    fingerprint: str
    text: str
    sources: list[str]
    level: int
    since: str
    acknowledged: bool


class AlertsHealth(Struct, frozen=True):
    """How many are open, and the newest; null when nobody could tell yet."""

    open: int | None = None
    newest: list[OpenAlert] = []
    error: str | None = None


class OpenAlerts:
    """Asks at most once a second, however many want to know."""

    def __init__(self, pool: Pool, clock: Callable[[], float]) -> None:
        self._pool = pool
        self._clock = clock
        self._asked_at = float("-inf")
        self._task: asyncio.Task[None] | None = None
        self._last = AlertsHealth()

    async def now(self) -> AlertsHealth:
        """What is open, or what was when it was known last."""
        moment = self._clock()
        is_running = self._task is not None and not self._task.done()
        if not is_running and moment - self._asked_at > REMEMBERED_SECONDS:
            self._asked_at = moment
            self._task = asyncio.create_task(self._ask())
        if self._task is not None:
            await asyncio.wait([self._task], timeout=PATIENCE_SECONDS)
        return self._last

    async def close(self) -> None:
        """End what is being asked."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _ask(self) -> None:
        question = AlertsRequest(limit=LISTED)
        try:
            body = await self._pool.ask("get_alerts", question)
        except RpcError as error:
            problem = str((error.data or {}).get("problem", error.message))
            self._last = AlertsHealth(self._last.open, self._last.newest, problem)
            return
        reply = msgspec.json.decode(body, type=AlertsReply)
        newest = [
            OpenAlert(
                one.fingerprint,
                one.text,
                one.sources,
                one.level,
                one.since,
                one.acknowledged is not None,
            )
            for one in reply.alerts
        ]
        self._last = AlertsHealth(reply.count, newest)
