"""HTTP around the calls: what browsers may send, sizes, paths, health."""

from __future__ import annotations

import gzip
import json
import socket

import pytest

CALL = b'{"jsonrpc":"2.0","method":"rpc.discover","id":1}'
JSON = "application/json"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": JSON}, 200),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
        ({"Content-Type": "application/json-rpc"}, 200),
        ({}, 200),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
        # a page may send an untyped Blob to any site without asking it
        ({"Origin": "http://evil.example"}, 415),
        ({"Sec-Fetch-Site": "cross-site"}, 415),
    ],
)
def test_what_a_browser_sends_unasked_is_refused(pipeline, headers, status):
    """JSON's content type makes it ask first, and it isn't told yes."""
    got, _, body = pipeline.request("POST", "/rpc", CALL, headers)

    assert got == status
    assert ("error" in json.loads(body)) == (status != 200)


def test_an_encoded_body_is_refused_before_it_is_inflated(pipeline):
    """400 MB out of 400 KB; `log_batch` has its own, bounded way."""
    headers = {"Content-Type": JSON, "Content-Encoding": "gzip"}
    status, _, body = pipeline.request("POST", "/rpc", gzip.compress(CALL), headers)

    assert (status, json.loads(body)["error"]["code"]) == (415, -32600)


def test_a_broken_body_is_an_error_of_the_client(pipeline):
    """Not of the gateway, and without a traceback."""
    head = (
        b"POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    )
    host, _, port = pipeline.host.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.sendall(head + b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n")
        reply = client.recv(1 << 16)

    assert b" 400 " in reply.splitlines()[0]
    assert b"Traceback" not in reply


@pytest.mark.parametrize(
    ("origin", "status"), [("http://evil.example", 403), ("null", 403)]
)
def test_a_websocket_of_another_site_is_refused(pipeline, origin, status):
    """Browsers don't ask before they open one."""
    headers = {
        "Origin": origin,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }

    assert pipeline.request("GET", "/ws", headers=headers)[0] == status


def test_a_body_that_is_too_big_is_refused_as_an_error(pipeline):
    """413, and the limit in the error's data."""
    body = b'{"jsonrpc":"2.0","method":"x","params":["%s"],"id":1}' % (
        b"x" * (16 << 20)
    )
    status, _, reply = pipeline.request("POST", "/rpc", body, {"Content-Type": JSON})

    error = json.loads(reply)["error"]
    assert (status, error["code"]) == (413, -32600)
    assert "16,777,216" in error["data"]["expected"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/health/live", 200),
        ("GET", "/health/ready", 200),
        ("GET", "/rpc", 405),
        ("GET", "/nothing", 404),
        ("POST", "/tail", 405),
    ],
)
def test_paths(pipeline, method, path, status):
    """Each has its method."""
    assert pipeline.request(method, path)[0] == status


def test_the_page_says_what_is_here(pipeline):
    """As JSON, which no browser runs."""
    _, headers, body = pipeline.request("GET", "/")

    assert "POST /rpc" in json.loads(body)
    assert headers["Content-Type"] == JSON
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_health_of_a_pipeline_that_works(pipeline, source):
    """Every part says how it is."""
    pipeline.result("log", source=source, message="m")
    health = pipeline.result("health")

    assert (health["status"], health["reasons"]) == ("ok", [])
    assert health["ingester"]["pid"] == pipeline.processes["ingester"].pid
    assert health["workers"]["ready"] == health["workers"]["configured"] == 2
    assert health["store"]["entries"] > 0
    assert health["store"]["bytes"] > 0
    assert health["collector"]["connected"]


def test_refused_requests_are_counted(pipeline):
    """Those that never came to a call."""
    before = pipeline.result("health")["requests"].get("refused_http", 0)
    pipeline.request("POST", "/rpc", b"{}", {"Content-Type": "text/plain"})
    pipeline.request("GET", "/tail?nonsense=1")

    assert pipeline.result("health")["requests"]["refused_http"] == before + 2
