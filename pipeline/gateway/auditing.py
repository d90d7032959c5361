"""Who exported, deleted, reloaded, and which tokens came and went: to the audit.

The ingester writes it: it is asked over its control socket, one entry after another,
and again while it is away. A call does not wait for that.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from pipeline import journal
from pipeline.control import Client, ControlError
from pipeline.gateway.principal import Principal
from pipeline.gateway.tokens import Token

WAITING_MAX: Final = 1_000
"""Notes that wait for the ingester; beyond, the new ones are lost, and counted."""

NOTE_SECONDS: Final = 5.0
AGAIN_SECONDS: Final = 1.0
CLOSE_SECONDS: Final = 2.0
"""How long the last notes are waited for at the end."""


class Auditing:
    """Notes on their way to the ingester; it counts them as `audit_*`."""

    def __init__(self, endpoint: str, counters: Counter[str]) -> None:
        self._client = Client(endpoint)
        self._counters = counters
        self._waiting: deque[dict[str, Any]] = deque()
        self._wake, self._idle = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in a running loop."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Hand over what waits, unless the ingester is away."""
        if self._task is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._idle.wait()
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    def note(
        self, action: str, who: Principal, message: str, more: Mapping[str, Any]
    ) -> None:
        """Something was done by somebody."""
        by = {"token": who.token} if who.token else {"address": who.address}
        told = {"action": action, "by": who.name, "message": f"{who.name} {message}"}
        self._put(told | {"more": {**by, **more}})

    def tokens_changed(self, before: Iterable[Token], now: Iterable[Token]) -> None:
        """The file of the tokens is another: whoever owns it has written it."""
        old, new = ({token.id: token for token in all_} for all_ in (before, now))
        for word, ids in (
            ("revoked", old.keys() - new.keys()),
            ("created", new.keys() - old.keys()),
        ):
            for one in sorted(ids):
                token = (old | new)[one]
                self._put(
                    {
                        "action": f"token {word}",
                        "by": "owner",
                        "message": f"token {one} ({token.name}) was {word}",
                        "more": {"token": one, "role": token.role},
                    }
                )

    def _put(self, told: dict[str, Any]) -> None:
        if len(self._waiting) >= WAITING_MAX:
            self._counters["audit_lost"] += 1
            return
        self._waiting.append(told)
        self._idle.clear()
        self._wake.set()

    async def _run(self) -> None:
        while True:
            while self._waiting:
                await self._hand_over(self._waiting[0])
            self._idle.set()
            await self._wake.wait()
            self._wake.clear()

    async def _hand_over(self, told: dict[str, Any]) -> None:
        try:
            await self._client.ask_async("audit", told, NOTE_SECONDS)
        except ControlError as error:
            if error.is_absent:
                await asyncio.sleep(AGAIN_SECONDS)
                return
            journal.error("gateway", f"an entry of the audit is lost: {error}")
            self._counters["audit_lost"] += 1
        else:
            self._counters["audit_noted"] += 1
        self._waiting.popleft()
