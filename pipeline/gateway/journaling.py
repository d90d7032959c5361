"""What the gateway complains of, on its way into the store like any other entry.

Its own warnings and those of its libraries, which use `logging`; stderr has all of them
at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

from pipeline import journal
from pipeline.entry import Entry
from pipeline.level import Level

EVERY_SECONDS: Final = 0.5
NAME: Final = "gateway"

SLOW: Final = "Executing "
"""How the debug mode of asyncio begins to tell of each call of a tenth of a second."""

_last_resort: Final = logging.lastResort
"""Prints what no other handler takes; with one of ours it would be silent."""


class Submitter(Protocol):
    """The part of the collector that takes notes."""

    def submit(self, rows: Sequence[Entry]) -> bool:
        """Send rows as one batch; False when memory is full."""


class Journaling:
    """Hands over what was noted, twice a second."""

    def __init__(self, collector: Submitter) -> None:
        self._collector = collector
        self._handler = Records()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in a running loop."""
        logging.getLogger().addHandler(self._handler)
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Hand over what is left."""
        logging.getLogger().removeHandler(self._handler)
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        journal.own.store(self._write)

    async def _run(self) -> None:
        while True:
            journal.own.store(self._write)
            await asyncio.sleep(EVERY_SECONDS)

    def _write(self, entry: Entry) -> bool:
        # callers' entries come first: what finds no room is lost, and counted
        return self._collector.submit([entry])


class Records(logging.Handler):
    """Warnings and errors of `logging`, noted and printed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Never raises into who logs."""
        if _last_resort is not None:
            _last_resort.handle(record)
        if record.name == "asyncio" and str(record.msg).startswith(SLOW):
            return
        try:
            text = record.getMessage()
            more = {"logger": record.name}
            if record.exc_info and record.exc_info[1] is not None:
                more["stack"] = journal.stack_of(record.exc_info[1])
        except Exception:  # noqa: BLE001 - as logging's own handlers do
            self.handleError(record)
            return
        is_error = record.levelno >= logging.ERROR
        journal.note(Level.ERROR if is_error else Level.WARN, NAME, text, more)
