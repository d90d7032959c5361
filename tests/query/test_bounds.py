"""What tables and context keep is bounded, and the answers stay right at the bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.entry import Entry
from pipeline.query.aggregate import facets, fields, grouping, stats
from pipeline.query.requests import FieldError
from tests.query.stores import Asker, append, merge

COUNT = 300


def asker(path: Path, *, compacted: bool = False) -> Asker:
    """Entries of which the last fifty are of one text, and the others of their own."""
    rows = [
        Entry(n, "s", 9, f"text {min(n, 250):03}", {"n": n % 7}, [], None)
        for n in range(COUNT)
    ]
    append(path, [[(0, rows[at : at + 100])] for at in range(0, COUNT, 100)])
    if compacted:
        merge(path, 0, 3)
    return Asker(path)


def table(asked: Asker, q: str) -> list[list[object]]:
    """The rows."""
    rows: list[list[object]] = asked.ask("aggregate", q=q)["table"]["rows"]
    return rows


def test_values_longer_than_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are refused, but not for the sake of the order among equal counts."""
    monkeypatch.setattr(grouping, "VALUES_BYTES", 200)
    asked = asker(tmp_path / "a.db")

    assert table(asked, "| top 1 message") == [["text 250", 50]]
    assert len(table(asked, "| top 10 message")) == 10
    assert len(table(asked, "| stats by (message) count() | limit 10")) == 10
    for q in ("| top 50 message", "| stats by (message) count() | sort message"):
        with pytest.raises(FieldError, match="longer than"):
            table(asked, q)


@pytest.mark.parametrize("compacted", [False, True])
def test_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compacted: bool
) -> None:
    """Texts hashed, values read and groups sorted in pieces are what they were."""
    asked = asker(tmp_path / "a.db", compacted=compacted)
    questions = [
        "| stats by (message) count() as c, max(n) as m | sort m desc, c | limit 40",
        "| stats by (message) count() as c | sort c",
        "| top 20 message",
        "| uniq message",
    ]
    whole = [table(asked, q) for q in questions]
    for where, name in ((fields, "_PIECE"), (stats, "_PIECE"), (grouping, "_AT_ONCE")):
        monkeypatch.setattr(where, name, 7)
    monkeypatch.setattr(grouping, "MANY_GROUPS", 0)

    assert [table(asked, q) for q in questions] == whole
    assert len(whole[3]) == 251


def test_many_ties(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many equal counts any are shown, as many as were asked for."""
    monkeypatch.setattr(stats, "SORTED_ROWS", 20)
    found = table(asker(tmp_path / "a.db"), "| top 30 message")

    assert found[0] == ["text 250", 50]
    assert [row[1] for row in found[1:]] == [1] * 29
    q = "| stats by (message) count() as c | sort c | sort message"
    with pytest.raises(FieldError, match="more than 20 groups"):
        table(asker(tmp_path / "b.db"), q)


def test_context_counts_the_hits_too(tmp_path: Path) -> None:
    """Each neighbour once, however many hits share it."""
    asked = asker(tmp_path / "a.db")
    found = asked.ask("search", query='"text 250"', context=3, limit=100)

    flags = [log["context"] for log in found["logs"]]
    assert flags.count(True) == 3
    assert flags.count(False) == 50


def test_facets_of_too_many_values_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fields with most values are given up, and say how many entries have them."""
    rows = [Entry(n, "s", 9, "m", {"a": n, "b": n % 9}, [], None) for n in range(90)]
    append(tmp_path / "a.db", [[(0, rows)]])
    monkeypatch.setattr(facets, "TOTAL_MAX", 50)
    found = Asker(tmp_path / "a.db").ask("facets")["facets"]

    distinct = {one["field"]: (one["distinct"], one["count"]) for one in found}
    assert distinct["metadata.a"] == (None, 90)
    assert distinct["metadata.b"] == (9, 90)
