"""get_context against sorting all entries and cutting a piece out."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.query.requests import FieldError
from tests.query.oracle import Stored
from tests.query.stores import Asker, append, blocks, ids
from tests.wire.messages import entry


def expected(stored: list[Stored], hit: Stored, before: int, after: int) -> list[str]:
    """Ids of the entries around the hit."""
    near = sorted(stored, key=lambda row: row.key)
    place = near.index(hit)
    return [row.id for row in near[max(0, place - before) : place + after + 1]]


@settings(deadline=None)
@given(blocks, st.integers(0, 4), st.integers(0, 4), st.data())
def test_neighbours(rows: Any, before: int, after: int, data: st.DataObject) -> None:
    """Of its source or of all, whatever blocks they are in."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "logs.db"
        stored = append(path, rows)
        hit = data.draw(st.sampled_from(stored))
        asker = Asker(path)
        for scope in ("source", "all"):
            near = [r for r in stored if scope == "all" or same_source(r, hit)]
            reply = asker.ask(
                "get_context", id=hit.id, before=before, after=after, scope=scope
            )
            place = sorted(near, key=lambda row: row.key).index(hit)

            assert ids([reply]) == expected(near, hit, before, after)
            assert [log["context"] for log in reply["logs"]] == [
                log["id"] != hit.id for log in reply["logs"]
            ]
            assert reply["more_before"] == (place > before)
            assert reply["more_after"] == (len(near) - place - 1 > after)


def same_source(row: Stored, hit: Stored) -> bool:
    """Whether both are of one service."""
    return row.entry.source == hit.entry.source


def test_the_fields_asked_for(tmp_path: Path) -> None:
    """Of the hit and its neighbours alike."""
    stored = append(tmp_path / "a.db", [[(0, [entry("a"), entry("b")])]])
    asker = Asker(tmp_path / "a.db")
    reply = asker.ask("get_context", id=stored[1].id, fields=["message"])

    assert reply["logs"] == [
        {"message": "a", "context": True},
        {"message": "b", "context": False},
    ]


def test_an_id_that_is_not_there(tmp_path: Path) -> None:
    """It is an error, not an empty answer."""
    (stored,) = append(tmp_path / "a.db", [[(0, [entry("a")])]])
    other = stored._replace(number=2)
    with pytest.raises(FieldError, match="no entry has this id"):
        Asker(tmp_path / "a.db").ask("get_context", id=other.id)
