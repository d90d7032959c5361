"""Headers of fresh blocks, as a reader finds them among rows that may be damaged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from pipeline.errors import StoreError
from pipeline.store.headers import Checked, Header, check_header, damaged_header

CHECKED: Final = (
    "SELECT id, committed, tier, rows, bytes, minimum, maximum, header_crc, data_crc,"
    " counts, runs"
)
_GUESSED_MAX: Final = 1 << 20
"""Keys that are tried one by one."""

_NEW: Final = "FROM blocks WHERE id > ? ORDER BY id"

Rows = Callable[[str, tuple[Any, ...]], Iterator[Any]]
"""The rows of a statement and its values; raises StoreError."""


def new_headers(rows: Rows, newest: int, damaged: set[int]) -> list[Header]:
    """Of blocks behind the commit `newest`; see fresh_headers. Raises StoreError."""
    before = set(damaged)
    try:
        return fresh_headers(rows(f"{CHECKED} {_NEW}", (newest,)), damaged)
    except StoreError:
        damaged.clear()
        damaged |= before
        return fresh_headers(_one_by_one(rows, newest), damaged)


def _one_by_one(rows: Rows, newest: int) -> Iterator[Any]:
    """SQLite reads nothing behind a row of whose types one can't be."""
    for key in _keys(rows, newest):
        try:
            yield from list(rows(f"{CHECKED} FROM blocks WHERE id = ?", (key,)))
        except StoreError:
            yield (key, *[None] * (len(Checked._fields) - 1))


def _keys(rows: Rows, newest: int) -> Sequence[int]:
    try:
        return [key for (key,) in rows(f"SELECT id {_NEW}", (newest,))]
    except StoreError:  # of a row whose length can't be: what is between first and last
        extremes = "SELECT min(id), max(id) FROM blocks WHERE id > ?"
        ((first, last),) = rows(extremes, (newest,))
        if last - first >= _GUESSED_MAX:
            raise
        return range(first, last + 1)


def fresh_headers(rows: Iterable[Sequence[Any]], damaged: set[int]) -> list[Header]:
    """Of fresh blocks; `rows` are as `Checked` has them, in the order of the table.

    One that is damaged is looked at by every question, and who opens it is told that:
    SQLite checks no row that it reads, and here it must not keep others from being
    read. Its key goes into `damaged`; with one that is known there it was told before.
    A key out of order takes no other's place. Raises StoreError for what is no key.
    """
    headers = [_fresh_header(Checked(*row)) for row in rows]
    found = []
    before, above = 0, _next_sound(headers)
    for header, after in zip(headers, above, strict=True):
        if not header.is_damaged:
            before = header.id
            found.append(header)
        elif header.id not in damaged:
            damaged.add(header.id)
            # behind all others it is only believed to be the next one
            is_placed = before < header.id < (after or before + 2)
            found.append(
                header if is_placed else damaged_header(-header.id, -header.id)
            )
    return found


def _fresh_header(head: Checked) -> Header:
    if type(head.id) is not int:
        raise StoreError(f"block {head.id} is damaged: it has no place")
    try:
        check_header(head)
    except StoreError:
        return damaged_header(head.id, head.id)
    times = head.minimum, head.maximum
    return Header(head.id, head.rows, head.size, *times, head.id, head.id, head.tier)


def _next_sound(headers: Sequence[Header]) -> list[int]:
    """For each header the id of the next one behind it that is not damaged, or 0."""
    following, found = 0, []
    for header in reversed(headers):
        found.append(following)
        following = following if header.is_damaged else header.id
    return found[::-1]
