"""The pattern of each message, long ones without one as soon as that is sure."""

from __future__ import annotations

from typing import Final

import numpy as np

from pipeline.batch.column import Column
from pipeline.query.text import Ints
from pipeline.store.message_column import MessageColumn
from pipeline.store.messages import TEMPLATE_BYTES
from pipeline.store.templates import (
    Ids,
    find_templates,
    pattern_id,
    pattern_ids,
    text_ids,
)

_BEGIN: Final = 4 * TEMPLATE_BYTES
"""Characters of a long message that are looked at before all of it."""


def row_ids(column: Column, rows: Ints) -> Ids:
    """The pattern of each of these rows, 0 without one."""
    if not isinstance(column, MessageColumn):
        ids, lengths = pattern_ids(column)[rows], column.texts.lengths[rows]
        if len(long := np.flatnonzero(lengths > TEMPLATE_BYTES)):
            ids = ids.copy()
            ids[long] = _long_ids(column, rows[long])
        return ids
    codes = column.codes[rows]
    coded = codes > 0
    if not coded.any():
        return _text_ids(column, rows)
    # most rows have a template, whose id the block knows
    ids = np.zeros(len(rows), np.uint64)
    ids[coded] = column.pattern_ids[codes[coded].astype(np.int64) - 1]
    ids[~coded] = _text_ids(column, rows[~coded])
    return ids


def _text_ids(column: MessageColumn, rows: Ints) -> Ids:
    texts = column.texts_of(rows)
    is_long = texts.lengths > TEMPLATE_BYTES
    if not is_long.any():
        return text_ids(texts)
    ids = np.zeros(len(rows), np.uint64)
    ids[~is_long] = text_ids(column.texts_of(rows[~is_long]))
    ids[is_long] = _long_ids(column, rows[is_long])
    return ids


def _long_ids(column: Column, rows: Ints) -> Ids:
    """The same of rows whose messages are long; most of these have none."""
    found = (_long_id(text) for text in column.values(rows))
    return np.fromiter(found, np.uint64, len(rows))


def _long_id(message: str) -> int:
    """0 when the template is too long, which its beginning tells: 0.5 ms, not 20."""
    begin, blank, _ = message[:_BEGIN].rpartition(" ")
    if blank and len(message) > _BEGIN and len(template_of(begin)) > TEMPLATE_BYTES:
        return 0
    template = template_of(message)
    return pattern_id(template) if len(template) <= TEMPLATE_BYTES else 0


def template_of(message: str) -> bytes:
    """The template of one message."""
    data = message.encode()
    found = find_templates(data + b"\n", np.array([len(data)], np.int64))
    return found.templates[0]
