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
)

VERSION: Final = len(STEPS)

APPLICATION: Final = 0x524C5000
"""`application_id` is this plus the version, from version 3 on, so that one flipped bit
does not look like a newer program's database."""

FORGOTTEN: Final = "forgotten"
"""Key of `meta`: sums of the producers that have no row any more."""

REMOVED: Final = "removed"
"""Key of `meta`: how many of the blocks' numbers so far have no row any more."""
