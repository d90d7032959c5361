"""Peers that alerts are delivered to, over real sockets, and that misbehave."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from pipeline import clock
from pipeline.alerts import Kind
from pipeline.analyzer.book import Notice
from tests.alerts.made import T0, alert, at

HANG: Final = "hang"
RESET: Final = "reset"
DRIP: Final = "drip"
GARBAGE: Final = "garbage"
CLOSE: Final = "close"


def notice(kind: Kind = Kind.OPENED, source: str = "web", **changes: Any) -> Notice:
    """Something to tell."""
    if kind is Kind.RESOLVED:
        changes = {"state": "resolved", "resolved": at(60), **changes}
    return Notice(kind, alert(source, **changes), T0 + 2.0, send=True)


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Until it holds; fails when it does not within that time."""
    end = clock.monotonic() + seconds
    event = threading.Event()
    while not condition():
        assert clock.monotonic() < end, "it did not happen"
        event.wait(0.02)


class HttpPeer:
    """A server that answers as it is told to, one behaviour for each request.

    A behaviour is a status, (status, Retry-After), or one of the names above; when
    there is none left it answers 200.
    """

    def __init__(self, *behaviours: object) -> None:
        self.behaviours = list(behaviours)
        self.bodies: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.times: list[float] = []
        self.let_go = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.root = f"http://127.0.0.1:{self.server.server_port}"

    def _handler(peer) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the outer self
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                peer.times.append(clock.monotonic())
                peer.headers.append(dict(self.headers))
                peer.paths.append(self.path)
                peer.bodies.append(json.loads(body))
                given = peer.behaviours.pop(0) if peer.behaviours else 200
                peer.behave(self, given)

        return Handler

    def behave(self, handler: BaseHTTPRequestHandler, given: object) -> None:
        """Answer, or not."""
        connection = handler.connection
        if isinstance(given, int | tuple):
            status, after = given if isinstance(given, tuple) else (given, None)
            handler.send_response(status)
            if after is not None:
                handler.send_header("Retry-After", str(after))
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.close_connection = True
        if given == HANG:
            self.let_go.wait(60)
        elif given == DRIP:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            # a time-out of the socket starts anew with each byte
            while not self.let_go.wait(0.05):
                try:
                    connection.sendall(b"X")
                except OSError:
                    return
        elif given == RESET:
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            os.close(connection.detach())  # at once, whoever else refers to it
        elif given == GARBAGE:
            connection.sendall(b"\x00\xff what?\r\n\r\n")


@contextmanager
def http_peer(*behaviours: object) -> Iterator[HttpPeer]:
    """One that runs."""
    peer = HttpPeer(*behaviours)
    thread = threading.Thread(target=peer.server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield peer
    finally:
        peer.let_go.set()
        peer.server.shutdown()
        peer.server.server_close()
        thread.join()


def nobody() -> str:
    """A URL where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/hook"
