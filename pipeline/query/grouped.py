"""Entries of a batch or block by source, level and pattern; pure.

The analyzer groups what is published with it, and the query worker what the analyzer
missed, so that both have the same ids: those that compaction gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from pipeline.batch.decode import Batch
from pipeline.batch.layout import LEVEL, MESSAGE, SOURCE, TIMESTAMP
from pipeline.batch.read import Ints
from pipeline.query.committed import Group
from pipeline.store.messages import TEMPLATE_BYTES
from pipeline.store.templates import find_templates, pattern_id, show
from pipeline.timestamp import SECOND

TEMPLATE_CHARACTERS: Final = 2_000
"""Of a group's text, which people read; the id is of the whole."""


def group_rows(batch: Batch, rows: Ints) -> list[Group]:
    """These rows by source, level and pattern (0: none), in the order of the first."""
    if not len(rows):
        return []
    codes, templates = _templates(batch.columns[MESSAGE].values(rows))
    source = batch.columns[SOURCE]
    sources = np.asarray(source.codes)[rows].astype(np.int64)
    levels = batch.columns[LEVEL].numbers[rows].astype(np.int64)
    seconds = batch.columns[TIMESTAMP].numbers[rows] // SECOND
    # 16 bits of source and 8 of level, as in a block's counts
    keys = (codes << 24) + (sources << 8) + levels
    unique, firsts, places, counts = np.unique(
        keys, return_index=True, return_inverse=True, return_counts=True
    )
    begins = np.full(len(unique), np.iinfo(np.int64).max)
    np.minimum.at(begins, places, seconds)
    found = []
    for place in np.argsort(firsts, kind="stable").tolist():
        key = int(unique[place])
        pattern, template = templates[key >> 24]
        name = source.dictionary[(key >> 8) & 0xFFFF]
        begin, count = int(begins[place]), int(counts[place])
        found.append(Group(begin, name, key & 0xFF, pattern, template, count))
    return found


def _templates(messages: Sequence[str]) -> tuple[Ints, list[tuple[int, str]]]:
    """Of each message its place among the templates, which are ids and texts."""
    data = [message.encode() for message in messages]
    lengths = np.fromiter(map(len, data), np.int64, len(data))
    found = find_templates(b"".join(text + b"\n" for text in data), lengths)
    templates = [
        (0, "")
        if len(template) > TEMPLATE_BYTES
        else (pattern_id(template), show(template)[:TEMPLATE_CHARACTERS])
        for template in found.templates
    ]
    return found.codes, templates


def merge_groups(parts: Iterable[Group]) -> list[Group]:
    """The groups of several batches, those with most entries first."""
    found: dict[tuple[str, int, int], Group] = {}
    for part in parts:
        key = part.source, part.level, part.pattern
        one = found.get(key)
        if one is None:
            found[key] = part
            continue
        found[key] = Group(
            min(one.second, part.second),
            *key,
            one.template,
            one.count + part.count,
        )
    return sorted(found.values(), key=lambda one: -one.count)
