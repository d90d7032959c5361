"""delete: an exact count, and a token that is good for just these entries."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings

from pipeline.query.requests import FieldError
from tests.query.oracle import find
from tests.query.stores import Asker, append, blocks, trees
from tests.wire.messages import entry


@settings(max_examples=60, deadline=None)
@given(blocks, trees)
def test_the_count_is_exact(rows: Any, tree: Any) -> None:
    """For any filter that has a condition."""
    with TemporaryDirectory() as folder:
        stored = append(Path(folder) / "a.db", rows)
        asker = Asker(Path(folder) / "a.db")
        if not str(tree):
            return
        plan = asker.ask("delete", q=str(tree))

        assert plan["count"] == len(find(stored, tree))


def test_a_token_keeps_what_the_dry_run_saw(tmp_path: Path) -> None:
    """The newest commit, the count, and the time that ages are counted from."""
    path = tmp_path / "a.db"
    append(path, [[(0, [entry("a"), entry("b")])]])
    asker = Asker(path)
    plan = asker.ask("delete", now=7_000_000_000, q="a", since="5s")
    append(path, [[(0, [entry("a")])]], first=10)
    again = asker.ask(
        "delete", now=9_000_000_000, q="a", since="5s", confirm=plan["confirm"]
    )

    assert {**again, "took_ms": 0} == {**plan, "took_ms": 0}
    assert again["now"] == 7_000_000_000
    assert again["window"]["since"] == "1970-01-01T00:00:02.000000000Z"
    assert asker.ask("delete", q="a")["count"] == 2


@pytest.mark.parametrize(
    "other",
    [{"q": "b"}, {"q": "a", "sources": ["web"]}, {"q": "a", "until": 5}, {"q": "a "}],
)
def test_a_token_is_for_its_filter_alone(
    tmp_path: Path, other: dict[str, object]
) -> None:
    """However alike another one is."""
    append(tmp_path / "a.db", [[(0, [entry("a")])]])
    asker = Asker(tmp_path / "a.db")
    token = asker.ask("delete", q="a")["confirm"]
    for confirm in (token, "x", token[:-4] + "AAA="):
        with pytest.raises(FieldError, match="not that of a dry run") as caught:
            asker.ask("delete", confirm=confirm, **other)
        assert caught.value.field == "confirm"


def test_a_cursor_is_no_token(tmp_path: Path) -> None:
    """Both are made alike."""
    append(tmp_path / "a.db", [[(0, [entry("a"), entry("a")])]])
    asker = Asker(tmp_path / "a.db")
    cursor = asker.ask("query", q="a", limit=1)["next_cursor"]
    with pytest.raises(FieldError, match="not that of a dry run"):
        asker.ask("delete", q="a", confirm=cursor)


def test_a_condition_is_needed(tmp_path: Path) -> None:
    """Nothing is what one asks for by mistake."""
    append(tmp_path / "a.db", [[(0, [entry("a")])]])
    for params in ({}, {"q": " "}, {"sources": []}):
        with pytest.raises(FieldError, match="needs a condition"):
            Asker(tmp_path / "a.db").ask("delete", **params)
