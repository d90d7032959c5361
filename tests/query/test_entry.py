"""get_entry: an entry by its id, and its long fields in pieces."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.identity import encode_id
from pipeline.query.requests import FieldError
from pipeline.timestamp import TIMESTAMP_MAX, TIMESTAMP_MIN
from tests.query.stores import Asker, Parts, append
from tests.wire.messages import entry

LONG = "é서🙂x" * 50_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs.db"


def test_every_entry_is_found_by_its_id(path: Path) -> None:
    """Also those of one nanosecond, and at both ends of time."""
    times = [TIMESTAMP_MIN, 7, 7, 8, TIMESTAMP_MAX]
    rows = [entry(f"m{n}", timestamp=time) for n, time in enumerate(times)]
    blocks: list[Parts] = [[(0, rows), (1, rows)], [(2, rows)]]
    stored = append(path, blocks)
    asker = Asker(path)

    for row in stored:
        log = asker.ask("get_entry", id=row.id)["log"]
        assert (log["id"], log["message"]) == (row.id, row.entry.message)


def test_a_long_message_is_read_in_pieces(path: Path) -> None:
    """Joined they are the message, whatever characters it has."""
    (stored,) = append(path, [[(0, [entry(LONG)])]])
    asker = Asker(path)
    pieces, offset = [], 0
    while offset is not None:
        reply = asker.ask(
            "get_entry", id=stored.id, field="message", offset=offset, length=65_537
        )
        assert reply["log"] is None
        pieces.append(reply["piece"])
        offset = pieces[-1]["next_offset"]

    assert "".join(piece["text"] for piece in pieces) == LONG
    assert {piece["total"] for piece in pieces} == {len(LONG)}
    assert [piece["length"] for piece in pieces] == [65_537, 65_537, 65_537, 3_389]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("source", "api"),
        ("metadata.user.id", "7"),
        ("metadata.note", "a\nb"),
        ("metadata", '{"user":{"id":7},"note":"a\\nb"}'),
        ("tags", '["x"]'),
        ("trace_id", "null"),
    ],
)
def test_what_is_no_text_is_json(path: Path, field: str, text: str) -> None:
    """Text is as it is."""
    metadata = {"user": {"id": 7}, "note": "a\nb"}
    row = entry("m", source="api", metadata=metadata, tags=["x"])
    (stored,) = append(path, [[(0, [row])]])
    piece = Asker(path).ask("get_entry", id=stored.id, field=field)["piece"]

    assert (piece["text"], piece["next_offset"]) == (text, None) or (
        json.loads(piece["text"]) == json.loads(text)
    )


@pytest.mark.parametrize(
    ("params", "field", "problem"),
    [
        ({"id": "x"}, "id", "1 characters"),
        ({"id": encode_id(5, b"p" * 16, 1)}, "id", "no entry has this id"),
        ({"field": "metadata.b"}, "field", "the entry has no metadata.b"),
        ({"field": "text"}, "field", "unknown field 'text'"),
        ({"field": "message", "offset": 2}, "offset", "2, beyond the field's 1"),
        ({"offset": 1}, "offset", "of no field"),
    ],
)
def test_errors(path: Path, params: dict[str, str], field: str, problem: str) -> None:
    """Each names the parameter."""
    (stored,) = append(path, [[(0, [entry("m")])]])
    with pytest.raises(FieldError, match=problem) as caught:
        Asker(path).ask("get_entry", **{"id": stored.id} | params)

    assert caught.value.field == field
