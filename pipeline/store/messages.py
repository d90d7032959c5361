"""Messages of a block as templates and what differs: four columns.

    message    kind TEMPLATED: width u8 (1 or 2), then a code for each row, as byte
               planes, lowest first; 0: without a template, k: template k - 1
    variables  kind VARIABLES: see `slots`
    templates  kind TEMPLATES: number u32, then the block's templates as TEXT data, the
               most frequent first
    unstructured  kind UNSTRUCTURED: TEXT data, the messages without a template; a
               column of its own, as whoever looks for text often needs nothing else

A template that too few rows of the block have is not worth its place: their messages
keep their text.  So do those whose template is longer than TEMPLATE_BYTES.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.batch.layout import MESSAGE
from pipeline.batch.read import UNSIGNED, Ints, Texts
from pipeline.store.digits import Words
from pipeline.store.forms import Variables
from pipeline.store.message_column import MessageColumn
from pipeline.store.patterns import BlockPatterns
from pipeline.store.pieces import COUNT, slots_of
from pipeline.store.slot_packing import pack_slots
from pipeline.store.stretches import places_of
from pipeline.store.templates import Found, Ids, find_templates, ids_of
from pipeline.store.tokens import hash_spans, hash_tokens

__all__ = ["MessageColumn", "encode_messages"]

TEMPLATED: Final = 64
VARIABLES: Final = 65
TEMPLATES: Final = 66
UNSTRUCTURED: Final = 67
"""Kinds of the columns below; they stand in the store only, never on the wire."""

VARIABLES_NAME: Final = "variables"
TEMPLATES_NAME: Final = "templates"
UNSTRUCTURED_NAME: Final = "unstructured"

ROWS_MIN: Final = 2
"""Rows of a block that make a template worth its place. Of 65,536 corpus entries 2, 3,
4 and 8 rows leave 13, 17, 20 and 28 % without one; up to 4 need the same bytes, 8 4 %
more. After 12 blocks the table of all templates has 9,443, 5,700, 4,127 and 1,865."""

TEMPLATE_BYTES: Final = 1 << 14
"""A longer template is a document: two of them alike are an accident."""

_VALUES: Final = 1 << 15
"""Of variables that are encoded together: their arrays stay in the cache."""

Codes = npt.NDArray[np.uint16]
Mask = npt.NDArray[np.bool_]


class Stored(NamedTuple):
    """A column ready to be compressed."""

    name: str
    kind: int
    values: int
    """How many: rows, variables, templates."""
    data: bytes


class Messages(NamedTuple):
    """The messages of a block, encoded."""

    columns: list[Stored]
    patterns: BlockPatterns
    templates: list[bytes]
    """In the order of codes, for the table of all templates."""
    tokens: Ids
    """Hashes of what templates don't hold, for the token filter: of every variable and
    of every token of a message without a template."""


def encode_messages(
    texts: Texts,
    times: Ints,
    allowed: Callable[[Ids], Mask] | None = None,
) -> Messages:
    """The columns of messages; `times` are the rows' timestamps.

    `allowed` may refuse templates by their ids: their rows keep their text.
    """
    found = find_templates(texts.data, texts.lengths)
    order, ids = _choose(found, allowed)
    table = np.zeros(len(found.templates), np.int64)
    table[order] = np.arange(1, len(order) + 1)
    codes = table[found.codes].astype(np.uint16)  # of which sorting is cheap
    templates = [found.templates[place] for place in order.tolist()]
    patterns = _patterns(codes, ids, times)
    others = _others(texts, codes)
    slots = slots_of(templates)
    values = _by_slot(found, codes, slots, patterns.counts)
    variables = pack_slots(texts.data, Words(texts.data), values)
    count = int((slots * patterns.counts).sum())
    columns = [
        Stored(MESSAGE, TEMPLATED, len(codes), _pack_codes(codes, len(templates))),
        Stored(VARIABLES_NAME, VARIABLES, count, variables),
    ]
    if templates:
        data = _pack_templates(templates)
        columns.append(Stored(TEMPLATES_NAME, TEMPLATES, len(templates), data))
    if patterns.rest:
        rest = Stored(UNSTRUCTURED_NAME, UNSTRUCTURED, patterns.rest, _text(others))
        columns.append(rest)
    hashes = hash_spans(texts.data, found.starts, found.sizes, found.digits)
    tokens = np.concatenate([hashes, hash_tokens(others.data)])
    return Messages(columns, patterns, templates, tokens)


def _choose(found: Found, allowed: Callable[[Ids], Mask] | None) -> tuple[Ints, Ids]:
    """Templates worth their place, the most frequent first, and their ids."""
    counts = np.bincount(found.codes, minlength=len(found.templates))
    lengths = np.fromiter(map(len, found.templates), np.int64, len(counts))
    worth = (counts >= ROWS_MIN) & (lengths <= TEMPLATE_BYTES)
    # with too many variables to find, all messages keep their text
    chosen = np.flatnonzero(worth & (len(found.firsts) > 0))
    order = chosen[np.argsort(-counts[chosen], kind="stable")]
    ids = ids_of([found.templates[place] for place in order.tolist()])
    if allowed is None:
        return order, ids
    keep = allowed(ids)
    return order[keep], ids[keep]


def _patterns(codes: Codes, ids: Ids, times: Ints) -> BlockPatterns:
    counts = np.bincount(codes, minlength=len(ids) + 1)
    rest, counts = int(counts[0]), counts[1:]
    if not len(ids):
        return BlockPatterns(ids, counts, counts, counts, rest)
    ordered = times[np.argsort(codes, kind="stable")][rest:]
    firsts = np.cumsum(counts) - counts
    first = np.minimum.reduceat(ordered, firsts)
    last = np.maximum.reduceat(ordered, firsts)
    return BlockPatterns(ids, counts, first, last, rest)


def _others(texts: Texts, codes: Codes) -> Texts:
    """The messages without a template."""
    keep = codes == 0
    kept = np.repeat(keep, texts.lengths + 1)
    data = np.frombuffer(texts.data, np.uint8)[kept].tobytes()
    return Texts(texts.lengths[keep], data)


def _by_slot(
    found: Found, codes: Codes, slots: Ints, rows: Ints
) -> Iterator[Variables]:
    """The variables of all templates' rows, by template, slot and row, in parts.

    `slots` and `rows`: of each template, how many.
    """
    order = np.argsort(codes, kind="stable")[len(codes) - int(rows.sum()) :]
    firsts = found.firsts[order]
    counts = np.repeat(rows, slots)
    begins = np.repeat(np.cumsum(rows) - rows, slots)
    numbers = np.arange(len(counts)) - np.repeat(np.cumsum(slots) - slots, slots)
    borders = np.flatnonzero(np.diff(np.cumsum(counts) // _VALUES)) + 1
    for first, end in pairwise([0, *borders.tolist(), len(counts)]):
        if first < end:
            part = slice(first, end)
            places, _ = places_of(begins[part], counts[part])
            chosen = firsts[places]
            chosen += np.repeat(numbers[part], counts[part])
            yield Variables(
                found.starts[chosen],
                found.sizes[chosen],
                found.digits[chosen],
                counts[part],
            )


def _pack_codes(codes: Codes, templates: int) -> bytes:
    width = 1 if templates < 1 << 8 else 2
    planes = codes.astype(UNSIGNED[width]).view(np.uint8).reshape(len(codes), width).T
    return bytes([width]) + planes.tobytes()


def _pack_templates(templates: list[bytes]) -> bytes:
    lengths = np.fromiter(map(len, templates), np.int64, len(templates))
    texts = Texts(lengths, b"".join(text + b"\n" for text in templates))
    return COUNT.pack(len(templates)) + _text(texts)


def _text(texts: Texts) -> bytes:
    """TEXT data."""
    largest = int(texts.lengths.max())
    width = 1 if largest < 1 << 8 else 2 if largest < 1 << 16 else 4
    return b"".join(
        [bytes([width]), texts.lengths.astype(UNSIGNED[width]).tobytes(), texts.data]
    )
