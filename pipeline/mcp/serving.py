"""Serves a server's tools on standard input and output, or by streamable HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import re
import signal
import socket
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

import anyio
import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import ASGIApp

from pipeline.errors import ConfigError
from pipeline.mcp.callers import VARIABLE, WithToken
from pipeline.mcp.lines import lines
from pipeline.service import StopSignal, announce_ready

PATH: Final = "/mcp"
REQUEST_BYTES: Final = 1 << 20
SESSIONS: Final = 1_000
IDLE_SECONDS: Final = 30 * 60
"""A session of HTTP that is silent so long is forgotten; its client begins anew."""

END_SECONDS: Final = 2
"""What is still answered gets this long when the process is told to end."""

_ADDRESS: Final = re.compile(
    r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[^:\[\]]+)):(?P<port>[0-9]{1,5})"
)

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


async def stdio(server: Server[Any], stop: StopSignal) -> None:
    """Serve one client until it closes its end, or `stop` is set."""
    # an object of the SDK's own type would keep a thread waiting, and the process alive
    stdin = cast("anyio.AsyncFile[str]", lines(0))
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_cancel_at, stop, group.cancel_scope)
            async with stdio_server(stdin) as (reader, writer):
                await server.run(reader, writer, server.create_initialization_options())
            group.cancel_scope.cancel()
    except* BrokenPipeError:
        pass  # the client has gone, and with it whoever would read of it


async def http(
    server: Server[Any],
    stop: StopSignal,
    listener: socket.socket,
    names: Sequence[str],
    token: bytes | None = None,
) -> None:
    """Serve clients that call it by one of `names` or as loopback, until `stop`.

    With a token only those that have it.
    """
    app: ASGIApp = server.streamable_http_app(
        streamable_http_path=PATH,
        max_request_body_size=REQUEST_BYTES,
        session_idle_timeout=IDLE_SECONDS,
        max_sessions=SESSIONS,
        transport_security=security((*LOOPBACK, *names)),
    )
    config = uvicorn.Config(
        app if token is None else WithToken(app, token),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=END_SECONDS,
    )
    serving = _Uvicorn(config)
    host, port = listener.getsockname()[:2]
    announce_ready("mcp", f"http://{_bracketed(host)}:{port}{PATH}")
    async with anyio.create_task_group() as group:
        group.start_soon(_exit_at, stop, serving)
        await serving.serve(sockets=[listener])
        group.cancel_scope.cancel()


def listen(
    address: str, names: Sequence[str], token: bytes | None = None
) -> socket.socket:
    """The socket of HOST:PORT; ConfigError if it can't be had, or others reach it."""
    found = _ADDRESS.fullmatch(address)
    host, port = (found["v6"] or found["host"], found["port"]) if found else ("", "0")
    if not host or int(port) > 65_535:
        raise ConfigError("--http", f"{address!r} is no address", "such as 127.0.0.1:0")
    if not _is_loopback(host):
        _check_open(address, names, token)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small replies at once on sockets that say they are of TCP only
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, int(port)))
        listener.listen()  # ready is said before the first request is taken
    except OSError as error:
        listener.close()
        problem = f"can't listen on {address}: {os.strerror(error.errno or 0)}"
        raise ConfigError("--http", problem, "a free port of this machine") from None
    return listener


def _check_open(address: str, names: Sequence[str], token: bytes | None) -> None:
    """ConfigError unless callers of other machines have to show who they are."""
    problem = f"whoever reaches {address} could read every log"
    if token is None:
        expected = f"127.0.0.1, or a token in {VARIABLE} or --token-file"
        raise ConfigError("--http", problem, expected)
    if not names:
        problem = f"{address} is reached by names that no page of another site may use"
        expected = "127.0.0.1, or --allow-host with the name that clients use"
        raise ConfigError("--http", problem, expected)


def security(names: Sequence[str]) -> TransportSecuritySettings:
    """Only pages and programs that call this server by its names are answered.

    A page of another site can have its own name lead here (DNS rebinding), so what the
    browser calls us is compared.
    """
    return TransportSecuritySettings(
        allowed_hosts=[f"{name}{port}" for name in names for port in ("", ":*")],
        allowed_origins=[
            f"{scheme}://{name}{port}"
            for scheme in ("http", "https")
            for name in names
            for port in ("", ":*")
        ],
    )


class _Uvicorn(uvicorn.Server):
    """One that leaves the signals to StopSignal."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _cancel_at(stop: StopSignal, scope: anyio.CancelScope) -> None:
    await _until(stop)
    # a client that reads no more keeps a thread in its write, and that the process
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    signal.alarm(END_SECONDS)
    scope.cancel()


async def _exit_at(stop: StopSignal, serving: uvicorn.Server) -> None:
    await _until(stop)
    serving.should_exit = True


async def _until(stop: StopSignal) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_reader(stop.fileno(), stopped.set)
    try:
        await stopped.wait()
    finally:
        loop.remove_reader(stop.fileno())


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
