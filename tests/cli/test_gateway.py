"""The same commands with `--url`: a gateway answers instead of the database."""

from __future__ import annotations

import json
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import ClassVar

import pytest

from pipeline.cli.remote import Remote
from pipeline.errors import PipelineError
from tests.cli.shell import Following, Shell, entry, evil, fill
from tests.end_to_end.running import Pipeline


@pytest.fixture(scope="module")
def pipeline():
    """Ingester and gateway over 30 entries that were there before."""
    made = Pipeline()
    try:
        fill(made.database, [*(entry(number) for number in range(29)), evil(29)])
        yield made.start("ingester", "gateway").wait_until_ready()
    finally:
        made.close()


@pytest.fixture
def local(pipeline):
    """Commands that read the database."""
    return Shell(pipeline.database)


@pytest.fixture
def remote(pipeline, tmp_path):
    """Commands that have no database."""
    return Shell(tmp_path / "none.db")


@pytest.mark.parametrize(
    "words",
    [
        ("query", "--limit", "7"),
        ("query", "level:error", "--json"),
        ("query", "--count", "request"),
        ("search", '"request 7"', "-C", "2"),
        ("stats",),
        ("trace", "trace-3"),
        ("export", "--format", "csv"),
        ("export", "request", "--limit", "5"),
    ],
    ids=" ".join,
)
def test_the_answer_is_the_same(pipeline, local, remote, words):
    """Byte for byte."""
    assert remote.here(*words, "--url", pipeline.url) == local.here(*words)


def test_entries_have_the_same_ids(pipeline, local, remote):
    """What one shows, the other finds."""
    [log] = local.maps("query", '"request 7"')
    for words in (("get", log["id"]), ("context", log["id"], "-A", "1")):
        assert remote.here(*words, "--url", pipeline.url) == local.here(*words)


def test_pages_go_on_by_their_cursors(pipeline, remote):
    """As many as there are."""
    small = Shell(remote.database)
    logs = small.maps("query", "--limit", "0", "--url", pipeline.url)

    assert len({log["id"] for log in logs}) == len(logs) >= 30


def test_a_wrong_query_has_its_caret(pipeline, remote):
    """The gateway tells the position."""
    url = ("--url", pipeline.url)
    code, _, errors = remote.here("query", "timeout", "level:EROR2", *url)

    assert code == 2
    assert errors.splitlines()[1:3] == ["  timeout level:EROR2", " " * 16 + "^"]


def test_new_entries_are_followed(pipeline, remote):
    """The last ones first; each once."""
    words = ("tail", "-n", "2", "--json", "--url", pipeline.url, "source:(live OR api)")
    tail = Following(remote, *words)
    try:
        tail.until(lambda lines: len(lines) == 2)
        for text in ("one", "two"):
            pipeline.result("log", source="live", message=text)
            tail.until_message(f'"{text}"')
        shown = [json.loads(line) for line in tail.lines]
        assert [log["message"] for log in shown[2:]] == ["one", "two"]
        assert len({log["id"] for log in shown}) == 4
        assert tail.interrupt() == (130, "")
    finally:
        tail.kill()


def test_nobody_there_is_one_line(remote):
    """Exit code 1, and the address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        for command in ("query", "export", "tail"):
            code, out, errors = remote.here(command, "--url", url)
            assert (code, out) == (1, "")
            assert errors.startswith(f"pipeline {command}: {url} does not answer: ")
            assert errors.count("\n") == 1


@pytest.mark.parametrize("url", ["nonsense", "ftp://a", "http://", "http://a:b"])
def test_what_is_no_address_is_misuse(remote, url):
    """Exit code 2."""
    code, _, errors = remote.here("query", "--url", url)

    assert (code, errors.count("\n")) == (2, 1)


class _Odd(BaseHTTPRequestHandler):
    """A server that is slow, then says something else."""

    waits = Event()
    reply = b"\x1b[2J"

    def do_POST(self):
        self.waits.wait(1.5)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.reply)

    def log_message(self, *_):
        """Silent."""


@pytest.fixture
def odd():
    """Its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Odd)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_long_work_is_told_on_a_terminal(odd, remote):
    """After half a second, and taken away again; nothing where it is piped."""
    code, shown = remote.on_terminal("query", "--url", odd)
    before, _, after = shown.rpartition("\r\x1b[K")

    assert code == 1
    assert before.startswith("\r\x1b[K0.5 s")
    assert after == f"pipeline query: {odd} does not answer as a gateway does\n"
    assert remote.here("query", "--url", odd) == (1, "", after)


class _Refusing(BaseHTTPRequestHandler):
    """A gateway that refuses at first, with each of these, then answers."""

    refusals: ClassVar[list[tuple[int, bytes]]] = []

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.refusals:
            status, body = self.refusals.pop(0)
        elif self.path == "/export":
            status, body = 200, b'{"message": "line"}\n'
        else:
            status, body = 200, b'{"jsonrpc": "2.0", "id": 1, "result": {}}'
        self.send_response(status)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Silent."""


def refused(code, **more):
    """A refused request's body."""
    error = {"code": code, "message": "no", "data": {"problem": "too often", **more}}
    return json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()


@pytest.fixture
def refusing():
    """A connection to it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    made = Remote(f"http://127.0.0.1:{server.server_port}", 5)
    yield made
    made.close()
    server.shutdown()
    thread.join()
    server.server_close()


def test_who_is_refused_for_a_while_comes_again(refusing):
    """After a 429 with a body as after the bare 503 of a refused connection."""
    refusals = [(429, refused(-32003, retry_after_ms=1)), (503, b"")]
    _Refusing.refusals = [*refusals]
    assert refusing.ask("describe", {}) == b"{}"

    _Refusing.refusals = [*refusals]
    assert refusing.stream("/export", body=b"{}").read() == b'{"message": "line"}\n'


def test_who_is_refused_for_long_is_told(refusing):
    """As is what another time would not make better."""
    long = (429, refused(-32003, retry_after_ms=60_000))
    for refusal, text in (
        (long, "is busy: too often"),
        ((503, refused(-32000)), "503|too often"),
    ):
        _Refusing.refusals = [refusal] * 2
        with pytest.raises(PipelineError, match=text):
            refusing.ask("describe", {})
        with pytest.raises(PipelineError, match=text):
            refusing.stream("/export", body=b"{}")
        assert _Refusing.refusals == []
