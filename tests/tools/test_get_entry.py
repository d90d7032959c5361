"""One entry, and pieces of its fields."""

from __future__ import annotations

import pytest

from bench.hostile import SECRETS
from pipeline.entry import Entry
from pipeline.query.lookups import LEAST_TOKENS
from tests.query.stores import append
from tests.tools.stores import HOUR, NOW, ToolAsker, asking


@pytest.fixture
def store(tmp_path):
    """One entry with a secret in the middle of much else."""
    message = (
        f"{'begin ' * 40}Bearer {SECRETS[2]} password=hunter2hunter2 {'end ' * 900}"
    )
    fields = {"err\u200bor": "none", "error": "disk full"}
    row = Entry(NOW - HOUR // 2, "api", 17, message, fields, [], None)
    append(tmp_path / "logs.db", [[(0, [row])]])
    return asking(tmp_path / "logs.db")


def read(store: ToolAsker, **params):
    """What the tool says of the entry."""
    (line,) = store.ask("search_logs", NOW, query="begin")["matches"]
    identity = line.rpartition("id=")[2]
    return store.ask("get_entry", NOW, id=identity, **params)


@pytest.mark.parametrize("offset", range(240, 420, 9))
def test_no_piece_begins_within_a_secret(store, offset):
    """Its rest would look like none."""
    piece = read(store, field="message", offset=offset, max_tokens=LEAST_TOKENS)

    assert SECRETS[2][-20:] not in piece["text"]
    assert "hunter2" not in piece["text"]


def test_pieces_make_the_whole(store):
    """Each begins where the one before ended."""
    text, offset = "", 0
    while offset is not None:
        piece = read(store, field="message", offset=offset, max_tokens=LEAST_TOKENS)
        text, offset = text + piece["text"], piece["next_offset"]

    assert len(text) == piece["count"]
    assert text.startswith("begin begin")
    assert text.endswith("[redacted] " + ("end " * 900).strip())


def test_keys_that_read_alike_stay_apart(store):
    """None takes the place of the other."""
    metadata = read(store, max_tokens=2_000)["entry"]["metadata"]

    assert metadata == {"error": "none", "error (2)": "disk full"}
