"""Questions that nobody means: each gets an answer, or an error that names a field."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import EntryError
from pipeline.identity import ID_CHARACTERS, decode_id, encode_id
from pipeline.query.codes import INTERNAL_ERROR
from pipeline.query.cursor import Cursor, decode_cursor, encode_cursor
from pipeline.query.methods.table import METHODS
from pipeline.query.requests import FieldError
from pipeline.query.worker import Call, answer
from tests.query import trees
from tests.query.stores import Asker, append
from tests.wire.messages import entry

NAMES = st.sampled_from(
    [
        *("q", "sources", "levels", "min_level", "tags", "trace_id", "metadata"),
        *("since", "until", "window", "order", "limit", "cursor", "fields", "count"),
        *("context", "before", "after", "interval", "buckets", "group_by", "above"),
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=12)
    | st.sampled_from(["level:error", "1h", "now", "2026-01-01", "asc", "ERROR", '"']),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
PARAMS = st.dictionaries(NAMES | st.text(max_size=6), VALUES, max_size=4)


@pytest.fixture(scope="module")
def asker(tmp_path_factory: pytest.TempPathFactory) -> Asker:
    """An engine over three entries."""
    path: Path = tmp_path_factory.mktemp("hostile") / "a.db"
    append(path, [[(0, [entry("one"), entry("two", metadata={"a": 1}), entry("3")])]])
    return Asker(path)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(sorted(METHODS)), PARAMS, st.integers(0, 2**63))
def test_any_params_get_an_answer_or_a_named_error(
    asker: Asker, method: str, params: dict[str, Any], now: int
) -> None:
    """Over msgpack, as the gateway hands them on; never an internal error."""
    packed = msgspec.msgpack.encode({"method": method, "params": params, "now": now})
    call = msgspec.msgpack.decode(packed, type=Call)

    found = answer(asker.engine, call, lambda _: False)

    if "result" in found:
        assert isinstance(json.loads(found["result"]), dict)
    else:
        assert found["error"].code != INTERNAL_ERROR, found
        assert found["error"].message


TEXTS = (
    trees.queries.map(str)
    | st.lists(trees.texts | st.sampled_from(trees.PIPED), max_size=4).map(" ".join)
    | st.text(st.sampled_from('aB7:"()-/*|[]<=! \\\n.'), max_size=20)
)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(sorted(METHODS)), TEXTS)
def test_any_text_gets_an_answer_or_an_error_with_a_position(
    asker: Asker, method: str, text: str
) -> None:
    """Whatever is asked for in the query language, and of which method."""
    name = "query" if method == "search" else "q"
    found = answer(asker.engine, Call(1, method, {name: text}), lambda _: False)

    if "result" in found:
        assert isinstance(json.loads(found["result"]), dict)
        return
    data = found["error"].data
    assert found["error"].code != INTERNAL_ERROR, found
    assert data["field"]
    if data["position"] is not None:
        assert data["position"] <= len(text)
        assert data["caret"].endswith("^")


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=130), st.data())
def test_a_cursor_is_as_it_was_given_or_refused(text: str, data: st.DataObject) -> None:
    """Noise, and a real one with a character changed."""
    given_out = encode_cursor(Cursor(7, 3, (1, b"p" * 16, 2), None, 5, 9))
    place = data.draw(st.integers(0, len(given_out) - 1))
    other = data.draw(st.characters().filter(lambda c: c != given_out[place]))
    for damaged in (text, given_out[:place] + other + given_out[place + 1 :]):
        with pytest.raises(FieldError):
            decode_cursor(damaged, 7)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=50) | st.text("-_09AZaz", min_size=43, max_size=43))
def test_an_id_is_the_only_spelling_of_itself(text: str) -> None:
    """Or it is refused."""
    with suppress(EntryError):
        found = decode_id(text)
        assert len(text) == ID_CHARACTERS
        assert encode_id(*found) == text
