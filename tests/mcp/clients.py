"""The official client in Python, over both transports and as both eras speak it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mcp import Client, StdioServerParameters

Target = str | StdioServerParameters
ERAS = ("auto", "legacy")
"""The protocol as of 2026, and the handshake of before."""


def of_stdio(environ: Mapping[str, str], *flags: str) -> StdioServerParameters:
    """The server as a client starts it."""
    arguments = ["-m", "pipeline", "mcp", *flags]
    return StdioServerParameters(
        command=sys.executable, args=arguments, env=dict(environ)
    )


def of_http(address: str) -> str:
    """The server as a client calls it."""
    return address


def connected(
    target: Target, act: Callable[[Client], Awaitable[Any]], era: str = "auto"
) -> Any:
    """What `act` returns, given a client."""

    async def run() -> Any:
        async with asyncio.timeout(60), Client(target, mode=era) as client:
            return await act(client)

    return asyncio.run(run())


async def text_of(client: Client, tool: str, **arguments: Any) -> str:
    """The one text of a call that must not fail."""
    result = await client.call_tool(tool, arguments)
    (content,) = result.content
    assert not result.is_error, content.text
    return content.text


async def error_of(client: Client, tool: str, **arguments: Any) -> str:
    """The text of a call that must fail."""
    result = await client.call_tool(tool, arguments)
    (content,) = result.content
    assert result.is_error
    return content.text
