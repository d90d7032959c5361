"""A reply that has nothing says why, and every reply keeps to its budget."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.entry import Entry
from pipeline.query.lookups import LEAST_TOKENS
from pipeline.tools.budget import Detail, fit, size
from pipeline.tools.definitions import MAX_TOKENS
from tests.query.stores import Asker, append
from tests.tools.stores import HOUR, NOW, asking


@pytest.fixture
def store(tmp_path: Path) -> Asker:
    """Errors of two sources, a day ago."""
    rows = [
        Entry(NOW - 24 * HOUR, name, 17, "payment failed", {}, [], None)
        for name in ("billing", "web")
    ]
    append(tmp_path / "logs.db", [[(0, rows)]])
    return asking(tmp_path / "logs.db")


@pytest.mark.parametrize(
    ("tool", "params"),
    [("search_logs", {"query": "payment"}), ("get_recent_errors", {})],
)
def test_nothing_tells_when_there_was_something(store, tool, params) -> None:
    """The last match before the window."""
    reply = store.ask(tool, NOW, **params)

    assert reply["count"] == 0
    assert "the last match before was at 2027-01-14T08:00:00Z" in reply["hints"]


@pytest.mark.parametrize(
    ("tool", "params"),
    [
        ("search_logs", {"query": "payment"}),
        ("get_recent_errors", {}),
        ("list_patterns", {}),
    ],
)
def test_a_source_that_is_not_there_has_near_ones(store, tool, params) -> None:
    """Or those that there are."""
    near = store.ask(tool, NOW, sources=["biling"], **params)
    far = store.ask(tool, NOW, sources=["zzz"], **params)

    assert "no source is called biling; there is billing" in near["hints"]
    assert "no source is called zzz; there is billing, web" in far["hints"]


def test_a_time_without_a_beginning_has_nothing_before_it(store) -> None:
    """Whatever comes after it is no match before."""
    reply = store.ask("search_logs", NOW, query="payment", timerange="/2026-01-01")

    assert reply["count"] == 0
    assert not any("before" in hint for hint in reply["hints"])


values = st.recursive(
    st.one_of(st.integers(), st.none(), st.text(max_size=400)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=30),
        st.dictionaries(st.text(max_size=40), inner, max_size=30),
    ),
    max_leaves=60,
)


@given(st.dictionaries(st.sampled_from("abcdefgh"), values), st.integers(200, 9000))
def test_whatever_a_tool_says_fits(told: dict[str, Any], most: int) -> None:
    """Also what does not shrink with the detail; numbers and names stay."""

    def build(detail: Detail) -> dict[str, Any]:
        return {"count": 7, "truncated": False, "hints": ["ask"], **told}

    reply = fit(build, most)

    assert size(reply) <= most
    assert json.loads(json.dumps(reply))["count"] == 7
    assert reply.keys() == build(Detail(1, 1)).keys()


@pytest.mark.parametrize("most", [LEAST_TOKENS, 1_000, MAX_TOKENS])
def test_many_sources_with_long_names_fit(tmp_path: Path, most: int) -> None:
    """Names outside ASCII take a token or two a character."""
    rows = [
        Entry(NOW - HOUR // 2, "결제" * 30 + str(at), 17, "실패", {}, [], None)
        for at in range(40)
    ]
    append(tmp_path / "logs.db", [[(0, rows)]])
    asker = asking(tmp_path / "logs.db")
    for tool, params in (("search_logs", {"query": "실패"}), ("get_recent_errors", {})):
        reply = asker.ask(tool, NOW, max_tokens=most, **params)
        assert reply["count"] == 40
        assert most == LEAST_TOKENS or reply["cursor"] or not reply["truncated"]
        assert size(reply) <= most
