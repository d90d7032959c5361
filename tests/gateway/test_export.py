"""/export through a real gateway: whole files, cut ones, clients that go or dawdle."""

from __future__ import annotations

import asyncio
import csv
import http.client
import io
import json
import os
import socket
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp import web

from pipeline.gateway.export import Exports
from pipeline.gateway.http import application
from pipeline.gateway.pool import Pool
from tests.end_to_end.running import running

WORKER = [sys.executable, str(Path(__file__).with_name("odd_worker.py"))]
ROWS = 30_000
"""Three pages, by their number as by their bytes."""


@pytest.fixture(scope="module")
def full():
    """A pipeline with more entries than a page has."""
    with running(gateway__export_clients=2) as pipeline:
        for start in range(0, ROWS, 10_000):
            logs = [
                {"source": "s", "message": f"m{n} " + "y" * 300, "metadata": {"n": n}}
                for n in range(start, start + 10_000)
            ]
            pipeline.result("log_batch", logs=logs)
        yield pipeline


def until(condition, seconds=20):
    """Wait for something that is sure to come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def opened(pipeline, query="", receive_bytes=None):
    """A socket that has asked for an export, and reads nothing yet."""
    host, _, port = pipeline.host.rpartition(":")
    sock = socket.socket()
    if receive_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.settimeout(20)
    sock.connect((host, int(port)))
    sock.sendall(f"GET /export{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return sock


def test_all_entries_once(full):
    """More than any page has, in order, none twice."""
    status, headers, body = full.request("GET", "/export?fields=message,metadata.n")
    lines = [json.loads(line) for line in body.splitlines()]

    assert status == 200
    assert headers["Content-Type"] == "application/x-ndjson; charset=utf-8"
    assert headers["Transfer-Encoding"] == "chunked"
    assert sorted(line["metadata"]["n"] for line in lines) == list(range(ROWS))


def test_csv_in_another_order_and_not_all(full):
    """The header once, the columns as they were asked for."""
    asked = {"format": "csv", "order": "desc", "limit": 12_345}
    asked |= {"fields": ["metadata.n", "source"], "q": "y" * 300}
    body = json.dumps(asked)
    kind = {"Content-Type": "application/json"}
    status, _, text = full.request("POST", "/export", body, kind)
    header, *rows = csv.reader(io.StringIO(text.decode(), newline=""))

    assert status == 200
    assert header == ["metadata.n", "source"]
    assert len({tuple(row) for row in rows}) == len(rows) == 12_345


def test_the_path_of_the_call_is_the_file(full):
    """With every param in it."""
    found = full.result(
        "export", format="csv", q='"m7 "', fields=["message"], limit=5, since=0
    )
    status, headers, body = full.request(found["method"], found["path"])

    assert status == 200
    assert headers["Content-Type"].startswith(found["content_type"])
    assert body.decode().splitlines()[1].startswith("m7 ")


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("?q=%22", "quote"),
        ("?format=xml", "xml"),
        ("?limit=x", "'x'"),
        ("?feilds=message", "unknown param"),
        ("?fields=text", "unknown field"),
        ("?spreadsheet=true", "without CSV"),
        ("?cursor=x", "unknown param"),
        ("?q=a&q=b", "stands twice"),
    ],
)
def test_wrong_params_are_400(full, query, problem):
    """With the error as JSON."""
    status, _, body = full.request("GET", f"/export{query}")

    assert status == 400
    assert problem in json.dumps(json.loads(body)["error"]["data"])


def test_a_posted_body_is_checked(full):
    """What a page of another site can send is refused."""
    kind = {"Content-Type": "application/json"}

    assert full.request("POST", "/export", "[1]", kind)[0] == 400
    assert full.request("POST", "/export", '{"q":"a","q":"b"}', kind)[0] == 400
    assert full.request("POST", "/export", "{}", {"Content-Type": "text/plain"})[0] == (
        415
    )


def test_http_1_0_is_refused(full):
    """A cut file would look like a whole one."""
    host, _, port = full.host.rpartition(":")
    with socket.create_connection((host, int(port)), 20) as sock:
        sock.sendall(b"GET /export HTTP/1.0\r\n\r\n")

        assert b" 505 " in sock.recv(100)


@asynccontextmanager
async def odd_server(**limits):
    """/export over a worker that misbehaves on request; address and counters."""
    pool = Pool(WORKER, os.environ, 1, 4, 30.0, lambda: 1)
    backend = SimpleNamespace(counters=Counter())
    backend.dispatcher = backend
    backend.exports = Exports(pool, 4, backend.counters, **limits)
    runner = web.AppRunner(application(backend, 1000), handler_cancellation=True)
    await runner.setup()
    pool.start()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0], backend.counters
    finally:
        await runner.cleanup()
        await pool.close()


def fetch(address, query):
    """What http.client makes of an export."""
    connection = http.client.HTTPConnection(*address[:2], timeout=20)
    try:
        connection.request("GET", f"/export{query}")
        return connection.getresponse().read()
    finally:
        connection.close()


def test_an_error_in_the_middle_is_visible():
    """The last chunk is missing, and so is no part of a line."""

    async def test():
        async with odd_server() as (address, counters):
            with pytest.raises(http.client.IncompleteRead) as caught:
                await asyncio.to_thread(fetch, address, "?q=cut")
            return caught.value.partial, counters

    text, counters = asyncio.run(test())

    assert text.endswith(b"}\n")
    assert len({json.loads(line)["message"] for line in text.splitlines()}) == 1
    assert text.count(b"\n") == 1000
    assert counters["export_aborted"] == 1


def test_a_client_that_reads_nothing_is_let_go():
    """It would keep its place for ever."""

    async def test():
        async with odd_server(stall_seconds=0.3) as (address, counters):
            with socket.create_connection(address[:2], 20) as sock:
                head = b"GET /export?q=endless HTTP/1.1\r\nHost: localhost\r\n\r\n"
                sock.sendall(head)
                async with asyncio.timeout(20):
                    while not counters["export_aborted"]:  # noqa: ASYNC110
                        await asyncio.sleep(0.02)

    asyncio.run(test())


def test_a_client_that_goes_away_ends_its_export(full):
    """Its place is free again."""
    socks = [opened(full, receive_bytes=4096) for _ in range(2)]
    for sock in socks:
        sock.recv(100)
    status, headers, _ = full.request("GET", "/export?limit=1")
    for sock in socks:
        sock.close()

    assert status == 503
    assert int(headers["Retry-After"]) > 0
    until(lambda: full.request("GET", "/export?limit=1")[0] == 200)


def test_a_slow_client_holds_back_nobody(full):
    """Questions and other exports go on while it reads nothing."""
    with opened(full, receive_bytes=4096) as sock:
        sock.recv(100)

        assert full.result("query", limit=1)["returned"] == 1
        assert full.request("GET", "/export?q=source:s")[2].count(b"\n") == ROWS


def test_no_head(full):
    """It would make the whole file to say how long it is."""
    connection = http.client.HTTPConnection(full.host, timeout=20)
    connection.request("HEAD", "/export")

    assert connection.getresponse().status == 405
    connection.close()
