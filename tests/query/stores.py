"""Stores with several producers in a block, and what questions about them need."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from pipeline.batch.decode import Mask
from pipeline.entry import Entry
from pipeline.query.answer import METHODS, Engine, Limits
from pipeline.query.methods.method import Method
from pipeline.scope import Scope
from pipeline.store.block import Part, seal_block
from pipeline.store.compacted import Compacted, compact
from pipeline.store.reader import Header, Reader
from pipeline.store.writer import Writer
from pipeline.wire.codec import batch_of
from tests.query.oracle import Stored
from tests.query.questions import KEYS as ASKED
from tests.query.questions import MINUTE as MINUTE
from tests.query.questions import texts, times
from tests.query.questions import trees as trees

PRODUCERS = [bytes([n]) * 15 + b"\0" for n in (0, 7, 255)]
Parts = Sequence[tuple[int, Sequence[Entry]]]
"""A block: (producer, rows) one after another."""


def append(path: Path, blocks: Sequence[Parts], first: int = 1) -> list[Stored]:
    """Commit the blocks; numbers go on from `first` for each producer."""
    writer = Writer(path, "process")
    numbers = dict.fromkeys(range(len(PRODUCERS)), first)
    stored = []
    for block in blocks:
        parts = []
        for producer, rows in block:
            batch = batch_of(list(rows)).batch
            assert batch is not None
            parts.append(Part(batch, PRODUCERS[producer], numbers[producer], None))
            for row in rows:
                stored.append(Stored(row, PRODUCERS[producer], numbers[producer]))
                numbers[producer] += 1
        writer.commit([seal_block(parts)], [], [], [], now=1)
    writer.close()
    return stored


STATES = ("fresh", "compacted", "half compacted", "merged", "deleted")


def states(
    folder: Path, made: Sequence[Parts]
) -> Iterator[tuple[str, Path, list[Stored]]]:
    """The same entries in a store of each state: its name, its path, what it holds."""
    for state in STATES:
        path = folder / f"{state}.db"
        yield state, path, settle(path, append(path, made), state)


def settle(path: Path, stored: list[Stored], state: str) -> list[Stored]:
    """Bring fresh blocks into a state; the entries that are left."""
    count = len(_opened(path)[0].headers)
    if state == "compacted":
        merge(path, 0, count)
    elif state == "half compacted":
        merge(path, 0, (count + 1) // 2)
    elif state == "merged":
        for at in range((count + 1) // 2):
            merge(path, at, at + 2)
        merge(path, 0, count, purged=True)
    elif state == "deleted":
        merge(path, 0, count // 2)
        rows = [header.rows for header in _opened(path)[0].headers]
        keep = np.arange(len(stored)) % 3 != 1
        ends = np.cumsum(rows)
        # from the last on: a block that loses all its rows leaves the list
        for at in reversed(range(len(rows))):
            merge(path, at, at + 1, keep=[keep[ends[at] - rows[at] : ends[at]]])
        return [row for row, is_kept in zip(stored, keep, strict=True) if is_kept]
    return stored


def merge(
    path: Path,
    first: int,
    end: int,
    *,
    keep: Sequence[Mask] | None = None,
    purged: bool = False,
) -> None:
    """Make one block of live ones, by their places; of one, its compacted form."""
    reader, chosen = _opened(path)
    blocks = [reader.load(header) for header in chosen[first:end]]
    if not blocks:
        return
    made = Compacted.unpack(compact(blocks, 3, keep).pack())
    reader.close()
    with closing(Writer(path, "process")) as writer:
        number = writer.swap(made)
        if purged:
            writer.purge(number, 1000)


def _opened(path: Path) -> tuple[Reader, list[Header]]:
    reader = Reader(path)
    reader.refresh()
    return reader, reader.headers


class Asker:
    """An engine that gives replies back as Python values."""

    def __init__(
        self,
        path: Path,
        limits: Limits | None = None,
        methods: Mapping[str, Method] = METHODS,
        scope: Scope | None = None,
    ) -> None:
        self.engine = Engine(path, limits or Limits(), lambda: 0.0, methods)
        self.scope = scope

    def ask(self, method: str, now: int = 0, **params: Any) -> Any:
        budget, scope = self.engine.budget(), self.scope
        return json.loads(self.engine.answer(method, params, now, budget, scope))

    def pages(self, method: str, **params: Any) -> list[Any]:
        """All pages, by their cursors."""
        pages = [self.ask(method, **params)]
        while pages[-1]["next_cursor"]:
            cursor = pages[-1]["next_cursor"]
            pages.append(self.ask(method, cursor=cursor, **params))
        return pages


def ids(replies: Sequence[Any]) -> list[str]:
    return [log["id"] for reply in replies for log in reply["logs"]]


scalars = st.one_of(
    texts,
    st.none(),
    st.booleans(),
    st.sampled_from([7, 7.0, 0, -7, 1 << 53, (1 << 53) + 1, (1 << 64) - 1, 0.5]),
    st.sampled_from([float("nan"), float("inf"), 9007199254740992.0, b"err"]),
)
KEYS = [*ASKED, "b.c", ""]
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=2)
    ),
    max_leaves=4,
)
hex_traces = st.sampled_from(["ab" * 16, "0123456789abcdef" * 2])
entries = st.builds(
    Entry,
    times,
    st.sampled_from(["api", "Api", "web\n1", "a\\nb"]),
    st.sampled_from([1, 5, 9, 13, 17, 18, 21, 24]),
    texts,
    st.dictionaries(st.sampled_from(KEYS), values, max_size=3)
    | st.dictionaries(st.just("a"), st.integers(-8, 8), min_size=1),
    st.lists(st.sampled_from(["err", "Err", "a b", "x"]), max_size=2),
    st.none() | hex_traces | st.sampled_from(["t-1", "T-1", "AB" * 16]),
)
blocks = st.lists(
    st.lists(
        st.tuples(st.integers(0, 2), st.lists(entries, min_size=1, max_size=5)),
        min_size=1,
        max_size=3,
    ),
    min_size=1,
    max_size=4,
)
