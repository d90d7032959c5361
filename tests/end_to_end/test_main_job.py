"""The main job: entries go in and come out, through real processes."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import time

import msgpack
import pytest
import zmq

from pipeline.compression import compress


def test_the_first_example_works(pipeline, source):
    """As the README has it; the time until `query` has the entry is printed."""
    body = (
        '{"jsonrpc":"2.0","method":"log","params":'
        f'{{"source":"{source}","level":"INFO","message":"Hello"}},"id":1}}'
    )
    command = ["curl", "-s", "-X", "POST", f"{pipeline.url}/rpc"]
    command += ["-H", "Content-Type: application/json", "-d", body]
    started = time.perf_counter()
    reply = json.loads(subprocess.check_output(command))
    (entry,) = pipeline.logs(sources=[source])
    print(f"log and query: {(time.perf_counter() - started) * 1000:.0f} ms")

    assert reply["result"] == {"status": "received", "id": entry["id"]}
    assert entry == {
        "id": entry["id"],
        "timestamp": entry["timestamp"],
        "source": source,
        "level": "INFO",
        "message": "Hello",
        "metadata": {},
        "tags": [],
        "trace_id": None,
    }


def test_all_fields_come_back(pipeline, source):
    """As they went in; the time with nine decimals."""
    given = {
        "source": source,
        "level": "WARN",
        "message": "tab\tnul\0 \N{SNOWMAN}",
        "metadata": {"a": 1, "b": [1.5, None, {"c": "d"}], "e.f": True, "g": -(2**63)},
        "tags": ["x", "y z"],
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "timestamp": "2026-11-22T10:00:00.123456789Z",
    }
    identity = pipeline.result("log", **given)["id"]

    assert pipeline.logs(sources=[source]) == [{**given, "id": identity}]


def test_an_entry_is_there_as_soon_as_log_replies(pipeline, source):
    """Durable means queryable."""
    for number in range(20):
        pipeline.result("log", source=source, message=f"m{number}")

        assert pipeline.result("query", sources=[source])["count"] == number + 1


def test_log_may_reply_before_the_disk(pipeline, source):
    """Then there is no id yet."""
    given = {"source": source, "message": "m", "ack": "received"}

    assert pipeline.result("log", **given) == {"status": "received", "id": None}
    # what is logged later is durable later
    pipeline.result("log", source=source, message="n")
    assert len(pipeline.logs(sources=[source])) == 2


def test_a_notification_is_stored_and_has_no_reply(pipeline, source):
    """HTTP 204."""
    params = {"source": source, "message": "noted"}

    assert pipeline.post({"jsonrpc": "2.0", "method": "log", "params": params}) is None
    pipeline.result("log", source=source, message="n")
    assert len(pipeline.logs(sources=[source])) == 2


def test_a_batch_of_calls_keeps_its_order(pipeline, source):
    """Entries of one batch are stored in the order of its calls."""
    batch = [
        {
            "jsonrpc": "2.0",
            "method": "log",
            "params": {"source": source, "message": f"{number}", "timestamp": 1e9},
            "id": number,
        }
        for number in range(50)
    ]
    replies = pipeline.post(batch)

    assert [reply["id"] for reply in replies] == list(range(50))
    ids = [reply["result"]["id"] for reply in replies]
    assert ids == [entry["id"] for entry in pipeline.logs(sources=[source])]


BAD_ROWS = [
    ('{"source":"S","message":"\\ud800"}', "message: a lone surrogate"),
    ('{"source":"S"}', "message: missing"),
    ('{"source":"S","message":"m","metadata":{"v":NaN}}', "metadata.v: NaN"),
    ('{"source":"S","message":"m","metadata":{"v":1e999}}', "metadata.v: a number out"),
    ('{"source":"S","message":"m","metadata":{"v":36893488147419103232}}', "64 bits"),
    ('{"source":"S","message":"m","metadata":{"v":%s1%s}}', "metadata.v: nested"),
    ('{"source":"S","message":"m","sorce":1}', "sorce: unknown field"),
    ('{"source":"S","message":"m","tags":"t"}', "tags: of type str"),
    ('{"source":"S","message":"m","timestamp":"yesterday"}', "timestamp: "),
    ('{"source":"","message":"m"}', "source: empty"),
    ("5", "entry: not a map"),
    ('"text"', "entry: not a map"),
    ("null", "entry: not a map"),
    ('{"source":"S","message":"raw \n line break"}', "message: invalid character"),
    ('{"source":"S","message":"m","metadata":{"\\udfff":1}}', "metadata: a lone"),
]


@pytest.mark.parametrize("compressed", [False, True])
def test_a_bad_row_costs_only_itself(pipeline, source, compressed):
    """Its index and reason are in the reply; all others are stored, in their order."""
    deep = ("[" * 5_000, "]" * 5_000)
    bad = [row % deep if "%s" in row else row for row, _ in BAD_ROWS]
    good = [f'{{"source":"S","message":"{n}"}}' for n in range(len(bad))]
    rows = [row for pair in zip(good, bad, strict=True) for row in pair]
    logs = "[" + ",".join(rows).replace('"S"', f'"{source}"') + "]"
    if compressed:
        logs = json.dumps(base64.b64encode(gzip.compress(logs.encode())).decode())
    body = '{"jsonrpc":"2.0","method":"log_batch","params":{"logs":%s,"compress":%s},'
    text = body % (logs, str(compressed).lower()) + '"id":1}'
    result = pipeline.post(text.encode())["result"]

    assert result["accepted"] == len(good)
    for number, (_, reason) in enumerate(BAD_ROWS):
        rejected = result["rejected"][number]
        assert rejected["index"] == 2 * number + 1
        assert reason in rejected["error"]
    messages = [entry["message"] for entry in pipeline.logs(sources=[source])]
    assert messages == [str(number) for number in range(len(good))]


def test_invalid_utf_8_costs_only_its_row(pipeline, source):
    """A byte that no text has."""
    text = (
        b'{"jsonrpc":"2.0","method":"log_batch","id":1,"params":{"logs":['
        b'{"source":"%s","message":"\xff"},{"source":"%s","message":"fine"}]}}'
    )
    name = source.encode()
    result = pipeline.post(text % (name, name))["result"]

    assert result["accepted"] == 1
    assert "message: invalid UTF-8 at byte 0" in result["rejected"][0]["error"]


@pytest.mark.parametrize("pack", [gzip.compress, compress])
def test_logs_may_be_compressed(pipeline, source, pack):
    """gzip and zstd, told apart by their first bytes."""
    rows = [{"source": source, "message": f"m{n}"} for n in range(3_000)]
    logs = base64.b64encode(pack(json.dumps(rows).encode())).decode()

    result = pipeline.result("log_batch", logs=logs, compress=True)
    assert result == {"accepted": 3_000, "rejected": []}
    assert pipeline.result("query", sources=[source])["count"] == 3_000


@pytest.mark.parametrize("pack", [gzip.compress, compress])
def test_a_bomb_is_refused(pipeline, pack):
    """65 MiB out of a few KiB are not inflated to the end."""
    logs = base64.b64encode(pack(b" " * (65 << 20))).decode()

    error = pipeline.error("log_batch", logs=logs, compress=True)
    assert (error["code"], error["data"]["field"]) == (-32602, "logs")
    assert "67,108,864" in error["data"]["expected"]


@pytest.mark.parametrize(
    "logs",
    [
        "no base64!",
        "aGVsbG8=",
        base64.b64encode(gzip.compress(b"{}", mtime=0)).decode(),
    ],
)
def test_what_is_no_compressed_list_is_refused(pipeline, logs):
    """The error says what it starts with, or that it holds no list."""
    error = pipeline.error("log_batch", logs=logs, compress=True)

    assert error["data"]["field"] == "logs"


def test_plain_msgpack_from_any_language(pipeline, source):
    """Three lines with pyzmq and msgpack."""
    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        push.connect(pipeline.ingest)
        push.send(msgpack.packb({"source": source, "message": "one"}))
        push.send(msgpack.packb([{"source": source, "message": "two"}, {"bad": 1}]))
        push.send(b"\xc1 no msgpack")
        push.send_multipart([b"RLP1", b"no batch"])
        push.send(msgpack.packb({"source": source, "message": "three"}))
        wait_for(lambda: len(pipeline.logs(sources=[source])) == 3)

    messages = [entry["message"] for entry in pipeline.logs(sources=[source])]
    assert messages == ["one", "two", "three"]


def wait_for(condition, seconds=20):
    """Wait for what nothing tells us of."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
