"""What the variables of corpus messages are made of: one function per kind of value.

A `Draw` makes n values from a seeded generator.  Everything is drawn anew for each
entry (identifiers, addresses, durations), so that compression finds no more repetition
than the logs of a busy platform have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.random import Generator

Draw: TypeAlias = Callable[[Generator, int], list[Any]]


def split(text: str) -> list[str]:
    """The words of the text: a long list that reads as prose."""
    return text.split()


_VOCABULARY = split("""
the a of to and in is for on with that by from at as was this not are request response
user session error latency increase cache query database service because after before
during detected pattern anomaly spike traffic region deployment version memory usage
threshold baseline recent similar requests failing endpoint payment checkout retries
likely cause upstream dependency slow queries index missing table lock contention
suggest rollback restart scale replica consumer lag queue backlog token expiry clock
drift certificate renewal network partition packet loss node pressure eviction pod
schedule window maintenance customer impact low high moderate severe none confidence
correlates increased decreased stable degraded recovered investigate owner team mobile
client release feature flag rollout percent canary compare previous hour day week
saturation throughput garbage collection pause heap allocation leak suspected growth
connection pool idle active waiting exhausted handshake renegotiation cipher fallback
primary secondary read write quorum election leader follower snapshot restore archive
compression batch stream offset partition rebalance commit lagging producer duplicate
""")


def integers(low: int, high: int) -> Draw:
    """Whole numbers, evenly spread over low <= x < high."""
    return lambda rng, n: list(rng.integers(low, high, n).tolist())


def long_tail(middle: float, spread: float, most: int = 1 << 40) -> Draw:
    """Whole numbers of a log-normal: sizes, rows, waits; `middle` is the median."""
    return lambda rng, n: list(
        np.minimum(rng.lognormal(np.log(middle), spread, n), most)
        .astype(np.int64)
        .tolist()
    )


def decimals(middle: float, spread: float, digits: int) -> Draw:
    """Floats of a log-normal rounded to `digits` decimals."""
    return lambda rng, n: list(
        np.round(rng.lognormal(np.log(middle), spread, n), digits).tolist()
    )


def ratio(digits: int) -> Draw:
    """Floats between 0 and 1 with `digits` decimals."""
    return lambda rng, n: list(np.round(rng.random(n), digits).tolist())


def chance(probability: float) -> Draw:
    """Booleans, true with the given probability."""
    return lambda rng, n: list((rng.random(n) < probability).tolist())


def choice(values: Sequence[Any], skew: float = 0.0) -> Draw:
    """One of the values; a skew above 0 makes early ones commoner, like Zipf's law."""
    weights = 1.0 / np.arange(1, len(values) + 1) ** skew
    borders = np.cumsum(weights / weights.sum())[:-1]
    fixed = list(values)

    def draw(rng: Generator, n: int) -> list[Any]:
        picks = np.searchsorted(borders, rng.random(n), side="right")
        return list(map(fixed.__getitem__, picks.tolist()))

    return draw


def popular(prefix: str, many: int, power: float = 2.0) -> Draw:
    """Identifiers `prefix` + number below `many`, small numbers much commoner."""
    form = f"{prefix}%d".__mod__

    def draw(rng: Generator, n: int) -> list[Any]:
        numbers = (many * rng.random(n) ** power).astype(np.int64) + 10_000
        return list(map(form, numbers.tolist()))

    return draw


def hexadecimal(digits: int, prefix: str = "") -> Draw:
    """Random lower-case hex digits."""

    def draw(rng: Generator, n: int) -> list[Any]:
        size = (digits + 1) // 2
        text = rng.bytes(size * n).hex()
        step = size * 2
        return [prefix + text[at : at + digits] for at in range(0, step * n, step)]

    return draw


def formed(form: str, *parts: Draw) -> Draw:
    """A %-format filled with one value of each part."""
    fill = form.__mod__

    def draw(rng: Generator, n: int) -> list[Any]:
        return list(map(fill, zip(*(part(rng, n) for part in parts), strict=True)))

    return draw


def either(*draws: Draw) -> Draw:
    """Each value from one of the draws, evenly."""

    def draw(rng: Generator, n: int) -> list[Any]:
        rows = zip(*(one(rng, n) for one in draws), strict=True)
        picks = rng.integers(0, len(draws), n).tolist()
        return [row[pick] for row, pick in zip(rows, picks, strict=True)]

    return draw


def uuid() -> Draw:
    """Random UUIDs as text."""
    plain = hexadecimal(32)

    def draw(rng: Generator, n: int) -> list[Any]:
        return [
            f"{x[:8]}-{x[8:12]}-4{x[13:16]}-a{x[17:20]}-{x[20:]}" for x in plain(rng, n)
        ]

    return draw


def prose(shortest: int, longest: int) -> Draw:
    """Sentences of common words in random order: text without a template."""
    words = choice(_VOCABULARY, skew=0.7)

    def draw(rng: Generator, n: int) -> list[Any]:
        ends = np.cumsum(rng.integers(shortest, longest + 1, n)).tolist()
        drawn = words(rng, ends[-1] if n else 0)
        starts = [0, *ends][:n]
        return [" ".join(drawn[a:b]) for a, b in zip(starts, ends, strict=True)]

    return draw


def mapping(**parts: Draw) -> Draw:
    """Nested maps with these keys."""
    keys = tuple(parts)

    def draw(rng: Generator, n: int) -> list[Any]:
        columns = [part(rng, n) for part in parts.values()]
        return [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)]

    return draw


def listing(part: Draw, longest: int) -> Draw:
    """Lists of one to `longest` values."""

    def draw(rng: Generator, n: int) -> list[Any]:
        ends = np.cumsum(rng.integers(1, longest + 1, n)).tolist()
        drawn = part(rng, ends[-1] if n else 0)
        return [drawn[a:b] for a, b in zip([0, *ends][:n], ends, strict=True)]

    return draw
