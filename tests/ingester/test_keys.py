"""Keys on real sockets: who is let in, and what each may do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest
import zmq

from pipeline import Collector, keys, transport
from pipeline.control import Client, endpoint_of
from tests.running import RunningIngester
from tests.wire.messages import batch, entry


class Guarded:
    """An ingester that wants keys, and the shell beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ingester = RunningIngester(folder)
        self.ingester.environment["PIPELINE_CURVE__ENABLED"] = "true"
        self.ingester.start()
        self.endpoints = (self.ingester.ingest, self.ingester.publish)

    def keys(self, *words: str) -> str:
        """What `pipeline keys` prints."""
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", "keys", *words],
            env=self.ingester.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def key(self, name: str, *words: str) -> Path:
        """A new one's file."""
        return self.folder / self.keys("create", "--name", name, *words).strip()

    def sent(self, key: Path | None, *sources: str, seconds: float = 10) -> bool:
        """Whether an entry of each source is acknowledged to one with this key."""
        transport._identities.clear()
        sender = Collector(
            self.endpoints[0],
            acknowledge_endpoint=self.endpoints[1],
            key_file=key or "",
            spool="off",
        )
        for source in sources:
            sender.log("INFO", "hello", source=source)
        try:
            return sender.flush(seconds)
        finally:
            sender.close(0)

    def stored(self) -> set[str]:
        """Sources of what is stored."""
        found = {entry.source for entry in self.ingester.entries()}
        return found - {"pipeline"}

    def counters_of(self, name: str) -> int:
        """One of the ingester's."""
        client = Client(endpoint_of("", str(self.ingester.database)))
        return int(client.status()["counters"][name])

    def counters(self) -> dict[str, int]:
        """Of the door."""
        client = Client(endpoint_of("", str(self.ingester.database)))
        return dict(client.status()["keys"])

    def socket(self, kind: int, key: keys.Key | None, endpoint: str) -> zmq.Socket:
        """One of another language's."""
        socket = zmq.Context.instance().socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        if key is not None:
            socket.curve_serverkey = key.server.encode()
            socket.curve_publickey = key.public.encode()
            socket.curve_secretkey = key.secret.encode()
        socket.connect(endpoint)
        return socket


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """One for all; each test has keys of its own."""
    guarded = Guarded(tmp_path_factory.mktemp("g"))
    yield guarded
    guarded.ingester.stop()
    transport._identities.clear()


def until(condition) -> None:
    """Wait for it."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_key_that_was_created_sends(guarded: Guarded):
    """Its file is for its owner alone, and has all that a sender needs."""
    path = guarded.key("one")

    assert path.stat().st_mode & 0o777 == 0o600
    assert guarded.sent(path, "a-one")
    assert "a-one" in guarded.stored()


def test_without_a_key_nothing_comes_in(guarded: Guarded):
    """Nor with one that nobody allowed, nor with another server's."""
    public, secret = transport.new_key_pair()
    server = guarded.keys("server").strip()
    strange, wrong = guarded.folder / "strange", guarded.folder / "wrong"
    keys.write_key(strange, keys.Key("x", public, secret, server))
    keys.write_key(wrong, keys.Key("x", public, secret, public))

    for path in (None, strange, wrong):
        assert not guarded.sent(path, "nobody", seconds=0.7)
    assert "nobody" not in guarded.stored()
    assert guarded.counters()["handshakes_refused"] > 0


def test_a_key_logs_under_its_sources_alone(guarded: Guarded):
    """What is refused costs nothing else, and its sender hears of it."""
    path = guarded.key("some", "--source", "web-*", "--source", "api")

    assert guarded.sent(path, "web-0")
    assert not guarded.sent(path, "web-1", "billing", "api")
    assert {"web-1", "api"} <= guarded.stored()
    assert "billing" not in guarded.stored()


def test_a_key_does_not_speak_for_the_pipeline(guarded: Guarded):
    """What it says of itself and its alerts can't be forged; one key may be told to."""
    every, named = guarded.key("every"), guarded.key("named", "--source", "pipeline")
    before = len(guarded.ingester.entries("pipeline"))

    assert not guarded.sent(every, "pipeline", "alerts", "audit")
    assert len(guarded.ingester.entries("pipeline")) == before
    assert "alerts" not in guarded.stored()
    audit = guarded.ingester.entries("audit")
    assert {entry.metadata["by"] for entry in audit} == {"owner"}
    assert guarded.sent(named, "pipeline")
    assert guarded.sent(keys.key_path("", str(guarded.ingester.database)), "pipeline")
    assert len(guarded.ingester.entries("pipeline")) == before + 2


def test_plain_messages_need_a_key_too(guarded: Guarded):
    """Any language that has ZeroMQ shows one in three lines."""
    key = keys.read_key(guarded.key("plain", "--source", "cron"))
    socket = guarded.socket(zmq.PUSH, key, guarded.endpoints[0])
    for source in ("cron", "other"):
        socket.send(msgpack.packb({"source": source, "message": "m"}))
    until(lambda: "cron" in guarded.stored())
    socket.close()

    assert "other" not in guarded.stored()


def test_a_key_that_writes_reads_nothing(guarded: Guarded):
    """A key that reads follows commits."""
    readers = {}
    for role in ("write", "read"):
        key = keys.read_key(guarded.key(f"as-{role}", "--role", role))
        readers[role] = guarded.socket(zmq.SUB, key, guarded.endpoints[1])
        readers[role].subscribe(b"batch")
        readers[role].setsockopt(zmq.RCVTIMEO, 300)
    sender = guarded.key("for-readers")

    def is_told() -> bool:
        assert guarded.sent(sender, "told")
        return bool(readers["read"].poll(300))

    until(is_told)
    assert not readers["write"].poll(300)
    for socket in readers.values():
        socket.close()


def test_a_key_that_is_revoked_is_not_heard_any_more(guarded: Guarded):
    """Also on the connection that it has."""
    key = keys.read_key(guarded.key("gone"))
    socket = guarded.socket(zmq.PUSH, key, guarded.endpoints[0])
    socket.send(msgpack.packb({"source": "before", "message": "m"}))
    until(lambda: "before" in guarded.stored())
    guarded.keys("revoke", "gone")
    before = guarded.counters().get("messages_of_revoked_keys", 0)

    def is_dropped() -> bool:
        socket.send(msgpack.packb({"source": "after", "message": "m"}))
        return guarded.counters().get("messages_of_revoked_keys", 0) > before

    time.sleep(1.2)  # the file is looked at once a second
    until(is_dropped)
    socket.close()
    assert "after" not in guarded.stored()


def test_a_producer_is_not_anothers(guarded: Guarded):
    """Its numbers can't be used up by a key that may not log under its source."""
    mine, other = (
        keys.read_key(guarded.key(name, "--source", name)) for name in ("mine", "evil")
    )

    def push(key: keys.Key, source: str, first: int, message: str) -> None:
        socket = guarded.socket(zmq.PUSH, key, guarded.endpoints[0])
        socket.send_multipart(batch([entry(message, source=source)], first, base=first))
        until(lambda: guarded.counters_of("messages") > before)
        socket.close()

    before = guarded.counters_of("messages")
    push(mine, "mine", 1, "one")
    until(lambda: "mine" in guarded.stored())
    before = guarded.counters_of("messages")
    push(other, "evil", 2, "stolen")
    before = guarded.counters_of("messages")
    push(mine, "mine", 2, "two")
    guarded.ingester.wait_for("two")

    assert "evil" not in guarded.stored()


def test_keys_that_come_and_go_are_in_the_audit(guarded: Guarded):
    """With what they might do."""
    guarded.key("noted", "--source", "web-*")
    guarded.ingester.wait_for("key 'noted' was allowed")
    guarded.keys("revoke", "noted")

    found = guarded.ingester.wait_for("key 'noted' was revoked")

    assert found.source == "audit"
    assert found.metadata["sources"] == ["web-*"]


def test_a_key_has_one_name(guarded: Guarded):
    """Else it would be allowed when that is revoked."""
    public = transport.new_key_pair()[0]
    guarded.keys("allow", public, "--name", "first")

    with pytest.raises(subprocess.CalledProcessError) as refused:
        guarded.keys("allow", public, "--name", "second")
    assert "that of 'first'" in refused.value.stderr


def test_a_list_that_others_could_read_holds_when_they_can_not(guarded: Guarded):
    """chmod is enough, as the error says."""
    listed = Path(f"{guarded.ingester.database}.keys")
    listed.chmod(0o644)
    time.sleep(1.2)  # the file is looked at once a second
    path = guarded.folder / "late.key"
    public, secret = transport.new_key_pair()
    content = json.loads(listed.read_text())
    content["keys"].append({"name": "late", "key": public, "role": "write"})
    listed.write_text(json.dumps(content))
    time.sleep(1.2)
    listed.chmod(0o600)
    server = guarded.keys("server").strip()
    keys.write_key(path, keys.Key("late", public, secret, server))

    assert guarded.sent(path, "late")


def test_a_wrong_list_changes_nothing(guarded: Guarded):
    """It is told of, and the keys stay."""
    path = guarded.key("stays")
    assert guarded.sent(path, "before-it")
    listed = Path(f"{guarded.ingester.database}.keys")
    right = listed.read_bytes()
    listed.write_text(json.dumps({"version": 1, "keys": [{"key": "no"}]}))
    time.sleep(1.2)  # the file is looked at once a second

    assert guarded.sent(path, "still")
    listed.write_bytes(right)


def test_processes_of_the_same_machine_show_the_ingesters_key(guarded: Guarded):
    """`pipeline send` needs nothing else than the settings."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "send", "--source", "own"],
        env=guarded.ingester.environment | {"XDG_STATE_HOME": str(guarded.folder)},
        input=b"a line\n",
        capture_output=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "own" in guarded.stored()


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path):
    """The error has the line that makes it right."""
    public, secret = transport.new_key_pair()
    keys.write_key(tmp_path / "k", keys.Key("x", public, secret, public))
    os.chmod(tmp_path / "k", 0o644)

    with pytest.raises(Exception, match="chmod 600"):
        Collector("tcp://127.0.0.1:1", key_file=tmp_path / "k", spool="off")
