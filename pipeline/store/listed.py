"""The blocks of a database as a list, from their headers' rows alone. No numpy."""

from __future__ import annotations

from typing import Final, NamedTuple

from pipeline.store.database import Connection
from pipeline.store.live import Live

_LISTS: Final = {
    "blocks": "SELECT id, id, id, rows, bytes, committed, header_crc FROM",
    "compacted": "SELECT id, first, last, rows, bytes, committed, header_crc FROM",
}


class Listed(NamedTuple):
    """A block as a list of them has it; commits `first` to `last`, both inclusive."""

    id: int
    first: int
    last: int
    rows: int
    size: int
    committed: int
    header_crc: int

    @property
    def key(self) -> tuple[int, int, int]:
        """What no other block has, of whatever store."""
        return self.id, self.header_crc, self.committed


def live_blocks(connection: Connection, schema: str = "main") -> list[Listed]:
    """The blocks that count, in the order of their commits; raises DatabaseError.

    `schema` is what SQLite calls the file.
    """
    live: Live[Listed] = Live()
    for table, statement in _LISTS.items():
        if not has_table(connection, table, schema):
            continue
        listed = f"{statement} {schema}.{table} ORDER BY id"
        for row in connection.execute(listed).fetchall():
            if all(type(each) is int for each in row):
                live.add(Listed(*row))
    return [block for block in live.items if block.rows]


def has_table(connection: Connection, name: str, schema: str = "main") -> bool:
    """Whether the database is new enough to have a table."""
    found = connection.execute(
        f"SELECT 1 FROM {schema}.sqlite_master WHERE name = ?",  # noqa: S608 - ours
        (name,),
    )
    return found.fetchone() is not None
