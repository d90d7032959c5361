"""What the ingester publishes, received in the event loop: summaries and its status."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import msgspec

from pipeline import transport

MESSAGES_AT_ONCE: Final = 64
"""Received before other work gets its turn."""

_LOOK_SECONDS: Final = 1.0
"""A descriptor of ZeroMQ tells of changes only, once; this is for one that was lost."""

_Taker = Callable[[dict[str, Any]], None]


class Feed:
    """One SUB per topic, so that a missed summary is never a full status queue."""

    def __init__(self, endpoint: str, takers: dict[bytes, _Taker]) -> None:
        self._loop = asyncio.get_running_loop()
        self._decode = msgspec.msgpack.Decoder(dict[str, Any]).decode
        self._sockets = {
            transport.subscribe(endpoint, [topic]): taker
            for topic, taker in takers.items()
        }
        self.received = 0
        self.undecodable = 0
        for socket in self._sockets:
            self._loop.add_reader(socket.fileno(), self._drain, socket)
        self._timer = self._loop.call_later(_LOOK_SECONDS, self._look)

    def close(self) -> None:
        """Receive nothing more."""
        self._timer.cancel()
        for socket in self._sockets:
            self._loop.remove_reader(socket.fileno())
            socket.close(0)
        self._sockets.clear()

    def _look(self) -> None:
        for socket in self._sockets:
            self._drain(socket)
        self._timer = self._loop.call_later(_LOOK_SECONDS, self._look)

    def _drain(self, socket: transport.Socket) -> None:
        """Receive until there is nothing: only then the descriptor tells of more."""
        if socket not in self._sockets:
            return
        for _ in range(MESSAGES_AT_ONCE):
            frames = transport.receive(socket)
            if frames is None:
                return
            self._take(self._sockets[socket], frames[-1])
        self._loop.call_soon(self._drain, socket)

    def _take(self, taker: _Taker, body: bytes) -> None:
        self.received += 1
        try:
            message = self._decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.undecodable += 1
            return
        taker(message)
