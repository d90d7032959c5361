"""METRICS.md: the list of all metrics, which the gateway reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.metrics import Metric, metrics, undeclared, values

ROOT = Path(__file__).parents[1]
NAME = re.compile(r"pipeline_[a-z_]+[a-z]")
COUNTED = re.compile(r'counters\[(f?)"([^"]+)"\]')
PLACES = ("ingester", "gateway", "analyzer")


@pytest.mark.parametrize("metric", metrics(), ids=lambda each: each.name)
def test_a_metric_says_what_it_is(metric: Metric) -> None:
    """As Prometheus wants names, with one label where its path has a star."""
    assert NAME.fullmatch(metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.kind in ("counter", "gauge", "histogram")
    assert metric.meaning.endswith(".")
    assert bool(metric.label) == ("*" in metric.path) or metric.kind == "histogram"


def test_each_is_there_once() -> None:
    """By its name and by where its value stands."""
    names = [each.name for each in metrics()]
    paths = [each.path for each in metrics() if each.path]

    assert len(set(names)) == len(names) > 100
    assert len(set(paths)) == len(paths)


def test_no_counter_is_forgotten() -> None:
    """Each that a process raises has a row; a name that is made up as it goes, too."""
    known = {each.path[-1] for each in metrics() if each.path}
    raised = {
        (is_made, name)
        for place in PLACES
        for path in (ROOT / "pipeline" / place).rglob("*.py")
        for is_made, name in COUNTED.findall(path.read_text())
    }
    made = {name.partition("{")[0] for is_made, name in raised if is_made}

    assert {name for is_made, name in raised if not is_made} <= known
    assert made <= {"dead_letter.", "blocks_by_", "bytes_by_", "rows_by_"} | {
        "times_",
        "alerts_",
    }


def test_values_stand_where_the_page_says() -> None:
    """A star is any key, whose name the label has."""
    told = {
        "ingester": {"counters": {"entries": 7, "new": 1}, "pid": 5},
        "processes": {"gateway": {"up": True}},
    }
    found = [(metric.name, label, value) for metric, label, value in values(told)]

    assert found == [
        ("pipeline_ingest_entries_total", "", 7.0),
        ("pipeline_process_up", "gateway", 1.0),
    ]
    assert undeclared(told) == [("ingester", "counters", "new")]
