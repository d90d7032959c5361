"""The column `templates` of a block, and the static pieces of its templates.

number u32, then the templates as TEXT data, the most frequent first
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import numpy as np

from pipeline.batch.read import Ints, Texts, bad, ends_of, read_texts
from pipeline.compression import Bytes
from pipeline.store.templates import VARIABLE

COUNT: Final = struct.Struct("<I")
"""Templates, before their TEXT data."""


class Templates(NamedTuple):
    """The block's templates, and where their static pieces stand, newlines included."""

    texts: Texts
    starts: Ints
    sizes: Ints
    slots: Ints
    """By code: its variables, one less than its pieces; of code 0 none."""

    @property
    def first_slots(self) -> Ints:
        """By code: its first slot."""
        return np.cumsum(self.slots) - self.slots

    @property
    def first_pieces(self) -> Ints:
        """By code: its first piece; code 0 has one that is empty."""
        return np.cumsum(self.slots + 1) - self.slots - 1


def parse_templates(data: Bytes | None) -> Templates:
    """Where the pieces stand; None: a block without templates. Raises FrameError."""
    none = np.zeros(1, np.int64)
    if data is None:
        return Templates(Texts(none[:0], b""), none, none, none)
    if len(data) < COUNT.size:
        raise bad("templates are cut off")
    (count,) = COUNT.unpack_from(data)
    texts = read_texts(memoryview(data)[COUNT.size :], count, terminated=True)
    # a piece stops before a variable or with its template's newline
    borders = np.frombuffer(texts.data, np.uint8) == VARIABLE[0]
    newlines = ends_of(texts.lengths, 1)
    borders[newlines] = True
    stops = np.flatnonzero(borders)
    last = np.searchsorted(stops, newlines)
    starts = np.concatenate([none, none, stops[:-1] + 1])
    sizes = np.concatenate([none, stops]) - starts
    sizes[last + 1] += 1
    slots = np.diff(last, prepend=-1) - 1
    return Templates(texts, starts, sizes, np.concatenate([none, slots]))


def slots_of(templates: list[bytes]) -> Ints:
    """Variables of each template."""
    return np.fromiter(
        (text.count(VARIABLE) for text in templates), np.int64, len(templates)
    )
