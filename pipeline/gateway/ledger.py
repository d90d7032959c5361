"""The ledger read from the database, for `get_ledger`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from pipeline.errors import StoreError
from pipeline.gateway.errors import busy
from pipeline.store.database import DatabaseError, open_reader_async
from pipeline.store.producers import (
    FORGOTTEN_QUERY,
    PAGE_QUERY,
    TOTALS_QUERY,
    VERSION_QUERY,
    Ledger,
    Question,
    check_version,
    ledger_of,
    totals_of,
    values_of,
)

WAITING_MAX: Final = 32
"""Readings that wait for the one at work: of 100,000 producers it takes 0.2 s."""

RETRY_MS: Final = 1_000


class LedgerReader:
    """One reading at a time, each on a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[Ledger]] = set()

    async def read(self, question: Question) -> Ledger:
        """The ledger; raises StoreError, and RpcError (-32003) when many wait."""
        if len(self._tasks) > WAITING_MAX:
            raise busy(f"{WAITING_MAX} readings of the ledger wait already", RETRY_MS)
        task = asyncio.create_task(self._read(question))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # a caller that goes away must not leave aiosqlite's thread behind
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for what is being read."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _read(self, question: Question) -> Ledger:
        async with self._lock:
            connection = await open_reader_async(self._path)
            try:
                values = values_of(question)
                ((version,),) = await connection.execute_fetchall(VERSION_QUERY)
                check_version(self._path, version)
                rows = await connection.execute_fetchall(PAGE_QUERY, values)
                sums = await connection.execute_fetchall(TOTALS_QUERY, values)
                forgotten = await connection.execute_fetchall(FORGOTTEN_QUERY)
            except DatabaseError as error:
                raise StoreError(f"{self._path} can't be read: {error}") from None
            finally:
                await connection.close()
        totals = totals_of(sums, question, forgotten)
        return ledger_of(list(rows), totals, question.limit)
