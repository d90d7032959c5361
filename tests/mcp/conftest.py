"""A pipeline with entries as nobody wants them, and the server of its tools."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from bench.hostile import rows
from tests.cli.shell import fill
from tests.end_to_end.running import Pipeline, Process
from tests.mcp.clients import Target, of_http, of_stdio


@pytest.fixture(scope="session")
def pipeline() -> Iterator[Pipeline]:
    """Started over a store with hostile entries of the last ten minutes."""
    started = Pipeline()
    try:
        fill(started.database, list(rows(time.time_ns(), 40)))
        yield started.start("ingester", "gateway").wait_until_ready()
    finally:
        started.close()


@pytest.fixture(scope="session")
def http_server(pipeline: Pipeline) -> Iterator[Process]:
    """`pipeline mcp --http` in front of it."""
    flags = ("--url", pipeline.url, "--http", "127.0.0.1:0")
    server = pipeline.process("mcp", *flags)
    yield server
    server.stop()


@pytest.fixture(params=["stdio", "http"])
def target(request: pytest.FixtureRequest, pipeline: Pipeline) -> Target:
    """What a client connects to: each transport in turn."""
    if request.param == "stdio":
        return of_stdio(pipeline.environ, "--url", pipeline.url)
    return of_http(request.getfixturevalue("http_server").address)
