"""The worker process, through its pipes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.entry import Entry
from pipeline.query.codes import (
    CANCELLED,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    TIME_LIMIT,
)
from tests.query.stores import append

IDLE_MIB = 64
BUSY_MIB = 150
MESSAGE = "GET /api/users/{} took {} ms, connection pool exhausted again and again"


class Worker:
    """A worker process and its side of the pipes."""

    def __init__(self, path: Path, **environ: str) -> None:
        environ["PIPELINE_STORAGE__DB_PATH"] = str(path)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "query-worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **environ},
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._calls = self.process.stdin
        self._replies = self.process.stdout

    def send(self, **call: Any) -> None:
        body = msgspec.msgpack.encode(call)
        self._calls.write(len(body).to_bytes(4, "little") + body)
        self._calls.flush()

    def receive(self) -> Any:
        size = int.from_bytes(self._replies.read(4), "little")
        return msgspec.msgpack.decode(self._replies.read(size))

    def ask(self, method: str, **params: Any) -> Any:
        self.send(id=1, method=method, params=params, now=0, timeout=30.0)
        return json.loads(self.receive()["result"])

    def fail(self, method: str, timeout: float = 30.0, **params: Any) -> Any:
        self.send(id=1, method=method, params=params, now=0, timeout=timeout)
        return self.receive()["error"]

    def memory(self, field: str = "VmRSS") -> float:
        """MiB resident, now or (VmHWM) at most."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = (row for row in text.splitlines() if row.startswith(field))
        return int(line.split()[1]) / 1024

    def end(self) -> int:
        self._calls.close()
        code = self.process.wait(30)
        self._replies.close()
        return code


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs.db"


@pytest.fixture
def worker(path: Path) -> Iterator[Worker]:
    made = Worker(path)
    yield made
    made.end()


def until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether it becomes true in time."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def entry(number: int) -> Entry:
    """An entry of about 250 bytes."""
    message = MESSAGE.format(number, number * 7 % 1000)
    metadata = {"path": f"/api/{number % 99}", "user_id": number, "ok": number % 2 == 0}
    return Entry(number, "api", 9, message, metadata, ["x"], f"{number:032x}")


def fill(path: Path, count: int, blocks: int = 1) -> None:
    rows = [entry(number) for number in range(count)]
    append(path, [[(0, rows)]] * blocks)


def test_no_database_yet(path: Path, worker: Worker) -> None:
    """Before there is a database nothing matches; afterwards its entries do."""
    empty = worker.ask("query")
    stats = worker.ask("get_stats")
    fill(path, 3)

    assert (empty["count"], empty["logs"], empty["next_cursor"]) == (0, [], None)
    assert (stats["total_logs"], stats["error_rate"], stats["buckets"]) == (0, 0, [])
    assert worker.ask("query")["count"] == 3


def test_replies_in_order(path: Path, worker: Worker) -> None:
    """Calls that wait are answered one after another, under their ids."""
    fill(path, 3)
    for number in range(5):
        worker.send(id=number, method="query", params={}, now=0)

    assert list(range(5)) == [worker.receive()["id"] for _ in range(5)]


@pytest.mark.parametrize(
    ("params", "field", "problem"),
    [
        ({"limit": 0}, "limit", "Expected `int` >= 1"),
        ({"limit": "5"}, "limit", "Expected `int`, got `str`"),
        ({"source": "x"}, "params", "unknown field `source`"),
        ({"q": '"'}, "q", "this quote is never closed"),
        ({"levels": ["loud"]}, "levels", "'loud' is no level"),
        ({"since": "soon"}, "since", "no time"),
        ({"cursor": "x"}, "cursor", "not a cursor"),
        ({"fields": ["text"]}, "fields", "unknown field 'text'"),
    ],
)
def test_wrong_parameters(
    worker: Worker, params: dict[str, Any], field: str, problem: str
) -> None:
    """A wrong parameter is named, with what is wrong about it."""
    error = worker.fail("query", **params)

    assert error["code"] == INVALID_PARAMS
    assert field == error["data"]["field"]
    assert problem in error["data"]["problem"]


def test_position(worker: Worker) -> None:
    """An error in the search text has its position, shown too, and what to do."""
    data = worker.fail("search", query="a && b")["data"]

    assert (data["field"], data["position"]) == ("query", 2)
    assert data["caret"] == "a && b\n  ^"
    assert "quotes" in data["hint"]


def test_unknown_method(worker: Worker) -> None:
    """A method that isn't there has JSON-RPC's code."""
    assert worker.fail("drop")["code"] == METHOD_NOT_FOUND


def test_time_limit(path: Path, worker: Worker) -> None:
    """A question that takes too long ends, and says how far it came."""
    fill(path, 1000, blocks=20)
    error = worker.fail("query", timeout=0.000_1, q="exhausted")

    assert error["code"] == TIME_LIMIT
    assert error["data"]["rows_scanned"] < 20_000
    assert worker.ask("query", q="exhausted")["count"] == 20_000


def test_row_limit(path: Path) -> None:
    """A question that looks at too many entries ends."""
    fill(path, 10, blocks=3)
    worker = Worker(path, PIPELINE_QUERY__MAX_ROWS_SCANNED="25")

    error = worker.fail("query", q="exhausted")

    assert (error["code"], error["data"]["rows_scanned"]) == (TIME_LIMIT, 20)
    assert worker.end() == 0


def test_cancel(path: Path, worker: Worker) -> None:
    """A cancelled call ends soon, whether it waits or runs; others are answered."""
    fill(path, 20_000, blocks=30)
    worker.send(id=1, method="query", params={"q": "exhausted"}, now=0)
    worker.send(id=2, method="query", params={"q": "exhausted"}, now=0)
    worker.send(id=3, method="query", params={"limit": 1}, now=0)
    worker.send(cancel=2)
    worker.send(cancel=1)
    started = time.monotonic()
    replies = [worker.receive() for _ in range(3)]

    assert [reply["id"] for reply in replies] == [1, 2, 3]
    assert [reply["error"]["code"] for reply in replies[:2]] == [CANCELLED] * 2
    assert json.loads(replies[2]["result"])["count"] == 600_000
    assert time.monotonic() - started < 5


def test_bad_frame(worker: Worker) -> None:
    """What isn't a call ends the process, because nothing after it can be trusted."""
    worker.send(id="x")

    assert worker.process.wait(30) == 1


def test_memory(path: Path, worker: Worker) -> None:
    """An idle worker is small, before and after it was busy."""
    fill(path, 60_000, blocks=4)
    worker.ask("query", limit=1)

    assert until(lambda: worker.memory() < IDLE_MIB)

    worker.ask("query", q="exhausted -nothing metadata.ok:true", limit=10_000)
    worker.ask("search", query="exhausted", context=100)
    worker.ask("get_stats", q="again")
    worker.ask("query", limit=1)

    assert worker.memory("VmHWM") < BUSY_MIB
    assert until(lambda: worker.memory() < IDLE_MIB)
