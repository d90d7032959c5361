"""Every tool by a real client, over entries as nobody wants them."""

from __future__ import annotations

import json
import time

import pytest

from bench.hostile import ORDER, SECRETS
from pipeline.tools.definitions import DEFINITIONS, MAX_TOKENS
from pipeline.tools.tokens import tokens
from tests.mcp.clients import connected, of_stdio, text_of

NAMES = [tool["name"] for tool in DEFINITIONS]
DANGEROUS = set("\x00\x07\x08\x1b\x9b\u202e\u2066")


def strings(value):
    """All texts of a reply, keys too."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)
    elif isinstance(value, str):
        yield value


async def every(client, **arguments):
    """(tool, reply as text) of each tool, and of each hostile entry by its id."""
    found = [("search_logs", await text_of(client, "search_logs", query="failed"))]
    logs = json.loads(await text_of(client, "search_logs", query="*", context=0))
    ids = [line.rpartition("id=")[2] for line in logs["matches"]][:12]
    calls = [("get_entry", {"id": each}) for each in ids]
    calls += [("get_entry", {"id": each, "field": "message"}) for each in ids]
    calls += [("get_context", {"id": each, "scope": "all"}) for each in ids[:3]]
    calls += [("get_trace", {"trace_id": "hostile-trace"})]
    calls += [
        ("debug_session", {"since": "30m", "include_trace": True}),
        ("list_patterns", {"compare_to": "1h"}),
        ("get_log_stats", {"group_by": "hour"}),
    ]
    calls += [
        (name, {})
        for name in ("get_recent_errors", "analyze_performance", "describe_logs")
    ]
    for name, given in calls:
        found.append((name, await text_of(client, name, **given, **arguments)))
    return found


def test_the_tools_are_listed_as_they_are_defined(target):
    """Name, description, schema and annotations."""

    async def act(client):
        return (await client.list_tools()).tools

    listed = [
        tool.model_dump(by_alias=True, exclude_none=True)
        for tool in connected(target, act)
    ]
    assert listed == list(DEFINITIONS)


def test_every_reply_keeps_to_what_a_reader_can_take(pipeline):
    """Its tokens, no secret, nothing that a terminal obeys, and no order unmarked."""
    replies = connected(of_stdio(pipeline.environ, "--url", pipeline.url), every)

    assert {name for name, _ in replies} == set(NAMES)
    for name, text in replies:
        assert tokens(text.encode()) <= MAX_TOKENS, name
        assert [secret for secret in SECRETS if secret in text] == [], name
        reply = json.loads(text)
        assert not set("".join(strings(reply))) & DANGEROUS, name
        if ORDER[:20] in text:
            assert "untrusted" in reply["notice"], name


def test_a_smaller_budget_is_kept_to(http_server):
    """The smallest that may be asked for."""

    async def act(client):
        return await every(client, max_tokens=500)

    over = [
        (name, tokens(text.encode()))
        for name, text in connected(http_server.address, act)[1:]
        if tokens(text.encode()) > 500
    ]
    assert over == []


@pytest.fixture
def asked(pipeline):
    """A tool's reply by JSON-RPC, which has the same tools."""

    def ask(name, **arguments):
        return pipeline.result(name, **arguments)

    return ask


def test_errors_are_counted_all_and_listed_page_by_page(asked):
    """Each kind is in one reply."""
    totals, seen, cursor = set(), [], None
    while True:
        given = {} if cursor is None else {"cursor": cursor}
        page = asked("get_recent_errors", max_tokens=700, **given)
        totals.add(page["total_errors"])
        seen += [(each["pattern"], each["count"]) for each in page["errors"]]
        cursor = page["cursor"]
        if cursor is None:
            break

    assert len(seen) == len(set(seen)) > 5
    (total,) = totals  # of the window of the first page, whatever becomes of it
    unlisted = total - sum(count for _, count in seen)
    assert page["hints"][0].startswith(f"{unlisted} errors are too long")


def test_matches_are_listed_page_by_page(asked):
    """Each once, whatever the budget."""
    seen, cursor = [], None
    while True:
        given = {} if cursor is None else {"cursor": cursor}
        page = asked("search_logs", query="failed", context=0, max_tokens=900, **given)
        seen += [line.rpartition("id=")[2] for line in page["matches"]]
        cursor = page["cursor"]
        if cursor is None:
            break

    assert len(seen) == len(set(seen)) == page["total_matches"]


def test_sources_filter(asked):
    """Not only those of the reply's texts."""
    found = asked("search_logs", query="failed", sources=["recursive_ai"])

    assert list(found["sources_found"]) == ["recursive_ai"]
    assert found["total_matches"] == found["sources_found"]["recursive_ai"]


def test_no_context_is_none(asked):
    """0 means 0."""
    found = asked("search_logs", query="failed", context=0)

    assert [line for line in found["matches"] if " · " in line] == []
    assert len(found["matches"]) == found["returned"]


def test_percentiles_are_of_all_requests(pipeline, asked):
    """And the slow ones are counted, listed by how long they took."""
    now = time.time_ns()
    pipeline.result(
        "log_batch",
        logs=[
            {
                "source": "http_traffic",
                "message": f"GET /slow - {number}",
                "metadata": {"path": "/slow", "duration_ms": number * 10},
                "timestamp": str(now - number * 1_000),
            }
            for number in range(1, 101)
        ],
    )
    found = asked("analyze_performance", threshold_ms=900)

    path = next(line for line in found["paths"] if line.startswith("/slow n=100"))
    assert "p50=5" in path
    assert "max=1000ms" in path
    assert found["summary"]["slow_requests"] >= 11
    assert found["summary"]["total_requests"] > found["summary"]["slow_requests"]
