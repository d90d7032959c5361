"""patterns and describe through a real gateway, ingester and worker."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def filled(pipeline):
    """Entries of a source of their own: old ones, and new ones of another kind."""
    logs = [
        {"source": "overviews", "message": f"{word} {n}", "timestamp": start + n}
        for word, start in (("old", 1_700_000_000), ("new", 1_700_000_100))
        for n in range(10)
    ]
    pipeline.result("log_batch", logs=logs)
    return pipeline


def test_patterns(filled):
    """With a map as the window to compare with, and a length."""
    asked = {"sources": ["overviews"], "since": 1_700_000_100, "until": 1_700_000_200}
    earlier = {"since": 1_700_000_000, "until": 1_700_000_100}
    found = filled.result("patterns", compare_to=earlier, **asked)
    same = filled.result("patterns", compare_to="100s", **asked)

    [one] = found["patterns"]
    assert (one["pattern"], one["count"], sum(one["trend"])) == ("new <*>", 10, 10)
    assert one["example"]["message"] == "new 9"
    comparison = found["comparison"]
    assert [each["pattern"] for each in comparison["new"]] == ["new <*>"]
    assert [each["pattern"] for each in comparison["vanished"]] == ["old <*>"]
    assert same["comparison"] == comparison


@pytest.mark.parametrize("wrong", ["often", 7, {"from": "1h"}, {"since": "often"}])
def test_no_window_to_compare_with(filled, wrong):
    """Is refused by its name."""
    error = filled.error("patterns", compare_to=wrong, since="1h")

    assert error["code"] == -32602
    assert error["data"]["field"].startswith("compare_to")


def test_describe(filled):
    """Counts what the store has."""
    found = filled.result("describe")

    sources = {one["source"]: one["count"] for one in found["sources"]}
    assert sources["overviews"] == 20
    assert found["entries"] == sum(found["levels"].values())
