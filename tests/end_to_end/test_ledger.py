"""The ledger of a running pipeline: each entry that was produced is in one column."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import msgpack
import pytest
import zmq

from pipeline import Collector
from tests.end_to_end.running import running

INVALID_PARAMS = -32602


@pytest.fixture(scope="module")
def own():
    """A pipeline whose ledger nobody else writes."""
    with running() as pipeline:
        yield pipeline


def account(pipeline, producer):
    """One producer's."""
    found = pipeline.result("get_ledger", producer=producer)["producers"]
    return found[0] if found else None


def test_each_entry_of_a_sender_is_in_one_column(own):
    """Stored, rejected, lost, dropped; duplicates beside them."""
    producer = os.urandom(16).hex()

    def send(sequence, logs, **more):
        params = {"producer": producer, "sequence": sequence, **more}
        return own.result("log_batch", logs=logs, **params)

    good = {"source": "ledger", "message": "m"}
    send(1, [good] * 5)
    send(1, [good] * 5)
    send(6, [good, {}, good, {"source": "x"}])
    send(20, [good] * 2, base=20, dropped_total=7)
    found = account(own, producer)

    assert (
        found.items()
        >= {
            "kind": "session",
            "source": "ledger",
            "produced": 28,
            "stored": 9,
            "rejected": 2,
            "lost": 10,
            "dropped": 7,
            "duplicates": 5,
            "durable": 21,
            "reasons": {"by the sender": 2},
            "finished": False,
            "balanced": True,
        }.items()
    )
    assert found["first_seen"] < found["last_seen"]
    assert own.result("query", sources=["ledger"])["count"] == found["stored"]


def test_a_collector_s_session_is_known_by_its_source(own):
    """And finished when it was closed."""
    log = Collector(own.ingest, "billing", acknowledge_endpoint=own.publish)
    for number in range(500):
        log.log("INFO", f"m{number}")
    assert log.close()

    accounts = own.result("get_ledger", kind="session")["producers"]
    (found,) = [each for each in accounts if each["source"] == "billing"]
    assert (found["produced"], found["stored"], found["balanced"]) == (500, 500, True)


def test_plain_messages_stand_apart(own):
    """They have no numbers before they have arrived."""
    before = own.result("get_ledger", kind="plain")["totals"]["plain"]
    push = zmq.Context.instance().socket(zmq.PUSH)
    push.connect(own.ingest)
    push.send(msgpack.packb([{"source": "p", "message": "m"}, {"source": "p"}, 7]))
    push.close()
    end = time.monotonic() + 20
    while own.result("query", sources=["p"])["count"] < 1:
        assert time.monotonic() < end

    ledger = own.result("get_ledger", kind="plain")
    totals = ledger["totals"]["plain"]
    assert totals["stored"] - before["stored"] == 1
    assert totals["rejected"] - before["rejected"] == 2
    assert totals["produced"] == totals["stored"] + totals["rejected"]
    assert ledger["balanced"]
    assert ledger["totals"]["session"]["producers"] == 0


def test_pages_go_on_by_their_cursor(own):
    """Each producer once."""
    for _ in range(5):
        own.result(
            "log_batch",
            logs=[{"source": "page", "message": "m"}],
            producer=os.urandom(16).hex(),
            sequence=1,
        )
    # what others hold back is sent by now, so that nothing moves to the front
    found, cursor = [], None
    while True:
        page = own.result("get_ledger", limit=2, cursor=cursor)
        found += [each["producer"] for each in page["producers"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert len(found) == len(set(found))
    total = sum(each["producers"] for each in page["totals"].values())
    assert len(found) == total


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"producer": "abc"}, "producer"),
        ({"kind": "other"}, "kind"),
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"cursor": "zzz"}, "cursor"),
    ],
)
def test_a_wrong_param_is_named(own, params, field):
    """With what is right."""
    error = own.error("get_ledger", **params)

    assert (error["code"], error["data"]["field"]) == (INVALID_PARAMS, field)
    assert error["data"]["expected"]


def test_health_has_the_totals(own):
    """Of everything that is not a file; remembered for a second."""
    totals = own.result("get_ledger")["totals"]
    kinds = [totals["session"], totals["plain"]]
    end = time.monotonic() + 20
    while True:
        found = own.result("health")["store"]["ledger"]
        if found["producers"] == sum(each["producers"] for each in kinds):
            break
        assert time.monotonic() < end, found

    for name in ("stored", "rejected", "lost", "dropped"):
        assert found[name] == sum(each[name] for each in kinds)
    assert found["unbalanced"] == 0


@pytest.mark.parametrize("is_running", [True, False])
def test_the_command_line_reads_it_too(is_running):
    """While the pipeline runs, and when it does not."""
    producer = os.urandom(16).hex()
    with running() as pipeline:
        logs = [{"source": "shell", "message": "m"}, {}]
        pipeline.result("log_batch", logs=logs, producer=producer, sequence=1)
        expected = account(pipeline, producer)
        if not is_running:
            pipeline.stop("gateway")
            pipeline.stop("ingester")
        command = [sys.executable, "-m", "pipeline", "ledger"]
        options = ["--producer", producer, "--json"]
        ended = [
            subprocess.run(
                [*command, *given],
                env=pipeline.environ,
                capture_output=True,
                text=True,
                check=True,
            )
            for given in (options, [])
        ]

    assert json.loads(ended[0].stdout)["producers"] == [expected]
    assert f"{producer}  session  shell" in ended[1].stdout
