"""`log_batch` with numbers: whatever happens between two tries, each entry is once."""

from __future__ import annotations

import base64
import gzip
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.end_to_end.running import running
from tests.end_to_end.sender import INVALID_PARAMS, OUT_OF_ORDER, Sender


@pytest.fixture
def sender(pipeline, source):
    """A sender to the pipeline that all share."""
    return Sender(pipeline, source)


def test_the_same_call_again_stores_nothing_twice(sender):
    """It is answered as the first was, and says that it had come before."""
    first = sender.result(1, 10)
    assert first == {"accepted": 10, "rejected": [], "durable": 10, "duplicate": False}

    assert sender.result(1, 10) == {**first, "duplicate": True}
    assert sender.result(3, 5) == {**first, "accepted": 5, "duplicate": True}
    assert sorted(sender.stored()) == list(range(1, 11))


def test_rejected_entries_keep_their_numbers(sender):
    """The next call begins behind them, even if none was right."""
    params = sender.params(1, 3)
    del params["logs"][1]["message"]
    found = sender.pipeline.result("log_batch", **params)
    assert (found["accepted"], found["durable"]) == (2, 3)
    assert [bad["index"] for bad in found["rejected"]] == [1]

    none = {**sender.params(4, 2), "logs": [{}, {"source": "s"}]}
    assert sender.pipeline.result("log_batch", **none)["durable"] == 5
    assert sender.result(6, 1)["durable"] == 6
    assert sorted(sender.stored()) == [1, 3, 6]


@pytest.mark.parametrize(("sequence", "count"), [(6, 1), (2, 4), (9, 3)])
def test_out_of_order_stores_nothing(sender, sequence, count):
    """Neither behind a gap nor in part; the error says where to go on."""
    sender.result(1, 4)
    error = sender.error(sequence, count)

    assert (error["code"], error["message"]) == (OUT_OF_ORDER, "out of order")
    assert error["data"]["expected"] == 5
    assert sorted(sender.stored()) == [1, 2, 3, 4]
    assert sender.result(error["data"]["expected"], 2)["durable"] == 6


def test_what_a_sender_gives_up_is_passed_over(sender):
    """With a base above it; the call after begins behind."""
    sender.result(1, 2)
    assert sender.error(6, 2, base=5)["code"] == OUT_OF_ORDER
    assert sender.result(6, 2, base=6)["durable"] == 7
    assert sender.result(8, 1, base=6)["durable"] == 8

    assert sorted(sender.stored()) == [1, 2, 6, 7, 8]


def test_no_entries_ask_where_the_sender_was(sender):
    """For one that lost its own count."""
    asks = {"producer": sender.producer, "sequence": 1, "logs": []}
    assert sender.pipeline.result("log_batch", **asks)["durable"] == 0
    sender.result(1, 7)

    found = sender.pipeline.result("log_batch", **asks)
    assert found == {"accepted": 0, "rejected": [], "durable": 7, "duplicate": False}


def test_compressed_entries_have_numbers_too(sender):
    """Also with the producer in capitals."""
    text = base64.b64encode(gzip.compress(json.dumps(sender.logs(1, 3000)).encode()))
    params = {**sender.params(1, 0), "logs": text.decode(), "compress": True}
    params["producer"] = params["producer"].upper()

    assert sender.pipeline.result("log_batch", **params)["accepted"] == 3000
    assert sender.result(3001, 1)["durable"] == 3001


def test_calls_of_one_batch_are_in_order(sender):
    """A large one first: they are handed over one behind the other."""
    counts = [4000, 1, 2000, 1, 1, 1]
    calls, number = [], 1
    for identity, count in enumerate(counts):
        params = sender.params(number, count)
        calls.append(
            {"jsonrpc": "2.0", "method": "log_batch", "params": params, "id": identity}
        )
        number += count
    replies = sender.pipeline.post(calls)

    assert [reply["result"]["accepted"] for reply in replies] == counts
    assert len(sender.stored()) == sum(counts)


def test_two_clients_with_one_id_at_once(sender):
    """Each number is stored once, whoever comes first."""
    with ThreadPoolExecutor(2) as pool:
        for number in range(1, 60, 3):
            calls = [pool.submit(sender.insist, number, 3) for _ in range(2)]
            found = [call.result() for call in calls]
            assert [each["accepted"] for each in found] == [3, 3]
            assert {each["duplicate"] for each in found} == {True, False}

    assert sorted(sender.stored()) == list(range(1, 61))


@pytest.mark.parametrize("is_numbered", [True, False])
def test_ids_come_in_the_order_of_the_entries(sender, is_numbered):
    """Those that `query` has; null for what was rejected."""
    params = sender.params(1, 3)
    del params["logs"][1]["message"]
    if not is_numbered:
        del params["producer"], params["sequence"]
    found = sender.pipeline.result("log_batch", ids=True, **params)

    messages = {
        e["id"]: e["message"] for e in sender.pipeline.logs(sources=[sender.source])
    }
    assert found["ids"][1] is None
    assert [messages[found["ids"][place]] for place in (0, 2)] == ["1", "3"]


def test_a_call_again_has_the_same_ids(sender):
    """Where the entries say when they were."""
    params = sender.params(1, 3, ids=True)
    for entry in params["logs"]:
        entry["timestamp"] = "2026-01-01T00:00:00.123456789Z"
    first = sender.pipeline.result("log_batch", **params)
    again = sender.pipeline.result("log_batch", **params)

    assert again["duplicate"]
    assert again["ids"] == first["ids"]
    assert len(set(first["ids"])) == 3


def test_ids_are_true_or_false(sender):
    """Anything else is named."""
    error = sender.pipeline.error("log_batch", logs=[], ids="all")

    assert (error["code"], error["data"]["field"]) == (INVALID_PARAMS, "ids")


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"producer": "abc", "sequence": 1}, "producer"),
        ({"producer": "0" * 32}, "sequence"),
        ({"sequence": 1}, "producer"),
        ({"producer": "0" * 32, "sequence": 0}, "sequence"),
        ({"producer": "0" * 32, "sequence": 1 << 62}, "sequence"),
        ({"producer": "0" * 32, "sequence": (1 << 62) - 1}, "sequence"),
        ({"producer": "0" * 32, "sequence": 1, "base": 2}, "base"),
        ({"producer": "0" * 32, "sequence": 1, "base": 0}, "base"),
        ({"producer": "0" * 32, "sequence": 1, "dropped_total": -1}, "dropped_total"),
        ({"base": 2}, "base"),
        ({"dropped_total": 2}, "dropped_total"),
    ],
)
def test_a_wrong_number_is_named(sender, params, field):
    """And nothing is stored."""
    error = sender.pipeline.error("log_batch", logs=sender.logs(1, 2), **params)

    assert (error["code"], error["data"]["field"]) == (INVALID_PARAMS, field)
    assert error["data"]["expected"]
    assert sender.stored() == []


def test_too_many_entries_name_the_limit(sender):
    """Fewer in a call, and all is well."""
    error = sender.error(1, 65_537)

    assert error["code"] == INVALID_PARAMS
    assert error["data"]["problem"] == "65,537 entries"
    assert "65,536" in error["data"]["expected"]
    assert sender.result(1, 65_536)["durable"] == 65_536


def test_too_many_bytes_name_the_limit():
    """Of a frame, where the limit of bodies is higher."""
    with running(gateway__request_bytes=64 << 20) as pipeline:
        sender = Sender(pipeline)
        params = sender.params(1, 40)
        for entry in params["logs"]:
            entry["message"] = os.urandom(450_000).hex()
        error = pipeline.error("log_batch", **params)
        del params["logs"][30:]
        found = pipeline.result("log_batch", **params)

    assert (error["code"], error["data"]["field"]) == (INVALID_PARAMS, "logs")
    assert "at most 16,777,216 bytes" in error["data"]["expected"]
    assert found["accepted"] == 30
