"""The examples of API.md, executed."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import msgspec
import pytest

import pipeline.gateway
from pipeline.alerts import Kind, to_entry
from pipeline.gateway.methods.table import METHODS
from tests.alerts.made import alert
from tests.cli.shell import fill
from tests.end_to_end.running import Pipeline

PAGE = (Path(pipeline.gateway.__file__).parent / "API.md").read_text()
EXAMPLES = re.findall(
    r"^### (\S+)\n(?:(?!^##).)*?```json\n(.*?)\n```\n```json\n(.*?)\n",
    PAGE,
    re.MULTILINE | re.DOTALL,
)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ALERT = "5f3c9a0b12de4477"
"""The fingerprint of the page's examples."""


@pytest.fixture(scope="module")
def whole():
    """A pipeline with an analyzer, and an alert that is open."""
    made = Pipeline()
    try:
        now = time.time_ns()
        opened = to_entry(Kind.OPENED, alert("api", fingerprint=ALERT), now)
        fill(made.database, [opened])
        yield made.start("ingester", "gateway", "analyzer").wait_until_ready()
    finally:
        made.close()


def shape(value):
    """The keys of maps, down through lists."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return None


@pytest.mark.parametrize(("name", "call", "reply"), EXAMPLES, ids=list(METHODS))
def test_an_example_works(whole, name, call, reply):
    """And has the reply that the page shows, but for its values."""
    whole.result("log", source="test", message="Hello", trace_id=TRACE)
    stored = whole.result("query", q="Hello", limit=1)["logs"]
    asked = re.sub(r'(?<="id": ")[^"]{43}(?=")', lambda _: stored[0]["id"], call)
    got = whole.post(asked.encode())
    shown = json.loads(reply)

    assert got["id"] == shown["id"]
    msgspec.convert(got["result"], METHODS[name].result)
    assert got["result"].keys() == shown["result"].keys()
    if name in ("log", "log_batch", "query", "search", "get_context", "get_trace"):
        assert shape(got) == shape(shown)


def test_every_method_has_an_example():
    """In the order of the page."""
    assert [name for name, _, _ in EXAMPLES] == list(METHODS)
