"""The control socket: what it is asked, and what comes of it in the store."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.batch.pack import pack
from pipeline.control import Client, ControlError, endpoint_of
from pipeline.query.answer import Engine, Limits
from pipeline.store.reader import Reader
from tests.ingester.process import Process, Sender


@pytest.fixture
def ingester(tmp_path: Path) -> Iterator[Process]:
    """One that purges soon."""
    made = Process(tmp_path)
    made.environment["PIPELINE_COMPACTION__KEEP_REPLACED_SECONDS"] = "0.2"
    made.environment["PIPELINE_INGEST__COMMIT_INTERVAL_MS"] = "1"
    made.start()
    yield made
    made.stop()


@pytest.fixture
def client(ingester: Process) -> Client:
    """Of its control socket."""
    return Client(endpoint_of("", str(ingester.database)))


def eventually(condition: Callable[[], Any]) -> Any:
    """The first true value of it."""
    end = time.monotonic() + 20
    while not (found := condition()):
        assert time.monotonic() < end, "not within 20 s"
        time.sleep(0.02)
    return found


def store(ingester: Process, client: Client, count: int) -> None:
    """So many entries, in several commits."""
    sender = Sender(ingester)
    for number in range(count):
        row = {"message": f"entry {number}", "source": "web", "metadata": {"n": number}}
        sender.send(pack(row))
        eventually(lambda n=number: client.status()["counters"].get("entries", 0) > n)
    sender.close()
    eventually(lambda: len(ingester.entries("web")) == count)


def test_only_the_owner_may_ask(ingester: Process, client: Client) -> None:
    """The socket's file says so."""
    path = endpoint_of("", str(ingester.database)).removeprefix("ipc://")

    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert client.status()["pid"] == ingester.pid


def test_the_worker_is_as_nice_as_it_is_set(tmp_path: Path) -> None:
    """The system says so."""
    ingester = Process(tmp_path)
    ingester.environment["PIPELINE_COMPACTION__NICE"] = "7"
    ingester.start()
    client = Client(endpoint_of("", str(ingester.database)))
    worker = eventually(lambda: client.status()["compaction"]["worker_pid"])

    assert eventually(lambda: os.getpriority(os.PRIO_PROCESS, worker) == 7)
    ingester.stop()


def test_compact_leaves_one_block_and_the_replaced_ones_go(
    ingester: Process, client: Client
) -> None:
    """Entries stay as they were."""
    store(ingester, client, 6)
    before = ingester.entries("web")

    client.compact()

    reader = Reader(ingester.database)
    reader.refresh()
    assert [header.rows for header in reader.headers] == [6]
    reader.close()
    assert ingester.entries("web") == before
    eventually(lambda: client.status()["compaction"].get("blocks_purged", 0) >= 2)


def test_delete_deletes_what_matches_and_leaves_an_audit_entry(
    ingester: Process, client: Client
) -> None:
    """Which says who, what, and how many, and is on disk before the reply."""
    store(ingester, client, 6)

    found = client.delete({"q": "metadata.n:<4"}, time.time_ns(), "ann")

    (audit,) = ingester.entries("audit")
    assert found["deleted"] == 4
    assert [e.message for e in ingester.entries("web")] == ["entry 4", "entry 5"]
    assert audit.message == "ann deleted 4 entries"
    assert audit.metadata["filter"] == {"q": "metadata.n:<4"}


def test_what_is_deleted_whole_leaves_nothing(
    ingester: Process, client: Client
) -> None:
    """But its audit entry."""
    store(ingester, client, 3)
    client.compact()

    assert client.delete({"sources": ["web"]}, 0, "ann")["deleted"] == 3
    assert ingester.entries("web") == []
    assert client.delete({"sources": ["web"]}, 0, "ann")["deleted"] == 0


@pytest.mark.parametrize(
    ("method", "params", "field"),
    [
        ("delete", {"params": {}, "now": 0, "by": "ann"}, "q"),
        ("delete", {"params": {"query": "x"}, "now": 0, "by": "ann"}, "query"),
        ("delete", {"params": {"q": "("}, "now": 0, "by": "ann"}, "q"),
        ("delete", {"params": {"q": "x"}, "now": 0}, "by"),
        ("delete", {"params": {"q": "x"}, "now": "1h", "by": "ann"}, "now"),
        ("compact", {"level": 99}, "level"),
        ("vacuum", {}, "method"),
        ("status", {"version": 2}, "version"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(
    client: Client, method: str, params: dict[str, Any], field: str
) -> None:
    """And nothing is done."""
    with pytest.raises(ControlError) as found:
        client.ask(method, params, 10)

    assert found.value.field == field


def test_a_worker_that_dies_is_replaced(ingester: Process, client: Client) -> None:
    """And what is asked for meanwhile is done by the next."""
    pid = eventually(lambda: client.status()["compaction"]["worker_pid"])
    os.kill(pid, signal.SIGKILL)

    client.compact()
    state = client.status()["compaction"]
    assert state["restarts"] == 1
    assert state["worker_pid"] != pid


def test_a_worker_tells_of_damage_in_the_store(
    ingester: Process, client: Client
) -> None:
    """Its ingester stores what it says, as what it says itself."""
    store(ingester, client, 1)
    with closing(sqlite3.connect(ingester.database)) as connection, connection:
        connection.execute("UPDATE blocks SET data_crc = data_crc + 1")
    client.compact()
    engine = Engine(ingester.database, Limits(), time.monotonic)

    def told() -> Any:
        asked = {"sources": ["pipeline"]}
        reply = engine.answer("query", asked, time.time_ns(), engine.budget())
        return json.loads(reply)["logs"]

    (entry,) = eventually(told)
    assert entry["message"] == "can't be read, and are left as they are: blocks 1"
    assert entry["metadata"]["process"] == "compaction"
    assert entry["metadata"]["pid"] == client.status()["compaction"]["worker_pid"]


def test_nobody_there_is_told(tmp_path: Path) -> None:
    """Without an ingester."""
    with pytest.raises(ControlError, match="does the ingester run") as found:
        Client(f"ipc://{tmp_path}/none").status(0.1)

    assert found.value.is_absent


def test_an_ingester_that_dies_is_noticed(tmp_path: Path) -> None:
    """The client doesn't wait an hour for a reply that can't come any more."""
    ingester = Process(tmp_path)
    ingester.start()
    client = Client(endpoint_of("", str(ingester.database)))
    worker = eventually(lambda: client.status()["compaction"]["worker_pid"])
    os.kill(worker, signal.SIGSTOP)  # so that the delete is never done
    store(ingester, client, 1)
    killer = threading.Timer(1, os.kill, [ingester.pid, signal.SIGKILL])
    killer.start()

    with pytest.raises(ControlError, match="went away before it answered") as caught:
        client.delete({"q": "entry"}, time.time_ns(), "test", seconds=300)
    assert not caught.value.is_absent
    killer.join()
    os.kill(worker, signal.SIGKILL)
    ingester.end(signal.SIGKILL)


def test_nobody_is_not_waited_for(tmp_path: Path, monkeypatch: Any) -> None:
    """However long the work itself could take."""
    monkeypatch.setattr("pipeline.control.STATUS_SECONDS", 0.2)
    client = Client(f"ipc://{tmp_path}/none.control")

    with pytest.raises(ControlError, match=r"within 0\.2 s") as caught:
        client.compact(seconds=300)
    assert caught.value.is_absent


def test_pins_are_held_renewed_and_given_back(client: Client) -> None:
    """For who copies blocks one by one."""
    newest = client.pin("backup", 30)
    assert client.pin("backup", 30, newest) == newest
    assert client.status()["compaction"]["pins"] == 1
    client.unpin("backup")
    assert client.status()["compaction"]["pins"] == 0
    for name, value in {"name": "", "seconds": 0, "newest": "x"}.items():
        request = {"name": "a", "seconds": 1, "newest": 0} | {name: value}
        with pytest.raises(ControlError) as raised:
            client.ask("pin", request, 5)
        assert raised.value.field == name
