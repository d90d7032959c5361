"""Parts that stop, die or are away: what is lost is said, the rest goes on."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import time

import pytest

from tests.end_to_end.running import running

TIME_LIMIT = -32002
BUSY = -32003
WORKER_LOST = -32005


@pytest.fixture
def own():
    """A pipeline that a test may break."""
    with running(
        gateway__durable_timeout_seconds=1, collector__memory_bytes=1 << 20
    ) as pipeline:
        yield pipeline


def wait_for(condition, seconds=20):
    """Wait for what nothing tells us of."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_without_an_ingester_log_says_busy_and_queries_go_on(own):
    """What it took before comes in when the ingester is back."""
    own.result("log", source="s", message="before")
    own.stop("ingester")
    error = own.error("log", source="s", message="during")

    assert error["code"] == BUSY
    assert error["data"]["retry_after_ms"] > 0
    assert error["data"]["stored"].startswith("later")
    assert len(own.logs(sources=["s"])) == 1
    wait_for(lambda: own.request("GET", "/health/ready")[0] == 503)
    assert own.result("health")["status"] == "degraded"
    assert own.request("GET", "/health/live")[0] == 200
    own.start("ingester")
    wait_for(lambda: len(own.logs(sources=["s"])) == 2)
    wait_for(lambda: own.result("health")["status"] == "ok")
    assert own.result("log", source="s", message="after")["id"]
    messages = [entry["message"] for entry in own.logs(sources=["s"])]
    assert messages == ["before", "during", "after"]


def test_when_memory_is_full_log_says_so_at_once(own):
    """And that nothing of it is stored."""
    own.stop("ingester")
    taken = 0
    while True:
        message = os.urandom(200_000).hex()  # zstd halves it
        row = {"source": "s", "message": message, "ack": "received"}
        if "error" in (reply := own.call("log", row)):
            break
        taken += 1
        assert taken < 100

    assert reply["error"]["code"] == BUSY
    assert reply["error"]["data"]["stored"] == "no"
    own.start("ingester")
    wait_for(lambda: own.result("query", sources=["s"])["count"] == taken)


def test_a_killed_worker_is_replaced(own):
    """The error of a question that it had says so; the next one is answered."""
    own.result("log", source="s", message="m")
    for pid in own.result("health")["workers"]["pids"]:
        os.kill(pid, signal.SIGKILL)

    while "error" in (reply := own.call("query", {"sources": ["s"]})):
        assert reply["error"]["code"] == WORKER_LOST
    assert reply["result"]["count"] == 1
    wait_for(lambda: own.result("health")["workers"]["ready"] == 2)
    assert own.result("health")["workers"]["counters"]["restarts"] == 2


def test_a_client_that_goes_away_cancels_its_question(own):
    """However it was going to end."""
    logs = [{"source": "s", "message": f"m{n} " + "y" * 300} for n in range(20_000)]
    own.result("log_batch", logs=logs)
    text = " OR ".join(f'"no such {n}"' for n in range(250))
    call = {"jsonrpc": "2.0", "method": "query", "params": {"q": text}, "id": 1}
    body = json.dumps([call] * 20).encode()
    connection = http.client.HTTPConnection(own.host)
    connection.request("POST", "/rpc", body, {"Content-Type": "application/json"})
    wait_for(lambda: own.result("health")["workers"]["active"] == 2)
    connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()

    wait_for(lambda: own.result("health")["workers"]["active"] == 0)
    workers = own.result("health")["workers"]
    assert workers["waiting"] == 0
    assert workers["counters"]["cancelled"] > 0


def test_a_question_that_takes_too_long_is_ended():
    """With the code of the time limit; the worker goes on."""
    with running(query__timeout_seconds=0.001) as pipeline:
        rows = [{"source": "s", "message": f"m{n}"} for n in range(5_000)]
        pipeline.result("log_batch", logs=rows)
        text = " OR ".join(f'"no such {n}"' for n in range(200))
        before = pipeline.result("health")["workers"]["pids"]
        error = pipeline.error("query", q=text)

        assert error["code"] == TIME_LIMIT
        assert error["data"]
        assert pipeline.result("health")["workers"]["pids"] == before


def test_a_stop_finishes_what_was_begun(own):
    """Entries that were only received are durable before the gateway ends."""
    pids = own.result("health")["workers"]["pids"]
    for number in range(200):
        own.result("log", source="s", message=f"m{number}", ack="received")

    assert own.stop("gateway") == 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    own.start("gateway")
    assert own.result("query", sources=["s"])["count"] == 200


def test_an_open_tail_does_not_keep_the_gateway(own):
    """It ends with it."""
    connection = http.client.HTTPConnection(own.host)
    connection.request("GET", "/tail")
    response = connection.getresponse()
    assert response.readline() == b"retry: 2000\n"
    started = time.monotonic()

    assert own.stop("gateway") == 0
    assert time.monotonic() - started < 8
    assert response.read().endswith(b"\n\n")
    connection.close()


def test_calls_that_nobody_waits_for_do_not_keep_the_gateway(own):
    """A look at the store that is cancelled half-way would leave its thread."""
    call = b'{"jsonrpc":"2.0","method":"health","id":1}'
    head = (
        b"POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    )
    request = head + b"Content-Length: %d\r\n\r\n%b" % (len(call), call)
    host, _, port = own.host.rpartition(":")
    for _ in range(12):
        with socket.create_connection((host, int(port))) as client:
            client.sendall(request)
        # each finds the last look too old
        time.sleep(0.3)

    assert own.stop("gateway") == 0


def test_a_killed_gateway_leaves_no_worker(own):
    """Their input ends."""
    pids = own.result("health")["workers"]["pids"]
    own.stop("gateway", signal.SIGKILL)

    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}/exe") for pid in pids))


def test_what_was_stored_is_there_after_a_restart_of_all(own):
    """With the same ids."""
    own.result("log", source="s", message="m", metadata={"a": [1, {"b": None}]})
    before = own.logs()
    own.stop("gateway")
    own.stop("ingester")
    own.start("ingester", "gateway")

    assert own.logs() == before


def test_a_taken_port_is_named(own):
    """With the settings that change it."""
    port = own.host.rpartition(":")[2]
    own.environ["PIPELINE_SERVER__PORT"] = port
    with pytest.raises(RuntimeError, match=r"ended with 1.*can't listen on"):
        own.start("gateway")
