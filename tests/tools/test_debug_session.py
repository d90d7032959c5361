"""One look at what happens: whose entries they are, and what was left out."""

from __future__ import annotations

import pytest

from pipeline.entry import Entry
from tests.query.stores import append
from tests.tools.stores import NOW, asking


def entry(source: str, message: str, level: int = 9, **given) -> Entry:
    """A second ago."""
    return Entry(
        *(NOW - 1_000_000_000, source, level, message, {}),
        *(given.get("tags", []), given.get("trace_id")),
    )


@pytest.fixture
def session(tmp_path):
    """What the tool says of a store of these entries."""

    def ask(rows, **params):
        append(tmp_path / "logs.db", [[(0, rows)]])
        return asking(tmp_path / "logs.db").ask("debug_session", NOW, **params)

    return ask


@pytest.mark.parametrize(
    ("part", "source", "tag"),
    [
        ("http_traffic", "http_traffic", "http"),
        ("mcp_calls", "recursive_mcp", "mcp"),
        ("ai_analysis", "recursive_ai", "ai"),
    ],
)
def test_a_collector_may_have_another_source(session, part, source, tag):
    """Its tags tell what its entries are."""
    rows = [entry(source, "one"), entry("mine", "two", tags=[tag, "x"])]
    found = session([*rows, entry("other", "three", tags=["y"])])[part]

    assert found["total"] == 2
    assert "one" in str(found["newest"])
    assert "two" in str(found["newest"])


def test_the_rest_of_a_long_trace_is_told(session):
    """And which tool has it."""
    rows = [entry("api", f"step {n}", trace_id="t-1") for n in range(40)]
    failed = entry("api", "failed", 17, trace_id="t-1")
    steps = session([*rows, failed], include_trace=True)["trace_logs"]["t-1"]

    assert steps[-1] == "16 more: get_trace has them"


def test_errors_are_counted_as_they_are_returned(session):
    """Entries of each kind."""
    reply = session([entry("api", f"job {n} failed", 17) for n in range(7)])

    assert (reply["count"], reply["returned"], reply["truncated"]) == (7, 7, False)
    assert reply["errors"]["total_errors"] == 7


def test_warnings_are_grouped_too(session):
    """Of one that comes often a part lists two, and so has room for others."""
    rows = [entry("http_traffic", f"GET /{n} - 404", 13) for n in range(30)]
    reply = session([entry("http_traffic", "GET /a - slow", 13), *rows])

    groups = {e["pattern"]: e["count"] for e in reply["warnings"]["groups"]}
    assert groups == {"GET /<*> - <*>": 30, "GET /a - slow": 1}
    assert reply["warnings"]["total_warnings"] == 31
    assert [("404" in line) for line in reply["http_traffic"]["newest"][1:]] == [
        *(True, True, False)
    ]
    assert reply["http_traffic"]["truncated"]
