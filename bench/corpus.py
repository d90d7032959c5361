"""The corpus: as many realistic entries as wanted, the same ones for the same seed.

`generate(n)` is always the beginning of `generate(m)` for n < m, because every piece of
PIECE entries draws from generators of its own; `facts(n)` counts what benches look for
from the draws alone, without making the entries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bench.shapes import LEVEL_SHARES, PHRASE, SHAPES, SUBSTRING, Shape
from bench.variables import VARIABLES
from bench.words import hexadecimal
from pipeline.entry import Entry

PIECE: Final = 50_000
"""Entries drawn together: big enough that numpy's calls cost nothing an entry."""

BATCH: Final = 2_000
"""Entries of a batch, as a collector sends them."""

RARE_WORD: Final = "splitbrain"
"""Planted into one message of each full piece: 20 in a million."""

START: Final = 1_763_978_400_000_000_000
"""Timestamp of the first entry, 2025-11-24T10:00:00Z."""

_RATES: Final = (1_000, 5_000)
_DISORDER_NS: Final = 3_000_000
"""Entries of different hosts arrive up to 3 ms out of order."""

_TRACE_SIZES: Final = (3, 10)
_TRACE_SPREAD: Final = 400
"""Entries of one trace lie among this many others."""

_TRACED: Final = 0.85
_SOMETIMES: Final = 0.15


@dataclass(frozen=True, slots=True)
class Facts:
    """What n entries are known to hold."""

    rows: int
    levels: dict[int, int]
    sources: dict[str, int]
    pairs: dict[tuple[int, str], int]
    rare_word: str
    rare_rows: int
    phrase: str
    phrase_rows: int
    substring: str
    substring_rows: int
    trace_id: str
    trace_rows: int


def generate(n: int, seed: int = 1, source: str = "") -> Iterator[Entry]:
    """The first n entries of the corpus with this seed, or of one source only."""
    for piece in pieces(n, seed, source):
        yield from piece


def pieces(n: int, seed: int = 1, source: str = "") -> Iterator[list[Entry]]:
    """The same entries in lists of at most PIECE."""
    start = START
    for index in range(-(-n // PIECE)):
        rows, start = _piece(seed, index, start, source)
        yield rows[: n - index * PIECE]


def batches(n: int, seed: int = 1, size: int = BATCH) -> Iterator[list[Entry]]:
    """The same entries as collectors send them, one for each source.

    A batch has `size` entries of one source, and comes when its last entry does; the
    last ones of each source are fewer.
    """
    waiting: dict[str, list[Entry]] = {}
    for entry in generate(n, seed):
        batch = waiting.setdefault(entry.source, [])
        batch.append(entry)
        if len(batch) == size:
            yield waiting.pop(entry.source)
    yield from waiting.values()


def mixed_batches(n: int, seed: int = 1, size: int = BATCH) -> Iterator[list[Entry]]:
    """The same entries as a relay of all services sends them; `size` divides PIECE.

    The costliest form: each batch has nearly all metadata keys, with few values each.
    """
    for piece in pieces(n, seed):
        for at in range(0, len(piece), size):
            yield piece[at : at + size]


def facts(n: int, seed: int = 1) -> Facts:
    """Exact counts of levels, sources and of the texts that queries look for."""
    counts = np.zeros(len(SHAPES), np.int64)
    rare = 0
    for index in range(-(-n // PIECE)):
        rows = min(PIECE, n - index * PIECE)
        counts += np.bincount(_kinds(seed, index)[:rows], minlength=len(SHAPES))
        rare += _planted(seed, index) < rows
    by_shape = dict(zip(SHAPES, counts.tolist(), strict=True))
    trace_id, trace_rows = _known_trace(n, seed)
    levels: Counter[int] = Counter()
    sources: Counter[str] = Counter()
    pairs: Counter[tuple[int, str]] = Counter()
    for shape, rows in by_shape.items():
        levels[shape.level] += rows
        sources[shape.source] += rows
        pairs[shape.level, shape.source] += rows
    return Facts(
        n,
        dict(levels),
        dict(sources),
        dict(pairs),
        RARE_WORD,
        rare,
        PHRASE,
        _holding(by_shape, PHRASE),
        SUBSTRING,
        _holding(by_shape, SUBSTRING),
        trace_id,
        trace_rows,
    )


def _holding(by_shape: dict[Shape, int], text: str) -> int:
    return sum(rows for shape, rows in by_shape.items() if text in shape.form)


def _random(seed: int, index: int, stream: int) -> Generator:
    """A generator of its own for each purpose, so that facts need not draw it all."""
    return np.random.default_rng([seed, index, stream])


def _kinds(seed: int, index: int, source: str = "") -> NDArray[np.int64]:
    """The shape of each entry of a piece, among those of one source if it is named."""
    within: dict[int, float] = {}
    for shape in SHAPES:
        within[shape.level] = within.get(shape.level, 0.0) + shape.weight
    shares = [LEVEL_SHARES[s.level] * s.weight / within[s.level] for s in SHAPES]
    if source:
        shares = [
            share * (shape.source == source)
            for share, shape in zip(shares, SHAPES, strict=True)
        ]
    borders = np.cumsum(shares)[:-1]
    draws = _random(seed, index, 0).random(PIECE) * sum(shares)
    return np.searchsorted(borders, draws, side="right")


def _planted(seed: int, index: int) -> int:
    """The place in a piece of the message that holds RARE_WORD."""
    return int(_random(seed, index, 1).integers(0, PIECE))


def _traces(seed: int, index: int) -> list[str | None]:
    """Trace ids of a piece: shared by a few neighbours, absent from some."""
    rng = _random(seed, index, 2)
    low, high = _TRACE_SIZES
    sizes = rng.integers(low, high + 1, PIECE // low)
    sizes = sizes[: np.searchsorted(np.cumsum(sizes), PIECE) + 1]
    owners = np.repeat(np.arange(len(sizes)), sizes)[:PIECE]
    places = np.arange(PIECE) + rng.random(PIECE) * _TRACE_SPREAD
    owners = owners[np.argsort(places)]
    # whole traces are absent, so that the others keep their 3 to 10 entries
    absent = rng.random(len(sizes)) >= _TRACED
    names: list[str | None] = list(hexadecimal(32)(rng, len(sizes)))
    for owner in np.flatnonzero(absent).tolist():
        names[owner] = None
    return list(map(names.__getitem__, owners.tolist()))


def _known_trace(n: int, seed: int) -> tuple[str, int]:
    """A trace in the middle of the corpus, all of whose entries are in it."""
    index = (n // 2) // PIECE
    within = _traces(seed, index)[: n - index * PIECE]
    found = next(name for name in within[len(within) // 2 :] if name is not None)
    return found, within.count(found)


def _times(seed: int, index: int, start: int) -> tuple[list[int], int]:
    """Timestamps of a piece, and where the next one starts."""
    rng = _random(seed, index, 3)
    rates = np.repeat(rng.uniform(*_RATES, -(-PIECE // 1_000)), 1_000)[:PIECE]
    steps = rng.exponential(1e9 / rates).astype(np.int64)
    moments = start + np.cumsum(steps)
    disorder = rng.integers(0, _DISORDER_NS, PIECE)
    return list((moments + disorder).tolist()), int(moments[-1])


def _piece(seed: int, index: int, start: int, source: str) -> tuple[list[Entry], int]:
    kinds = _kinds(seed, index, source)
    order = np.argsort(kinds, kind="stable")
    counts = np.bincount(kinds, minlength=len(SHAPES)).tolist()
    rng = _random(seed, index, 4)
    messages: list[str] = []
    metadata: list[dict[str, Any]] = []
    tags: list[list[str]] = []
    for shape, rows in zip(SHAPES, counts, strict=True):
        columns = [VARIABLES[name](rng, rows) for name in shape.variables]
        messages += _messages(shape, columns, rows)
        metadata += _metadata(shape, columns, rows)
        tags += _tags(shape, rng, rows)
    back = np.empty(PIECE, np.int64)
    back[order] = np.arange(PIECE)
    places = back.tolist()
    codes = kinds.tolist()
    messages = list(map(messages.__getitem__, places))
    planted = _planted(seed, index)
    messages[planted] += f"; {RARE_WORD} suspected"
    times, end = _times(seed, index, start)
    rows = zip(
        times,
        map([shape.source for shape in SHAPES].__getitem__, codes),
        map([shape.level for shape in SHAPES].__getitem__, codes),
        messages,
        map(metadata.__getitem__, places),
        map(tags.__getitem__, places),
        _traces(seed, index),
        strict=True,
    )
    return list(map(Entry._make, rows)), end


def _messages(shape: Shape, columns: Sequence[list[Any]], rows: int) -> list[str]:
    if not shape.shown:
        return [shape.form % ()] * rows
    shown = [columns[place] for place in shape.shown]
    return list(map(shape.form.__mod__, zip(*shown, strict=True)))


def _metadata(
    shape: Shape, columns: Sequence[list[Any]], rows: int
) -> list[dict[str, Any]]:
    if not shape.keys:
        return [{} for _ in range(rows)]
    names = tuple(key for key, _ in shape.keys)
    values = zip(*(columns[place] for _, place in shape.keys), strict=True)
    return [dict(zip(names, row, strict=True)) for row in values]


def _tags(shape: Shape, rng: Generator, rows: int) -> list[list[str]]:
    always = list(shape.tags)
    if not shape.sometimes:
        return [always] * rows
    extended = always + list(shape.sometimes)
    picks = (rng.random(rows) < _SOMETIMES).tolist()
    return [extended if pick else always for pick in picks]
