"""Archives beside the store that they are of, read as if their blocks were still there.

SQLite attaches the files, and a temporary view in the place of each table has the rows
of all of them. That is sound for archives of this very store only: its numbers of
commits and blocks are given once, so that none comes up twice. Where the store still
has what an archive has, that of the archive counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

from pipeline.errors import StoreError
from pipeline.store.database import Connection, DatabaseError, open_reader
from pipeline.store.listed import Listed, has_table, live_blocks
from pipeline.store.schema import COMPACTED, LAST, LAST_COMPACTED, REMOVED, VERSION

FILES_MAX: Final = 10
"""As many as SQLite attaches, where it is built as it mostly is."""

ARCHIVE: Final = "archive"
"""Key of `meta` that makes a file an archive."""

_COLUMNS: Final = {
    "blocks": "id, committed, tier, rows, bytes, minimum, maximum, header_crc,"
    " data_crc, counts, runs, data",
    "compacted": "id, first, last, committed, tier, rows, bytes, minimum, maximum,"
    " header_crc, checksums, counts, patterns, directory, runs, commits",
    "segments": "id, data",
    "filters": "id, data",
    "patterns": "id, template, first, last, crc",
}

_COMMITS: Final = {"blocks": ("id", "id"), "compacted": ("first", "last")}
"""Tables of blocks, and the columns that tell their commits; rows of the others belong
to a block, or are the same wherever they stand."""


class _Archive(NamedTuple):
    path: Path
    schema: str
    """What SQLite calls it here."""

    blocks: list[Listed]

    @property
    def first(self) -> int:
        """Its oldest commit."""
        return self.blocks[0].first

    @property
    def last(self) -> int:
        """Its newest commit."""
        return self.blocks[-1].last


class ArchiveError(StoreError):
    """This archive can't be attached; without it the others may be."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"archive {path} can't be attached: {problem}")
        self.path = path


def open_with(path: Path, archives: Sequence[Path]) -> tuple[Connection, list[Path]]:
    """A reader of the store with all archives that can be; those that can't be.

    Raises StoreError for the store.
    """
    left = list(archives)
    while True:
        connection = open_reader(path)
        try:
            attach(connection, left)
        except ArchiveError as error:
            connection.close()
            left.remove(error.path)
        except StoreError:
            connection.close()
            left.clear()
        else:
            return connection, [each for each in archives if each not in left]


def attach(connection: Connection, paths: Sequence[Path]) -> None:
    """Have a reader's connection see these archives, too; raises StoreError."""
    if not paths:
        return
    if len(paths) > FILES_MAX:
        text = f"{len(paths)} archives can't be attached; at most {FILES_MAX} can"
        raise StoreError(text)
    archives: list[_Archive] = []
    for number, path in enumerate(paths):
        try:
            archives.append(_attach(connection, path, f"archive{number}"))
        except DatabaseError as error:
            raise ArchiveError(path, str(error)) from None
    try:
        _check(connection, archives)
        _make_views(connection, archives)
    except DatabaseError as error:
        raise StoreError(f"archives can't be attached: {error}") from None


def _attach(connection: Connection, path: Path, schema: str) -> _Archive:
    # an archive never changes; without a WAL it can be read where nobody may write
    uri = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    connection.execute(f"ATTACH ? AS {schema}", (uri,))
    ((version,),) = connection.execute(f"PRAGMA {schema}.user_version")
    if version > VERSION:
        problem = f"is of a newer version ({version}) than this program ({VERSION})"
        raise ArchiveError(path, problem)
    about = f"SELECT 1 FROM {schema}.meta WHERE key = '{ARCHIVE}'"  # noqa: S608 - ours
    has_meta = has_table(connection, "meta", schema)
    if not has_meta or not connection.execute(about).fetchone():
        raise ArchiveError(path, "it is no archive, as `pipeline archive` makes them")
    blocks = live_blocks(connection, schema)
    if not blocks:
        raise ArchiveError(path, "it has no blocks")
    return _Archive(path, schema, blocks)


def _check(connection: Connection, archives: Sequence[_Archive]) -> None:
    """Raise StoreError unless all numbers of blocks and commits stay unique."""
    if not has_table(connection, "compacted"):
        raise StoreError("no ingester of this version has opened the store yet")
    ordered = sorted(archives, key=lambda each: each.first)
    for one, next_one in pairwise(ordered):
        if next_one.first <= one.last:
            raise ArchiveError(next_one.path, f"{one.path} has the same commits")
    last, newest = _numbers(connection)
    own = live_blocks(connection)
    for archive in archives:
        known = {block.key for block in archive.blocks}
        shared = [
            block
            for block in own
            if block.first <= archive.last and block.last >= archive.first
        ]
        if (
            archive.last > last
            or max(block.id for block in archive.blocks) > newest
            or any(block.key not in known for block in shared)
        ):
            raise ArchiveError(archive.path, "it is of another store")


def _numbers(connection: Connection) -> tuple[int, int]:
    """The newest commit and compacted block that the store has ever had."""
    meta = dict(connection.execute("SELECT key, value FROM main.meta").fetchall())
    ((fresh, last, newest),) = connection.execute(
        "SELECT (SELECT max(id) FROM main.blocks), max(last), max(id)"
        " FROM main.compacted"
    )
    commits = [fresh, last, meta.get(LAST), meta.get(REMOVED)]
    blocks = [COMPACTED, newest, meta.get(LAST_COMPACTED)]
    return max(each or 0 for each in commits), max(each or 0 for each in blocks)


def _make_views(connection: Connection, archives: Sequence[_Archive]) -> None:
    """What stands under the names of the tables from now on."""
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA query_only = 0")  # the store itself is open for reading
    try:
        for table, columns in _COLUMNS.items():
            arms = [f"main.{table} WHERE {_left(table, archives)}"]
            for number, archive in enumerate(archives):
                before = ["main", *(each.schema for each in archives[:number])]
                arms.append(f"{archive.schema}.{table} WHERE {_new(table, before)}")
            union = " UNION ALL ".join(
                f"SELECT {columns} FROM {arm}"  # noqa: S608 - ours
                for arm in arms
            )
            connection.execute(f"CREATE TEMP VIEW {table} AS {union}")
    finally:
        connection.execute("PRAGMA query_only = 1")


def _left(table: str, archives: Sequence[_Archive]) -> str:
    """Whether a row of the store's is not one that an archive has the like of."""
    if table not in _COMMITS:
        return "TRUE"
    first, last = _COMMITS[table]
    ranges = [f"({first} >= {a.first} AND {last} <= {a.last})" for a in archives]
    return f"NOT ({' OR '.join(ranges)})"


def _new(table: str, schemas: Sequence[str]) -> str:
    """Whether a row of an archive's is in none of the files before it."""
    if table in _COMMITS:
        return "TRUE"
    known = (
        f"EXISTS (SELECT 1 FROM {schema}.{table} AS known WHERE known.id = {table}.id)"  # noqa: S608 - ours
        for schema in schemas
    )
    return f"NOT ({' OR '.join(known)})"
