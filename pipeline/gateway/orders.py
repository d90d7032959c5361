"""Orders to another process: one at a time, on a thread, refused with its words."""

from __future__ import annotations

from typing import Any, Final

from pipeline.control import Client, ControlError
from pipeline.gateway.errors import NOT_DONE, RpcError, busy

ORDER_SECONDS: Final = 600.0
"""A delete rewrites the blocks that it touches: 20 GB take some minutes."""

ABSENT_SECONDS: Final = 2.0
"""A process that runs says how it is at once."""

_RETRY_MS: Final = 5_000


class Orders:
    """The way to the control socket of a process, which errors name."""

    def __init__(
        self, endpoint: str, name: str = "ingester", seconds: float = ORDER_SECONDS
    ) -> None:
        self._name = name
        self._client = Client(endpoint)
        self._seconds = seconds
        self._is_busy = False

    async def give(self, method: str, request: dict[str, Any]) -> dict[str, Any]:
        """Its reply; raises RpcError."""
        if self._is_busy:
            raise busy("another order is being carried out", _RETRY_MS)
        self._is_busy = True
        try:
            await self._client.ask_async("status", {}, ABSENT_SECONDS)
            return await self._client.ask_async(method, request, self._seconds)
        except ControlError as error:
            problem = f"no {self._name} answers" if error.is_absent else error.problem
            raise RpcError(NOT_DONE, {"problem": problem}) from None
        finally:
            self._is_busy = False
