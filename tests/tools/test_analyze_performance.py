"""Slow requests and queries, and the paths that they belong to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.entry import Entry
from pipeline.query.answer import Limits
from tests.query.stores import append
from tests.tools.stores import NOW, ToolAsker, asking

MINUTE = 60 * 1_000_000_000


def request(path: str, ms: float, **metadata: Any) -> Entry:
    """A request that took so long."""
    fields = {"path": path, "duration_ms": ms, **metadata}
    return Entry(NOW - MINUTE, "http_traffic", 9, f"GET {path}", fields, [], None)


def store(folder: Path, rows: list[Entry], limits: Limits | None = None) -> ToolAsker:
    """A store of these."""
    append(folder / "logs.db", [[(0, rows)]])
    return asking(folder / "logs.db", limits)


def test_requests_of_one_route_are_one_path(tmp_path) -> None:
    """Whatever stands in their places; those without a route keep their path."""
    rows = [request(f"/users/{n}", n, route="/users/:id") for n in range(1, 101)]
    asker = store(tmp_path, [*rows, request("/health", 1)])

    assert asker.ask("analyze_performance", NOW)["paths"] == [
        "/users/:id n=100 p50=50ms p95=95ms p99=99ms max=100ms",
        "/health n=1 p50=1ms p95=1ms p99=1ms max=1ms",
    ]


@pytest.mark.parametrize("path", ["/a b/(c)|d", "/결제?x=1&y=[2]", '/"quoted"\\'])
def test_percentiles_are_of_all_requests_however_many_paths(tmp_path, path) -> None:
    """Of a slow path its quick requests count, too."""
    rows = [request(f"/{n}", 1) for n in range(20)]
    rows += [request(path, 2_000), *(request(path, 10) for _ in range(9))]
    reply = store(tmp_path, rows, Limits(groups=10)).ask("analyze_performance", NOW)

    assert reply["paths"] == [f"{path} n=10 p50=10ms p95=2000ms p99=2000ms max=2000ms"]
    assert reply["hints"][0].startswith("there are too many different paths")


def test_more_paths_than_a_reply_has_are_told(tmp_path) -> None:
    """Nothing slow was left out, but paths were."""
    reply = store(tmp_path, [request(f"/{n}", n) for n in range(31)]).ask(
        "analyze_performance", NOW
    )

    assert len(reply["paths"]) == 30
    assert reply["truncated"]
    assert (reply["count"], reply["returned"]) == (0, 0)


def test_what_is_slow_is_counted_and_returned_alike(tmp_path) -> None:
    """Requests and queries; paths are figures of them."""
    query = Entry(NOW - MINUTE, "database", 13, "q", {"duration_ms": 1_500}, [], None)
    rows = [request("/a", 2_000 + n) for n in range(25)]
    reply = store(tmp_path, [*rows, query]).ask("analyze_performance", NOW)

    assert reply["summary"]["slow_requests"] == 25
    assert (reply["count"], reply["returned"]) == (26, 21)
    assert reply["truncated"]


def test_a_wrong_timerange_is_refused(tmp_path) -> None:
    """And not taken for too many paths."""
    error = store(tmp_path, [request("/a", 1)]).refused(
        "analyze_performance", timerange="soon"
    )

    assert error.field == "timerange"
