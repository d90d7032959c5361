"""export: every page's lines joined are the file, whatever comes in between."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.entry import Entry, entry_to_json
from pipeline.query.exports import CSV_FIELDS
from pipeline.query.requests import FieldError
from pipeline.query.syntax import And
from tests.query.oracle import find
from tests.query.stores import Asker, append, blocks, trees
from tests.wire.messages import entry


def exported(asker: Asker, page: int, **params: Any) -> str:
    """The whole file, in pages of so many rows."""
    parts, cursor = [], None
    while True:
        part = asker.ask("export", limit=page, cursor=cursor, **params)
        parts.append(part["text"])
        cursor = part["next_cursor"]
        if cursor is None:
            return "".join(parts)


@settings(deadline=None)
@given(blocks, trees, st.integers(1, 4), st.sampled_from(["asc", "desc"]))
def test_it_is_what_matches(rows: Any, tree: Any, page: int, order: str) -> None:
    """In order, each entry once, as `query` has it."""
    with TemporaryDirectory() as folder:
        stored = append(Path(folder) / "a.db", rows)
        text = exported(Asker(Path(folder) / "a.db"), page, q=str(tree), order=order)
    wanted = find(stored, tree, descending=order == "desc")

    assert [json.loads(line) for line in text.splitlines(keepends=False) if line] == (
        [json.loads(json.dumps(entry_to_json(row.entry, row.id))) for row in wanted]
    )


@settings(deadline=None)
@given(blocks)
def test_csv_reads_back(rows: Any) -> None:
    """With line breaks, quotes and commas in every field; text as it was."""
    with TemporaryDirectory() as folder:
        stored = append(Path(folder) / "a.db", rows)
        text = exported(Asker(Path(folder) / "a.db"), 2, format="csv")
    header, *lines = csv.reader(io.StringIO(text, newline=""))

    assert header == list(CSV_FIELDS)
    for line, row in zip(lines, find(stored, And(), descending=False), strict=True):
        shown = entry_to_json(row.entry, row.id)
        assert line[:5] == [shown[name] for name in CSV_FIELDS[:5]]
        assert line[5] == (row.entry.trace_id or "")
        assert json.loads(line[6]) == shown["tags"]
        assert json.loads(line[7]) == json.loads(json.dumps(shown["metadata"]))


@pytest.mark.parametrize(
    ("spreadsheet", "cells"),
    [
        (False, ["=1+1", "-5", "7", "true", '{"b":"@x"}', "@x", ""]),
        (True, ["'=1+1", "'-5", "7", "true", '{"b":"@x"}', "'@x", ""]),
    ],
)
def test_formulas(tmp_path: Path, spreadsheet: bool, cells: list[str]) -> None:
    """They are left as they are, or made harmless when that is asked for."""
    metadata = {"n": -5, "i": 7, "t": True, "a": {"b": "@x"}}
    append(tmp_path / "a.db", [[(0, [entry("=1+1", metadata=metadata)])]])
    keys = ["n", "i", "t", "a", "a.b", "none"]
    text = exported(
        Asker(tmp_path / "a.db"),
        9,
        format="csv",
        fields=["message", *(f"metadata.{key}" for key in keys)],
        spreadsheet=spreadsheet,
    )

    assert list(csv.reader(io.StringIO(text)))[1] == cells


def test_what_comes_later_is_not_in_it(tmp_path: Path) -> None:
    """However old its time is: the first page says what is."""
    path = tmp_path / "a.db"
    rows = [Entry(n, "api", 9, f"m{n}", {}, [], None) for n in (5, 7, 9)]
    append(path, [[(0, rows)]])
    asker = Asker(path)
    first = asker.ask("export", limit=1)
    append(path, [[(0, [rows[1]._replace(message="late")])]], first=10)
    rest = asker.ask("export", limit=9, cursor=first["next_cursor"])

    lines = (first["text"] + rest["text"]).splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["m5", "m7", "m9"]


def test_a_cursor_goes_on_with_its_own_question(tmp_path: Path) -> None:
    """Another filter, order or format is another file."""
    append(tmp_path / "a.db", [[(0, [entry("a"), entry("b")])]])
    asker = Asker(tmp_path / "a.db")
    cursor = asker.ask("export", limit=1)["next_cursor"]
    for other in ({"q": "a"}, {"order": "desc"}, {"format": "csv"}):
        with pytest.raises(FieldError, match="another question"):
            asker.ask("export", cursor=cursor, **other)


def test_checking_reads_nothing(tmp_path: Path) -> None:
    """It only tells wrong parameters."""
    append(tmp_path / "a.db", [[(0, [entry("a")])]])
    asker = Asker(tmp_path / "a.db")

    assert asker.ask("export", check=True)["rows"] == 0
    with pytest.raises(FieldError, match="unknown field"):
        asker.ask("export", check=True, fields=["text"])
