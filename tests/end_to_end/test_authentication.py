"""Tokens: every method, route and tool against every role, on a real gateway."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time

import aiohttp
import pytest

from pipeline.gateway import principal
from pipeline.gateway.errors import FORBIDDEN
from pipeline.gateway.http import application
from pipeline.gateway.methods.table import METHODS
from pipeline.gateway.principal import ADMIN, METHODS_OF, READ, ROLES, WRITE
from pipeline.settings import load, survey
from tests.end_to_end.running import Pipeline

JSON = {"Content-Type": "application/json"}
LIVE = {"subscribe", "unsubscribe"}
SCOPED, OF_WEB = "scoped reader", "scoped writer"
ROLE_OF = {role: role for role in ROLES} | {SCOPED: READ, OF_WEB: WRITE}
SECRET = "kohlrabi"
"""What a scoped reader must not see: a word of another source, and in a hidden key."""

TRACE = "trace-of-all"
QUESTIONS = {
    "query": {"q": "*", "explain": True},
    "search": {"query": SECRET, "context": 5},
    "get_stats": {"group_by": "source"},
    "aggregate": {"q": "* | stats by (source, card) count()"},
    "histogram": {"by": "card"},
    "facets": {},
    "patterns": {"compare_to": {"since": 0}},
    "describe": {"values": 100},
    "get_entry": None,
    "get_context": None,
    "get_trace": {"trace_id": TRACE},
    "explain": {"q": "message:kohlrab1"},
    "get_alerts": {},
    "get_recent_errors": {},
    "analyze_performance": {},
    "debug_session": {},
    "search_logs": {"query": "*"},
    "get_log_stats": {},
    "list_patterns": {},
    "describe_logs": {},
}
"""Params of each method that reads entries; None: the id of one."""

OTHERS = {"export", "get_limits", "rpc.discover"} | LIVE | principal.OF_THE_WHOLE
ROUTES = sorted(
    {
        (route.method, route.resource.canonical)
        for route in application(None, 1).router.routes()
        if route.method != "HEAD"
    }
)
OPEN = {"/health/live", "/health/ready"}
STREAMS = {"/tail", "/ws"}


class Guarded(Pipeline):
    """A pipeline whose gateway wants tokens, and one token of each role."""

    def __init__(self):
        super().__init__(
            authentication__enabled="true",
            authentication__failures_per_minute=10_000,
        )
        self.tokens = {role: self.create(role) for role in ROLES}
        scope = ("--source", "web-*")
        self.tokens[SCOPED] = self.create(READ, *scope, "--hide", "card")
        self.tokens[OF_WEB] = self.create(WRITE, *scope)

    def command(self, *words):
        """`pipeline token` with these settings."""
        return subprocess.run(
            [sys.executable, "-m", "pipeline", "token", *words],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def create(self, role, *words):
        """A new token."""
        done = self.command("create", "--role", role, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def ask(self, method, token, params=None):
        """Status and reply of a call, with or without a token."""
        call = {"jsonrpc": "2.0", "method": method, "params": params or {}, "id": 1}
        return self.visit("POST", "/rpc", token, json.dumps(call).encode())

    def visit(self, verb, path, token, body=None):
        """Status and body of a request."""
        shown = {} if token is None else {"Authorization": f"Bearer {token}"}
        status, _, reply = self.request(verb, path, body, JSON | shown)
        return status, json.loads(reply) if is_object(reply) else reply


def is_object(reply):
    """Not lines of them, as an export has."""
    return reply.startswith(b"{") and reply.count(b"\n") < 2


@pytest.fixture(scope="module")
def guarded():
    """One gateway for all of this."""
    pipeline = Guarded()
    try:
        yield pipeline.start("ingester", "gateway").wait_until_ready()
    finally:
        pipeline.close()


def test_every_method_has_one_verdict():
    """A new one fails here until somebody decides who may call it."""
    judged = [name for names in METHODS_OF.values() for name in names]

    assert sorted(judged) == sorted(METHODS.keys() | LIVE)


@pytest.mark.parametrize("who", ROLE_OF)
@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_for_its_role(guarded, method, who):
    """And for admins, but no sums of all for a scope; params are looked at after."""
    _, reply = guarded.ask(method, guarded.tokens[who])

    role = ROLE_OF[who]
    forbidden = reply.get("error", {}).get("code") == FORBIDDEN
    others = role != ADMIN and method not in METHODS_OF[role]
    assert forbidden == (others or (who != role and method in principal.OF_THE_WHOLE))


def test_every_reading_method_is_asked_under_a_scope():
    """A new one fails here until it has a question."""
    assert QUESTIONS.keys() | OTHERS >= METHODS_OF[READ]


@pytest.fixture(scope="module")
def filled(guarded):
    """With an entry of a source that is shown and of one that isn't; their ids."""
    logs = [
        {
            "source": source,
            "level": "ERROR",
            "message": f"GET /{word} took 900 ms",
            "metadata": {"card": SECRET, "path": f"/{word}", "duration_ms": 900},
            "trace_id": TRACE,
        }
        for source, word in (("web-1", "seen"), (f"db-{SECRET}", SECRET))
    ]
    params = {"logs": logs, "ids": True}
    guarded.entries = guarded.ask("log_batch", guarded.tokens[ADMIN], params)[1]
    return guarded, guarded.entries["result"]["ids"]


@pytest.mark.parametrize("method", QUESTIONS)
def test_a_scope_leaks_by_no_method(filled, method):
    """Neither entries nor names nor counts, while other readers get them."""
    guarded, (seen, secret) = filled
    asked = QUESTIONS[method]
    token = guarded.tokens[SCOPED]
    if asked is None:
        assert "result" in guarded.ask(method, token, {"id": seen})[1]
        reply = guarded.ask(method, token, {"id": secret})[1]
        unknown = guarded.ask(method, token, {"id": "V" + secret[1:]})[1]
        assert reply["error"]["code"] == unknown["error"]["code"]
        reply |= guarded.ask(method, token, {"id": seen})[1]
    else:
        reply = guarded.ask(method, token, asked)[1]
        assert "result" in reply

    assert SECRET not in json.dumps(reply).replace(asked_words(asked), "")


def asked_words(asked):
    """What a reply repeats of its question."""
    return json.dumps((asked or {}).get("query", "nothing"))


def test_a_scope_leaks_by_no_stream(filled):
    """Export and the live tail, by HTTP and over a WebSocket."""
    guarded, _ = filled
    shown = {"Authorization": f"Bearer {guarded.tokens[SCOPED]}"}
    exported = guarded.visit("GET", "/export", guarded.tokens[SCOPED])[1]

    async def listen():
        async with (
            aiohttp.ClientSession(headers=shown) as session,
            session.ws_connect(f"{guarded.url}/ws") as socket,
            session.get(f"{guarded.url}/tail?after_block=0") as events,
        ):
            params = {"after_block": 0}
            call = {"jsonrpc": "2.0", "method": "subscribe", "params": params, "id": 1}
            await socket.send_json(call)
            texts = [await socket.receive_str(timeout=20) for _ in range(2)]
            return "".join(texts), (await events.content.readuntil(b"web-1")).decode()

    texts, events = asyncio.run(listen())
    for reply in (json.dumps(exported), texts, events):
        assert "web-1" in reply
        assert SECRET not in reply


def test_a_writer_of_some_sources_writes_no_others(guarded):
    """Per entry; and nobody writes the pipeline's own sources."""
    names = ("web-2", "db", "audit", "pipeline", "alerts")
    logs = [{"source": name, "message": "m"} for name in names]
    ways = {who: ("log_batch", guarded.tokens[who]) for who in (OF_WEB, ADMIN)}

    refused = {
        who: [
            one["index"]
            for one in guarded.ask(*way, {"logs": logs})[1]["result"]["rejected"]
        ]
        for who, way in ways.items()
    }
    alone = guarded.ask("log", guarded.tokens[ADMIN], logs[2])[1]["error"]

    assert refused == {OF_WEB: [1, 2, 3, 4], ADMIN: [2, 3, 4]}
    assert "append-only" in json.dumps(alone)


@pytest.mark.parametrize(("verb", "path"), ROUTES)
@pytest.mark.parametrize("token", [None, "", "plt_wrong", "plt_" + "A" * 43])
def test_a_path_wants_a_token(guarded, verb, path, token):
    """Probes alone get an answer without one."""
    status, _ = guarded.visit(verb, path, token, b"{}" if verb == "POST" else None)

    assert status == (200 if path in OPEN else 401)


@pytest.mark.parametrize(
    ("verb", "path"), [route for route in ROUTES if route[1] not in STREAMS]
)
def test_a_writer_reads_by_no_path(guarded, verb, path):
    """It may call, and no more."""
    body = b"{}" if verb == "POST" else None
    status, _ = guarded.visit(verb, path, guarded.tokens[WRITE], body)

    assert (status == 403) == (path in principal.READING_ROUTES)


def test_the_audit_says_who_did_what(guarded):
    """Who exported, had settings read, deleted; which tokens came and went."""
    admin, reader = guarded.tokens[ADMIN], guarded.tokens[READ]
    name = "seen-by-the-audit"
    guarded.create(READ, "--name", name)
    guarded.visit("GET", "/export?q=kohlrabi", reader)
    guarded.ask("reload_config", admin)
    filters = {"q": "kohlrabi2"}
    confirm = guarded.ask("delete", admin, filters)[1]["result"]["confirm"]
    guarded.ask("delete", admin, filters | {"dry_run": False, "confirm": confirm})
    guarded.command("revoke", name)

    wanted = {"export", "reload_config", "delete", "token created", "token revoked"}
    deadline = time.monotonic() + 20
    noted = {}
    while not wanted <= noted.keys():
        assert time.monotonic() < deadline, noted
        logs = guarded.ask("query", admin, {"sources": ["audit"]})[1]["result"]["logs"]
        said = [log["metadata"] for log in reversed(logs)]  # others exported before
        noted = {more["action"]: more for more in said}
    assert noted["export"]["token"] == noted["export"]["by"]
    assert "kohlrabi" in noted["export"]["filter"]


def test_the_audit_can_not_be_deleted(guarded):
    """By its name it is refused; else it is spared."""
    admin = guarded.tokens[ADMIN]

    named = guarded.ask("delete", admin, {"sources": ["audit"]})[1]["error"]
    counted = guarded.ask("delete", admin, {"q": "source:audit"})[1]["result"]["count"]

    assert "append-only" in json.dumps(named)
    assert counted == 0


def test_probes_tell_no_details(guarded):
    """Not even why."""
    assert guarded.visit("GET", "/health/ready", None) == (200, {"ready": True})


def test_a_writer_reads_by_no_socket(guarded):
    """Calls over a WebSocket are judged as others are; browsers offer the token."""

    async def ask(method):
        offered = ("pipeline", guarded.tokens[WRITE])
        url = f"{guarded.url}/ws"
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, protocols=offered) as socket,
        ):
            assert socket.protocol == "pipeline"
            call = {"jsonrpc": "2.0", "method": method, "params": {}, "id": 1}
            await socket.send_json(call)
            return (await socket.receive_json(timeout=20))["error"]["code"]

    assert [asyncio.run(ask(name)) for name in ("subscribe", "query")] == [
        FORBIDDEN,
        FORBIDDEN,
    ]


@pytest.mark.parametrize("path", ["/ws", "/tail"])
def test_what_a_revoked_token_has_open_ends(guarded, path):
    """And it opens nothing more."""
    name = f"gone{path.replace('/', '-')}"
    token = guarded.create(READ, "--name", name)
    deadline = time.monotonic() + 20
    while guarded.ask("get_limits", token)[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)

    async def hold():
        shown = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(headers=shown) as session:
            if path == "/ws":
                async with session.ws_connect(guarded.url + path) as socket:
                    assert guarded.command("revoke", name).returncode == 0
                    return (await socket.receive(timeout=20)).type
            async with session.get(guarded.url + path) as response:
                assert response.status == 200
                assert guarded.command("revoke", name).returncode == 0
                with pytest.raises(aiohttp.ClientError):
                    await asyncio.wait_for(response.read(), 20)
            return None

    ended = asyncio.run(hold())

    assert ended in (None, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    assert guarded.ask("get_limits", token)[0] == 401


def test_tokens_are_kept_as_hashes_for_their_owner(guarded):
    """What is on disk opens nothing."""
    path = guarded.database.with_name("logs.db.tokens")

    assert os.stat(path).st_mode & 0o777 == 0o600
    assert not [t for t in guarded.tokens.values() if t in path.read_text()]


def test_the_shell_shows_its_token(guarded):
    """That of PIPELINE_TOKEN; without one it says what is missing."""

    def ask(**more):
        return subprocess.run(
            [sys.executable, "-m", "pipeline", "stats", "--url", guarded.url],
            env=guarded.environ | more,
            capture_output=True,
            text=True,
            check=False,
        )

    assert ask(PIPELINE_TOKEN=guarded.tokens[READ]).returncode == 0
    assert "PIPELINE_TOKEN" in ask().stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "logs.lan"])
def test_others_reach_no_gateway_without_tokens(host):
    """The error names the remedy; with tokens it may listen there."""
    flags = {"server.host": host}
    (error,) = survey(flags=flags).errors

    assert "authentication.enabled" in str(error)
    assert load(flags=flags | {"authentication.enabled": True}).server.host == host
