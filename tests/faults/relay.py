"""A TCP relay that ends connections in the middle of frames, leaves them half open,
holds back what it has read, or gives it on in crumbs.
"""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from contextlib import suppress
from typing import Self

CRUMB_BYTES = 37
CUT_BYTES = 60_000
"""Given on by a connection, at most, before it is cut in the middle of whatever."""


class Relay:
    """Listens on a port of its own and passes everything on to `target`."""

    def __init__(self, target: int, seed: int) -> None:
        self.mode = "pass"
        """pass, stall, crumbs, cut or half_open; may be changed at any time."""
        self.cuts = 0
        self._target = target
        self._chance = random.Random(seed)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        serving = asyncio.start_server(self._serve, sock=self._server)
        server = self._loop.run_until_complete(serving)
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writers = [writer]
        try:
            far, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            writers.append(far_writer)
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pass(reader, far_writer))
                ways.create_task(self._pass(far, writer))
        except* (OSError, _Cut, asyncio.CancelledError):
            pass
        finally:
            for end in writers:
                end.transport.abort()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        left = self._chance.randrange(CUT_BYTES)
        while data := await reader.read(65536):
            while self.mode == "stall":  # noqa: ASYNC110 - another thread changes it
                await asyncio.sleep(0.02)
            if self.mode == "cut" and left < len(data):
                self.cuts += 1
                writer.write(data[:left])
                with suppress(OSError):
                    await writer.drain()
                raise _Cut
            if self.mode == "half_open" and left < len(data):
                self.cuts += 1
                await self._swallow(reader, writer)
            left -= len(data)
            for place in range(0, len(data), self._crumb(len(data))):
                writer.write(data[place : place + self._crumb(len(data))])
                await writer.drain()
        raise _Cut

    def _crumb(self, size: int) -> int:
        return CRUMB_BYTES if self.mode == "crumbs" else size

    async def _swallow(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """One end is gone; the other is not told, and goes on sending."""
        writer.transport.abort()
        while self.mode == "half_open" and await reader.read(65536):
            pass
        raise _Cut


class _Cut(Exception):  # noqa: N818 - it ends a connection, as planned
    """A connection ends here."""
