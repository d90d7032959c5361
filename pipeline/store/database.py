"""SQLite connections: one that writes, any number that read; the only home of sqlite3.

SQLite before 3.51.3 can corrupt a WAL that two connections write or checkpoint, so
exactly one read-write connection exists: the ingester's, behind a lock on a file.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from pipeline.errors import StoreError
from pipeline.store.schema import APPLICATION, PAGE_BYTES, STEPS, VERSION

if TYPE_CHECKING:
    import aiosqlite

Connection = sqlite3.Connection
DatabaseError = sqlite3.Error

_CACHE_KIB: Final = 2048
SYNCHRONOUS: Final = {"disk": "FULL", "process": "NORMAL"}
"""By durability: FULL is on disk at each commit; NORMAL survives a killed process, but
a power cut may take the last seconds."""


_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_damage(error: DatabaseError) -> bool:
    """Whether trying again is of no use, because the file is not what it was."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


class Lock:
    """The exclusive right to write a database, held through a file beside it."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + ".lock")
        try:
            self._file = os.open(
                self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise StoreError(f"{self.path} can't be made: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._file, 32).decode(errors="replace").strip()
            os.close(self._file)
            text = (
                f"{database} is in use by process {holder or 'unknown'}; stop it first"
            )
            raise StoreError(text) from None
        # on a full disk nobody learns who holds it
        with suppress(OSError):
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let others write; the file stays, because removing it would race."""
        os.close(self._file)


def is_written(path: Path) -> bool:
    """Whether somebody holds the right to write a database."""
    try:
        file = os.open(path.with_name(path.name + ".lock"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False


def open_writer(path: Path, durability: str = "disk") -> Connection:
    """The one read-write connection; makes file and tables. Raises StoreError."""
    try:
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False
        )
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS[durability]}")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA busy_timeout = 20")
        _migrate(connection, path)
        # Else frames of a transaction that a kill cut short stay behind new ones.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise StoreError(f"{path} can't be opened for writing: {error}") from None
    return connection


def open_fresh(path: Path) -> Connection:
    """A new database that is worth nothing until `finish_fresh`. Raises StoreError."""
    try:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        _migrate(connection, path)
    except sqlite3.Error as error:
        raise StoreError(f"{path} can't be made: {error}") from None
    return connection


def finish_fresh(connection: Connection, path: Path) -> None:
    """Close it, on disk as a whole."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    sync(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Have a file or a folder on disk."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _migrate(connection: Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        detail = f"version {version}; this program knows {VERSION}: install a newer one"
        raise StoreError(f"{path} was written by a newer program ({detail})")
    for number, statements in enumerate(STEPS[version:], version + 1):
        connection.execute("BEGIN IMMEDIATE")
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute(f"PRAGMA application_id = {APPLICATION + number}")
        connection.execute("COMMIT")


def table_definitions(version: int) -> dict[str, str]:
    """SQL of the tables of a version, as SQLite keeps it."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for statements in STEPS[:version]:
            for statement in statements:
                connection.execute(statement)
        return dict(connection.execute("SELECT name, sql FROM sqlite_master"))


def _reader_uri(path: Path) -> str:
    return f"file:{quote(str(path.absolute()))}?mode=ro"


def open_reader(path: Path) -> Connection:
    """A connection that can't write; raises StoreError when there is no database."""
    try:
        connection = sqlite3.connect(
            _reader_uri(path), uri=True, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA query_only = 1")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise StoreError(f"{path} can't be read: {error}") from None
    return connection


async def open_reader_async(path: Path) -> aiosqlite.Connection:
    """As `open_reader`, for an event loop."""
    import aiosqlite  # the ingester has no use for it

    try:
        connection = await aiosqlite.connect(_reader_uri(path), uri=True)
    except sqlite3.Error as error:
        raise StoreError(f"{path} can't be read: {error}") from None
    try:
        await connection.execute("PRAGMA query_only = 1")
        await connection.execute("SELECT 1 FROM sqlite_master")
    except sqlite3.Error as error:
        # its thread would keep the process from ending
        await connection.close()
        raise StoreError(f"{path} can't be read: {error}") from None
    return connection


def size_on_disk(path: Path) -> int:
    """Bytes of the database and its WAL."""
    total = 0
    for suffix in ("", "-wal"):
        with suppress(FileNotFoundError):
            total += path.with_name(path.name + suffix).stat().st_size
    return total
