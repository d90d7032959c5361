"""The most frequent of very many groups are what they are of few."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.entry import Entry
from pipeline.query.aggregate import aggregation, frequent
from pipeline.query.answer import Limits
from pipeline.query.requests import FieldError
from pipeline.query.syntax import Node
from tests.query.stores import Asker, Parts, append, blocks, trees
from tests.query.test_aggregate import fields, slow, states, store, table

ROWS = 600
CALLS = "count() as size, p95(a), sum(b), max(a.b), count_uniq(b), count(a)"


@contextmanager
def crowded(buckets: int = 8, many: int = 1) -> Iterator[None]:
    """So few buckets that groups share them, and two groups are many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aggregation, "MANY_GROUPS", many)
        patch.setattr(frequent, "BUCKETS", buckets)
        patch.setattr(frequent, "_FEWEST", 1)
        patch.setattr(frequent, "_SURE", 1)
        yield


@slow
@given(blocks, states, trees, fields, st.integers(1, 6))
def test_same_tables(
    made: list[Parts], state: str, tree: Node, field: str, n: int
) -> None:
    """Whether all groups are kept, or only those of buckets with many entries."""
    other = "source" if field == "level" else "level"
    pipes = [
        f"top {n} {field}",
        f"stats by ({field}) {CALLS} | limit {n}",
        f"stats by ({field}, {other}) {CALLS} | sort size desc | limit {n}",
        f"stats by ({field}) {CALLS}",
    ]
    with store(made, state) as (asker, _):
        whole = [table(asker, f"({tree}) | {pipe}") for pipe in pipes]
        with crowded():
            found = [table(asker, f"({tree}) | {pipe}") for pipe in pipes]

    assert whole == found


def skewed(path: Path, limits: Limits | None = None) -> Asker:
    """Texts of which ten are frequent, `v001`, `v003` and so on; others stand once."""
    rows = [
        Entry(n, "s", 9, f"v{n % 20 if n % 2 else n:03}", {"n": n}, [], None)
        for n in range(ROWS)
    ]
    append(path, [[(0, rows[at : at + 100])] for at in range(0, ROWS, 100)])
    return Asker(path, limits)


def frequent_of(asker: Asker, q: str) -> list[Any]:
    rows: list[Any] = table(asker, q)["rows"]
    return rows


def test_more_groups_than_allowed(tmp_path: Path) -> None:
    """The most frequent are found among them; an order by anything else is refused."""
    asker = skewed(tmp_path / "a.db", Limits(groups=40))
    wanted = [[f"v{n:03}", 30] for n in (1, 3, 5, 7, 9)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frequent, "_FEWEST", 1)

        assert frequent_of(asker, "| top 5 message") == wanted
        q = "| stats by (message) count() as c, max(n) as m"
        assert frequent_of(asker, f"{q} | limit 1") == [["v001", 30, 581]]
        assert frequent_of(asker, f"{q} | sort c desc | limit 1") == [["v001", 30, 581]]
    with pytest.raises(FieldError, match="more than 40 groups"):
        table(asker, f"{q} | sort m desc | limit 1")
    with pytest.raises(FieldError, match="more than 40 groups"):
        table(asker, "| top 50 message")


def test_a_guess_too_high(tmp_path: Path) -> None:
    """Where a bucket has its entries from many groups, the border is lowered."""
    asker = skewed(tmp_path / "a.db")
    with crowded(buckets=2, many=20):
        found = frequent_of(asker, "| top 5 message")

    assert [count for _, count in found] == [30] * 5
