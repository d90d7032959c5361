"""What a pipeline tells of itself, over HTTP and JSON-RPC, on real processes."""

from __future__ import annotations

import os
import signal
import time
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.metrics import metrics
from tests.end_to_end.running import Pipeline


@pytest.fixture(scope="module")
def pipeline():
    """All processes, with a canary each second."""
    running = Pipeline(metrics__canary_seconds=1)
    try:
        yield running.start("ingester", "gateway", "analyzer").wait_until_ready()
    finally:
        running.close()


def scraped(pipeline):
    """Metrics by name and label, as Prometheus reads them."""
    with urllib.request.urlopen(f"{pipeline.url}/metrics") as response:
        text = response.read().decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def until(condition, seconds=20.0):
    """What the condition says, once it says something."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)
    return found


def test_what_is_logged_is_measured(pipeline):
    """Rates, sizes and durations follow what was done; no metric is unknown."""
    for level in ("INFO", "ERROR", "ERROR", "INFO"):
        pipeline.result("log", source="web", level=level, message="m")
    counted = until(
        lambda: (
            (now := scraped(pipeline)).get(("pipeline_ingest_entries_total",), 0) >= 4
            and 0 < now[("pipeline_error_rate",)] <= 0.5
            and now
        )
    )
    found = pipeline.result("get_metrics")

    assert found["logIngestionRate"] > 0
    assert 0 < found["errorRate"]["share"] <= 0.5
    assert found["queryResponseTime"]["by_method"]["log"]["count"] == 4
    assert found["queryResponseTime"]["by_method"]["log"]["p95"] > 0
    assert found["systemMemory"]["pipeline_bytes"] > 50e6
    assert counted["pipeline_store_entries",] >= 4
    assert counted["pipeline_query_duration_seconds_count", "log"] == 4
    names = {each.name for each in metrics()}
    assert {
        name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum")
        for name, *_ in counted
    } <= names


def test_the_canary_measures_the_way_of_an_entry(pipeline):
    """From its log call until a question finds it; it is stored as any other."""
    lag = until(lambda: (m := pipeline.result("get_metrics")["lag"])["seconds"] and m)

    assert 0 < lag["seconds"] < 10
    assert lag["lost"] == 0
    (canary,) = pipeline.result("query", sources=["pipeline"], limit=1)["logs"]
    assert canary["level"] == "DEBUG"
    assert canary["tags"] == ["canary"]


def healthy(pipeline):
    """Whether each process answers."""
    return pipeline.result("get_metrics")["pythonProcessHealth"]


@pytest.mark.parametrize("name", ["ingester", "analyzer", "query-worker-1"])
def test_a_stuck_process_is_known(pipeline, name):
    """By its heartbeat; and when it goes on, that is known as well."""
    until(lambda: all(healthy(pipeline).values()) and len(healthy(pipeline)) >= 5)
    workers = pipeline.result("health")["workers"]["pids"]
    pids = {name: one.pid for name, one in pipeline.processes.items()}
    pid = {**pids, "query-worker-1": workers[0]}[name]
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: not healthy(pipeline)[name])
    finally:
        os.kill(pid, signal.SIGCONT)

    until(lambda: healthy(pipeline)[name])
