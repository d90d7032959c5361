"""The table of all templates of a store: an index of what blocks hold themselves."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

PATTERNS_MAX: Final = 100_000
"""Templates of a store: beyond, messages of new ones keep their text."""

Ids = npt.NDArray[np.uint64]
Allowed = Callable[[Ids], npt.NDArray[np.bool_]] | None
"""ids of a block's templates => which of them may be used; None: all"""

_SEEN: Final = struct.Struct("<3q")
"""What a row's CRC covers before the template: id, first, last."""


class TemplateTable(NamedTuple):
    """Templates by id: `ids` ascends, and `texts` stand in its order."""

    ids: Ids
    texts: list[bytes]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    """When it was first and last seen, in ns, whatever was deleted since."""


def template_row(
    key: int, template: bytes, first: int, last: int
) -> tuple[int, bytes, int, int, int]:
    """A row of the table; `key` is the id as SQLite has it, signed."""
    crc = crc32(template, crc32(_SEEN.pack(key, first, last)))
    return key, template, first, last, crc


def signed(pattern_id: int) -> int:
    """The id as SQLite has it."""
    return pattern_id - (1 << 64) if pattern_id >> 63 else pattern_id


def read_table(rows: Iterable[Any]) -> TemplateTable:
    """The rows whose checksums are right."""
    sound = [row for row in rows if template_row(*row[:4])[4] == row[4]]
    keys = np.array([row[0] for row in sound], np.int64).view(np.uint64)
    order = np.argsort(keys)
    places = order.tolist()
    first, last = (
        np.array([row[at] for row in sound], np.int64)[order] for at in (2, 3)
    )
    texts = [sound[place][1] for place in places]
    return TemplateTable(keys[order], texts, first, last)


def room(known: Ids, most: int = PATTERNS_MAX) -> Allowed:
    """Allows the templates of the table, and as many new ones as it has room for.

    `known`: the ids in the table, ascending.
    """
    left = most - len(known)

    def allowed(ids: Ids) -> npt.NDArray[np.bool_]:
        new = ~np.isin(ids, known)
        return ~new | (np.cumsum(new) <= left)

    return allowed
