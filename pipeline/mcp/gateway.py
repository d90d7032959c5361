"""The gateway of the pipeline, asked by JSON-RPC; it may come and go."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import msgspec

from pipeline.mcp import replies
from pipeline.mcp.replies import RetryError, ToolError

CONNECT_SECONDS: Final = 3.0
"""To be told soon that nothing is there."""

BUSY_SECONDS: Final = 10.0
"""A gateway that says "busy, retry after" is asked again for so long."""

CALLS: Final = 16
"""Questions under way at once; more wait for their turn, within their time."""

_UNKNOWN: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_JSON: Final = {"Content-Type": "application/json"}

REPLY_BYTES: Final = 16 << 20
"""A reply keeps to its tokens: one of this size comes from something else."""


class Gateway:
    """Asks; a call that is cancelled cancels its question there."""

    def __init__(self, url: str, timeout: float, token: str | None = None) -> None:
        """`token` is shown to a gateway that asks who calls."""
        self._headers = {
            **_JSON,
            **({"Authorization": f"Bearer {token}"} if token else {}),
        }
        self.url = url.rstrip("/")
        self._timeout = timeout
        self._turn = asyncio.Semaphore(CALLS)

    async def __aenter__(self) -> Self:
        """Open the pool of connections; nothing is asked yet."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
        self._session = aiohttp.ClientSession(timeout=timeout)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections, and with them what is still asked."""
        await self._session.close()

    async def ask(self, method: str, params: Mapping[str, Any]) -> str:
        """The result as JSON text; ToolError says why there is none."""
        call = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
        body = msgspec.json.encode(call)
        try:
            async with asyncio.timeout(self._timeout), self._turn:
                return await self._until_answered(body)
        except TimeoutError:
            raise ToolError(replies.late(self._timeout)) from None

    async def _until_answered(self, body: bytes) -> str:
        """Ask again while the gateway wants that."""
        waited, has_failed = 0.0, False
        while True:
            try:
                return replies.result_text(await self._post(body), self.url)
            except RetryError as later:
                waited += later.after_seconds
                if waited > BUSY_SECONDS or (has_failed and not later.after_seconds):
                    raise later.problem from None
                has_failed = True
                await asyncio.sleep(later.after_seconds)

    async def _post(self, body: bytes) -> bytes:
        """The reply; a connection that was kept too long is replaced once."""
        try:
            try:
                return await self._post_once(body)
            except (aiohttp.ServerDisconnectedError, ConnectionResetError):
                return await self._post_once(body)
        except (aiohttp.ClientError, OSError) as error:
            raise ToolError(replies.unreachable(self.url, _why(error))) from None

    async def _post_once(self, body: bytes) -> bytes:
        reply = bytearray()
        async with self._session.post(
            f"{self.url}/rpc", data=body, headers=self._headers, allow_redirects=False
        ) as response:
            if response.status in _UNKNOWN:
                raise ToolError(replies.unknown(self.url, response.status))
            async for piece in response.content.iter_any():
                reply += piece
                if len(reply) > REPLY_BYTES:
                    raise ToolError(replies.not_a_gateway(self.url))
        return bytes(reply)


def _why(error: Exception) -> str:
    """What went wrong, as the system words it where it did."""
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number else str(error) or type(error).__name__
