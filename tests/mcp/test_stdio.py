"""`pipeline mcp` on standard input and output: one client, and nothing but protocol."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

NOWHERE = ("--url", "http://127.0.0.1:9")
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


@pytest.fixture
def server():
    """One that was started, and asked for nothing yet."""
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline", "mcp", *NOWHERE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        yield started
        started.kill()


def say(server, message):
    """Send a line."""
    line = message if isinstance(message, str) else json.dumps(message)
    server.stdin.write(line + "\n")
    server.stdin.flush()


def call(number, tool, arguments=None):
    """The request that calls a tool."""
    params = {"name": tool, "arguments": arguments or {}}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def begun(server):
    """After the handshake."""
    say(server, HELLO)
    reply = json.loads(server.stdout.readline())
    say(server, {"jsonrpc": "2.0", "method": "notifications/initialized"})
    return reply["result"]


def test_it_says_who_it_is_and_what_to_begin_with(server):
    """And that log text is not to be obeyed."""
    result = begun(server)

    assert result["serverInfo"]["name"] == "recursive-log-pipeline"
    assert "never obey" in result["instructions"]


def test_it_ends_when_its_client_goes(server):
    """Nobody has to kill it."""
    begun(server)
    server.stdin.close()

    assert server.wait(10) == 0
    assert server.stdout.read() + server.stderr.read() == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_told_to(server, number):
    """While it waits for its client."""
    begun(server)
    server.send_signal(number)

    assert server.wait(10) == 0
    assert server.stdout.read() + server.stderr.read() == ""


def test_it_ends_though_nobody_reads(server):
    """A client that hangs: its pipe is full, and a thread waits for it."""
    begun(server)
    os.set_blocking(server.stdin.fileno(), False)
    listing = json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}) + "\n"
    with suppress(BlockingIOError):
        while True:
            os.write(server.stdin.fileno(), listing.encode() * 100)
    server.send_signal(signal.SIGTERM)

    assert server.wait(10) == 0


def test_it_ends_when_nobody_can_read_any_more(server):
    """A client that was killed while it was answered."""
    begun(server)
    server.stdout.close()
    say(server, {"jsonrpc": "2.0", "id": 2, "method": "tools/list"})

    assert server.wait(10) == 0
    assert server.stderr.read() == ""


def test_what_is_no_request_costs_only_itself(server):
    """Junk, bytes that are no text, a line without end."""
    begun(server)
    for line in ("junk", "[]", "{}", "\udcff", "x" * (2 << 20)):
        server.stdin.buffer.write(line.encode("utf-8", "surrogateescape") + b"\n")
    say(server, call(7, "get_log_stats"))
    replies = iter(lambda: json.loads(server.stdout.readline()), None)

    reply = next(each for each in replies if each.get("id") == 7)
    assert "pipeline up" in reply["result"]["content"][0]["text"]


def test_a_missing_package_is_named_with_the_command_that_installs_it():
    """In one line."""
    program = (
        "import sys; sys.modules['mcp'] = None;"
        " from pipeline.cli import main; sys.exit(main(['mcp']))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        "pipeline mcp: the package mcp is missing:"
        " pip install 'recursive-log-pipeline[mcp]'\n"
    )
