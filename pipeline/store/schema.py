"""Tables of the database, and the steps from one version of them to the next.

`user_version` counts the steps done; a step is never changed once it has landed.
"""

from __future__ import annotations

from typing import Final

PAGE_BYTES: Final = 16_384
"""Pages of 16 KiB halve the CPU of a commit whose rows are blobs of megabytes."""

STEPS: Final[tuple[tuple[str, ...], ...]] = (
    (
        # One row a block: a row a column would write three times the WAL at a low rate.
        # What a query reads first stands before the blob, which overflows the page.
        """
        CREATE TABLE blocks (
            id          INTEGER PRIMARY KEY,
            committed   INTEGER NOT NULL,
            tier        INTEGER NOT NULL,
            rows        INTEGER NOT NULL,
            bytes       INTEGER NOT NULL,
            minimum     INTEGER NOT NULL,
            maximum     INTEGER NOT NULL,
            replaced_by INTEGER,
            header_crc  INTEGER NOT NULL,
            data_crc    INTEGER NOT NULL,
            counts      BLOB NOT NULL,
            runs        BLOB NOT NULL,
            data        BLOB
        ) STRICT
        """,
        """
        CREATE TABLE producers (
            id         BLOB PRIMARY KEY,
            kind       TEXT NOT NULL,
            durable    INTEGER NOT NULL,
            stored     INTEGER NOT NULL,
            lost       INTEGER NOT NULL,
            duplicates INTEGER NOT NULL,
            rejected   INTEGER NOT NULL,
            dropped    INTEGER NOT NULL,
            seen       INTEGER NOT NULL,
            finished   INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE dead_letters (
            id       INTEGER PRIMARY KEY,
            time     INTEGER NOT NULL,
            reason   TEXT NOT NULL,
            detail   TEXT NOT NULL,
            producer BLOB,
            bytes    INTEGER NOT NULL,
            body     BLOB NOT NULL
        ) STRICT
        """,
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    ),
    (
        "ALTER TABLE producers ADD COLUMN tail INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE producers ADD COLUMN reasons BLOB NOT NULL DEFAULT x'80'",
    ),
    (
        "ALTER TABLE producers ADD COLUMN block INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE producers ADD COLUMN crc INTEGER",
    ),
    (
        "ALTER TABLE producers ADD COLUMN source TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE producers ADD COLUMN began INTEGER NOT NULL DEFAULT 0",
    ),
    (
        # What each query reads stands first: SQLite follows a row's pages one by one.
        """
        CREATE TABLE compacted (
            id         INTEGER PRIMARY KEY,
            first      INTEGER NOT NULL,
            last       INTEGER NOT NULL,
            committed  INTEGER NOT NULL,
            tier       INTEGER NOT NULL,
            rows       INTEGER NOT NULL,
            bytes      INTEGER NOT NULL,
            minimum    INTEGER NOT NULL,
            maximum    INTEGER NOT NULL,
            header_crc INTEGER NOT NULL,
            checksums  BLOB NOT NULL,
            counts     BLOB NOT NULL,
            patterns   BLOB NOT NULL,
            directory  BLOB NOT NULL,
            runs       BLOB NOT NULL,
            commits    BLOB NOT NULL
        ) STRICT
        """,
        "CREATE TABLE segments (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT",
        "CREATE TABLE filters (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT",
        """
        CREATE TABLE patterns (
            id       INTEGER PRIMARY KEY,
            template BLOB NOT NULL,
            first    INTEGER NOT NULL,
            last     INTEGER NOT NULL,
            crc      INTEGER NOT NULL
        ) STRICT
        """,
    ),
    (
        """
        CREATE TABLE chain (
            id    INTEGER PRIMARY KEY,
            hash  BLOB NOT NULL,
            event BLOB NOT NULL
        ) STRICT
        """,
    ),
)

VERSION: Final = len(STEPS)

APPLICATION: Final = 0x524C5000
"""`application_id` is this plus the version, from version 3 on, so that one flipped bit
does not look like a newer program's database."""

FORGOTTEN: Final = "forgotten"
"""Key of `meta`: sums of the producers that have no row any more."""

REMOVED: Final = "removed"
"""Key of `meta`: how many of the blocks' numbers so far have no row any more."""

COMPACTED: Final = 1 << 40
"""Ids of compacted blocks begin above: no commit has so high a number."""

FILTER_BITS: Final = 40
"""A filter's id is its partition, then the block's number in so many bits."""

LAST: Final = "last"
"""Key of `meta`: a commit number that was given, when its row may be gone."""

LAST_COMPACTED: Final = "compacted"
"""Key of `meta`: the newest id of a compacted block; none is given twice."""

REMOVED_COMPACTED: Final = "compacted_removed"
"""Key of `meta`: how many of the compacted blocks so far have no row any more."""

PURGED: Final = "purged"
"""Key of `meta`: raised when a block goes away that no other block replaces."""

CLOCK: Final = "clock"
"""Key of `meta`: when the clock was last looked at, and its jumps, as JSON."""

DELETED: Final = "deleted "
"""Begin of keys of `meta`, then a producer's id as hex digits: how many of its stored
entries were deleted, by whoever asked or by retention."""
