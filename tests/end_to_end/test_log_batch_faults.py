"""`log_batch` with numbers while parts are killed, away or full: each entry is once."""

from __future__ import annotations

import http.client
import json
import signal
import threading
import time

import pytest

from tests.end_to_end.running import Process, running
from tests.end_to_end.sender import BUSY, Sender
from tests.faults.volume import tmpfs


@pytest.fixture
def own():
    """A pipeline that a test may break."""
    with running(gateway__durable_timeout_seconds=1) as pipeline:
        yield pipeline


def test_a_killed_ingester_costs_and_doubles_nothing(own):
    """Calls go on while it is killed and started, and each is repeated till the end."""
    sender = Sender(own)
    done = []

    def send():
        done.extend(sender.insist(number, 4) for number in range(1, 400, 4))

    thread = threading.Thread(target=send)
    thread.start()
    for _ in range(3):
        reached = len(done)
        while thread.is_alive() and len(done) < reached + 15:
            time.sleep(0.01)
        own.stop("ingester", signal.SIGKILL)
        own.start("ingester")
    thread.join()

    assert len(done) == 100
    assert sorted(sender.stored()) == list(range(1, 401))
    ledger = own.result("get_ledger", producer=sender.producer)
    assert ledger["balanced"]
    assert ledger["totals"]["session"]["stored"] == 400
    assert own.result("get_ledger")["balanced"]


def test_a_retry_through_another_gateway_is_known(own):
    """The first one is killed before its client has the answer."""
    sender = Sender(own)
    sender.result(1, 5)
    body = {"jsonrpc": "2.0", "method": "log_batch", "id": 1}
    body["params"] = sender.params(6, 5)
    connection = http.client.HTTPConnection(own.host)
    kind = {"Content-Type": "application/json"}
    connection.request("POST", "/rpc", json.dumps(body), kind)
    end = time.monotonic() + 20
    while len(sender.stored()) < 10:
        assert time.monotonic() < end
    own.stop("gateway", signal.SIGKILL)
    connection.close()
    own.start("gateway")

    assert sender.result(6, 5)["duplicate"]
    assert sender.result(11, 1) == {
        "accepted": 1,
        "rejected": [],
        "durable": 11,
        "duplicate": False,
    }
    assert sorted(sender.stored()) == list(range(1, 12))


def test_a_client_that_goes_away_may_come_again(own):
    """Its call is on its way; the next one says what became of it."""
    sender = Sender(own)
    body = {"jsonrpc": "2.0", "method": "log_batch", "id": 1}
    kind = {"Content-Type": "application/json"}
    for number in range(1, 31, 3):
        connection = http.client.HTTPConnection(own.host)
        body["params"] = sender.params(number, 3)
        connection.request("POST", "/rpc", json.dumps(body), kind)
        connection.close()
        assert sender.insist(number, 3)["durable"] == number + 2

    assert sorted(sender.stored()) == list(range(1, 31))


def test_without_an_ingester_it_says_busy(own):
    """And that the same call is safe; it is stored once when the ingester is back."""
    sender = Sender(own)
    sender.result(1, 1)
    own.stop("ingester")
    for _ in range(2):
        error = sender.error(2, 3)
        assert error["code"] == BUSY
        assert error["data"]["retry_after_ms"] > 0
        assert "stores nothing twice" in error["data"]["stored"]
        assert "away" in error["data"]["problem"]
    own.start("ingester")

    assert sender.insist(2, 3)["durable"] == 4
    assert sorted(sender.stored()) == [1, 2, 3, 4]
    assert own.result("health")["requests"]["numbered_late"] == 2


def test_two_gateways_that_are_killed_in_turn(own):
    """Eight clients, each call again through the other one until it is answered."""
    own.processes["other"] = Process("gateway", own.environ)
    senders = [Sender(own, f"s{number}") for number in range(8)]
    names = ["gateway", "other"]
    done = []

    def send(sender, offset):
        for place in range(30):
            sender.insist(1 + 4 * place, 4, names[offset:] + names[:offset])
            done.append(sender)

    threads = [
        threading.Thread(target=send, args=(sender, number % 2))
        for number, sender in enumerate(senders)
    ]
    for thread in threads:
        thread.start()
    for name in ("other", "gateway", "other"):
        reached = len(done)
        while len(done) < min(240, reached + 40):
            time.sleep(0.01)
        own.stop(name, signal.SIGKILL)
        own.processes[name] = Process("gateway", own.environ)
    for thread in threads:
        thread.join()

    assert len(done) == 240
    for sender in senders:
        assert sorted(sender.stored()) == list(range(1, 121))


@pytest.mark.alone
@pytest.mark.requires("root", "tmpfs")
def test_a_full_disk_is_named(tmp_path):
    """And the same call is stored once when there is space again."""
    with tmpfs(tmp_path / "disk", 16) as disk:
        settings = {"storage__db_path": disk / "logs.db"}
        with running(gateway__durable_timeout_seconds=1, **settings) as pipeline:
            sender = Sender(pipeline)
            sender.result(1, 3)
            ballast = disk / "ballast"
            fill(ballast)
            end = time.monotonic() + 20
            lines = pipeline.processes["ingester"].lines
            while not any("nothing is taken" in line for line in lines):
                assert time.monotonic() < end, lines
                time.sleep(0.05)
            for _ in range(2):
                error = sender.error(4, 500)
                assert error["code"] == BUSY
                assert "disk is full" in error["data"]["problem"]
            assert sender.result(1, 3)["duplicate"]
            ballast.unlink()

            assert sender.insist(4, 500)["durable"] == 503
            assert sorted(sender.stored()) == list(range(1, 504))


def fill(ballast):
    """To the last page."""
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
