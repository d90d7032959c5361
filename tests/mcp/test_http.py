"""`pipeline mcp --http`: who may call it, and where it listens."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from mcp import Client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

from pipeline.errors import ConfigError
from pipeline.mcp.callers import VARIABLE, token_of
from pipeline.mcp.serving import listen
from tests.mcp.clients import text_of

KIND = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
}
HELLO = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
)


def status(server, **headers):
    """What a request with these headers is answered."""
    parts = urlsplit(server.address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    given = {name.title(): value for name, value in headers.items()}
    try:
        connection.request("POST", parts.path, HELLO, KIND | given)
        return connection.getresponse().status
    finally:
        connection.close()


def refusal(*flags):
    """What it says when it does not start."""
    command = [sys.executable, "-m", "pipeline", "mcp", *flags]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    return ended.stderr


def test_programs_of_this_machine_are_answered(http_server):
    """By any of its names."""
    port = urlsplit(http_server.address).port

    assert status(http_server) == 200
    assert status(http_server, host=f"localhost:{port}") == 200
    assert status(http_server, origin=f"http://localhost:{port}") == 200


def test_a_name_that_leads_here_by_trickery_is_refused(http_server):
    """DNS rebinding: a page's own name with our address."""
    assert status(http_server, host="evil.example") == 421
    assert status(http_server, host="localhost.evil.example:80") == 421


def test_pages_of_other_sites_are_refused(http_server):
    """A browser says whose they are."""
    assert status(http_server, origin="https://evil.example") == 403
    assert status(http_server, origin="null") == 403


TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def open_server(pipeline, tmp_path_factory):
    """One that other machines may call as logs.lan, with a token."""
    file = tmp_path_factory.mktemp("secrets") / "token"
    file.write_text(TOKEN + "\n")
    flags = ("--http", "0.0.0.0:0", "--allow-host", "logs.lan")
    server = pipeline.process(
        "mcp", "--url", pipeline.url, *flags, "--token-file", str(file)
    )
    server.lines = [line.replace("0.0.0.0", "127.0.0.1") for line in server.lines]
    yield server
    assert server.stop() == 0


def test_other_machines_reach_it_by_the_name_that_was_said(open_server):
    """With the token."""
    known = {"authorization": f"Bearer {TOKEN}"}

    assert status(open_server, host="logs.lan:80", **known) == 200
    assert status(open_server, host="other.lan:80", **known) == 421
    assert status(open_server, host="logs.lan", origin="http://x.lan", **known) == 403


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x"]
)
def test_nobody_is_answered_without_the_token(open_server, given):
    """Neither here nor elsewhere."""
    headers = {} if given is None else {"authorization": given}

    assert status(open_server, host="logs.lan", **headers) == 401


def test_the_official_client_shows_the_token(open_server):
    """As its users write it: a header of the client."""

    async def run():
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with create_mcp_http_client(headers=headers) as known:
            transport = streamable_http_client(open_server.address, http_client=known)
            async with Client(transport) as client:
                return json.loads(await text_of(client, "get_log_stats"))

    assert asyncio.run(run())["total_logs"] > 0


def test_it_is_not_opened_to_everybody():
    """It says what is missing, and does not start."""
    said = refusal("--http", "0.0.0.0:0", "--allow-host", "logs.lan")

    assert "whoever reaches 0.0.0.0:0 could read every log" in said
    assert "or a token in PIPELINE_MCP_TOKEN or --token-file" in said


def test_an_open_server_has_names():
    """Otherwise a page could call it by one of its own."""
    with pytest.raises(ConfigError, match="--allow-host with the name"):
        listen("0.0.0.0:0", [], TOKEN.encode())


@pytest.mark.parametrize("text", ["short", "", "with blanks in between", "é" * 20])
def test_what_is_no_token_is_refused(tmp_path, text):
    """It can't be guessed, and a header has room for it."""
    (tmp_path / "token").write_text(text)

    with pytest.raises(ConfigError, match="expected 16 characters or more"):
        token_of(str(tmp_path / "token"), {})


def test_a_token_is_read_from_the_environment_or_a_file(tmp_path):
    """The file counts; one that is not there is no lack of a token."""
    (tmp_path / "token").write_text(TOKEN)

    assert token_of(None, {}) is None
    assert token_of(None, {VARIABLE: TOKEN}) == TOKEN.encode()
    assert token_of(str(tmp_path / "token"), {VARIABLE: "x" * 20}) == TOKEN.encode()
    with pytest.raises(ConfigError, match="can't be read"):
        token_of(str(tmp_path / "none"), {})


@pytest.mark.parametrize("address", ["", "8890", ":8890", "here:", "::1", "a:70000"])
def test_what_is_no_address_is_refused(address):
    """With one that would be right."""
    with pytest.raises(ConfigError, match=r"expected such as 127\.0\.0\.1:0"):
        listen(address, [])


def test_an_address_that_is_taken_is_named(http_server):
    """So is what would be right."""
    taken = urlsplit(http_server.address).netloc

    assert f"can't listen on {taken}: Address already in use" in (
        refusal("--http", taken)
    )


def test_small_replies_are_not_held_back():
    """Where a socket doesn't say that it is of TCP, each waits 40 ms."""
    with listen("127.0.0.1:0", []) as listener:
        assert listener.proto == socket.IPPROTO_TCP
