"""Requests and frames that mean harm, sent to one pipeline, and what they were told."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import aiohttp

from bench import fuzzing, strategies
from bench.measure import quantile
from bench.processes import Place
from bench.replies import LEAK, beyond_greeting, untold
from pipeline.gateway import openrpc
from pipeline.gateway.errors import BUSY, INTERNAL_ERROR
from pipeline.gateway.methods.table import METHODS
from pipeline.gateway.principal import OPEN_ROUTES

SHARES: Final = {
    "calls": 0.45,
    "frames": 0.2,
    "strangers": 0.1,
    "http": 0.1,
    "zmtp": 0.05,
    "messages": 0.1,
}

AT_ONCE: Final = 16
PATIENCE_S: Final = 60.0

_DEFECT: Final = 500

MESSAGES: Final = "messages that hold no batch"

ROUTES: Final = ("/", "/rpc", "/ws", "/tail", "/export", "/metrics", "/x", "/health")
VERBS: Final = ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "GARBAGE")

_STATUS: Final = re.compile(rb"^HTTP/1\.[01] (\d{3})", re.M)

_SUBSCRIBED: Final = b"Connection: Upgrade\r\nUpgrade: websocket\r\n" + (
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of it."""

    requests: int = 100_000
    connections: int = 2_000
    seed: int = 1
    has_keys: bool = False
    """The ZeroMQ sockets ask for keys, of which hostile peers have none."""

    is_short: bool = False
    """For a test: less rest, and memory is not looked at."""


@dataclass(slots=True)
class Found:
    """What was seen."""

    sent: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    """What calls were answered: `result`, or the code of an error."""

    problems: Counter[str] = field(default_factory=Counter)
    cold: dict[str, tuple[int, int]] = field(default_factory=dict)
    before: dict[str, tuple[int, int]] = field(default_factory=dict)
    """RSS in bytes and descriptors by process: at the start, and once warm."""

    course: list[dict[str, tuple[int, int]]] = field(default_factory=list)
    after: dict[str, tuple[int, int]] = field(default_factory=dict)
    asked: list[float] = field(default_factory=list)
    held: list[float] = field(default_factory=list)
    """Seconds of a good client's calls, and of its calls among silent connections."""

    logged: int = 0
    stored: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def text(self) -> str:
        """All of it in lines."""
        lines = [
            f"{self.seconds:.0f} s; sent: {dict(self.sent)}",
            f"answers: {dict(self.statuses.most_common())}",
            f"calls were answered: {dict(self.codes.most_common())}",
        ]
        looks = {"cold": self.cold, "warm": self.before, "after": self.after}
        for when, look in looks.items():
            rss, descriptors = map(sum, zip(*look.values(), strict=True))
            lines.append(
                f"{when}: {rss / 1e6:.1f} MB, {descriptors} descriptors in all"
            )
        for name, (rss, descriptors) in sorted(self.after.items()):
            old, were = self.before.get(name, (0, 0))
            grown = f"{old / 1e6:.1f} to {rss / 1e6:.1f} MB"
            lines.append(f"{name}: {grown}, descriptors {were} to {descriptors}")
            sizes = [look[name][0] / 1e6 for look in self.course if name in look]
            lines.append("  meanwhile " + " ".join(f"{size:.0f}" for size in sizes))
        for name, took in (
            ("all the while", self.asked),
            ("among the silent", self.held),
        ):
            middle, most = quantile(took, 0.5), max(took)
            lines.append(f"a call {name}: {middle * 1e3:.0f} ms, at most {most:.2f} s")
        lines.append(f"logged {self.logged:,}, stored {self.stored:,}")
        lines.append(f"counted: {self.counters}")
        lines += [f"PROBLEM ({count}): {text}" for text, count in self.problems.items()]
        return "\n".join(lines)


class Siege:
    """One pipeline, and all who want something of it."""

    def __init__(self, where: Place, plan: Plan, secret: str) -> None:
        self._where, self.plan, self._secret = where, plan, secret
        self._url = f"http://127.0.0.1:{where.port}"
        self._random = Random(plan.seed)
        document = json.loads(openrpc.encode(METHODS.values()))
        made = strategies.bodies(document, plan.seed, plan.requests // 20)
        # Hypothesis takes words from our sources: an echo of them is no leak
        others = [body for body in made if not LEAK.search(body)]
        self._calls = fuzzing.Calls(document, self._random, others)
        self._messages = fuzzing.Messages(self._random)
        self.found = Found()

    async def strike(self, share: float) -> None:
        """That share of the plan's requests, all kinds beside each other."""
        kinds: dict[str, Callable[[int], Awaitable[None]]] = {
            "calls": self._call,
            "frames": self._frames,
            "strangers": self._stranger,
            "http": self._http,
            "zmtp": self._zmtp,
            "messages": self._knock if self.plan.has_keys else self._send,
        }
        limits = aiohttp.TCPConnector(limit=4 * AT_ONCE)
        patience = aiohttp.ClientTimeout(total=PATIENCE_S)
        work = []
        async with aiohttp.ClientSession(connector=limits, timeout=patience) as session:
            self._session = session  # its resting connections end with it
            for name, part in SHARES.items():
                count = max(AT_ONCE, int(self.plan.requests * share * part))
                work += [kinds[name](count // AT_ONCE) for _ in range(AT_ONCE)]
            await asyncio.gather(*work)

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """A good client's call on a connection of its own; it comes again when told."""
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        address, shown = f"{self._url}/rpc", self._shown()
        async with asyncio.timeout(PATIENCE_S):
            while True:
                async with (
                    aiohttp.ClientSession() as session,
                    session.post(address, json=call, headers=shown) as response,
                ):
                    reply = await response.json()
                if reply.get("error", {}).get("code") != BUSY:
                    break
                self.found.statuses["told to come again"] += 1
                await asyncio.sleep(reply["error"]["data"]["retry_after_ms"] / 1000)
        if "result" not in reply:
            raise RuntimeError(f"{method}: {reply.get('error')}")
        result: dict[str, Any] = reply["result"]
        return result

    async def hold(self) -> None:
        """Connections that say nothing, or stop in a head or in a body; a client asks
        among them."""
        shown = f"Authorization: {self._shown()['Authorization']}\r\n".encode()
        opened = []
        for number in range(self.plan.connections):
            is_http = number % 4 > 0
            port = self._where.port if is_http else port_of(self._where.ingest)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            if number % 3 == 1:
                writer.write(b"POST /rpc HTTP/1.1\r\nHost: loc")
            elif number % 3 == 2:
                writer.write(fuzzing.POST + shown + b"Content-Length: 9\r\n\r\n[1,")
            opened.append((reader, writer, is_http))
            if number % 200 == 0:
                began = time.perf_counter()
                await self.ask("get_limits")
                self.found.held.append(time.perf_counter() - began)
        async with asyncio.timeout(PATIENCE_S):
            for reader, writer, is_http in opened:
                with suppress(OSError):
                    while is_http and await reader.read(4096):
                        pass  # it is closed from there
                writer.close()
        self.found.sent["silent connections"] += len(opened)

    def _shown(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._secret}"}

    def _judge(self, status: object, body: bytes) -> None:
        """Note what no answer may be; what was asked for is no leak."""
        self.found.statuses[str(status)] += 1
        said, codes = untold(body)
        self.found.codes.update(codes)
        told = LEAK.search(said)
        if told is not None:
            at = told.start()
            self._blame(f"a reply tells {said[max(0, at - 60) : at + 60]!r}")
        if status == _DEFECT or str(INTERNAL_ERROR) in codes:
            self._blame(f"an internal error: {said[:300]!r}")

    def _blame(self, problem: str) -> None:
        if problem in self.found.problems or len(self.found.problems) < 20:
            self.found.problems[problem] += 1

    async def _call(self, count: int) -> None:
        kind = {"Content-Type": "application/json"}
        for _ in range(count):
            body = self._calls.body()
            self.found.sent["calls"] += 1
            headers = self._shown() | kind
            try:
                async with self._session.post(
                    f"{self._url}/rpc", data=body, headers=headers
                ) as response:
                    self._judge(response.status, await response.read())
            except (aiohttp.ClientError, TimeoutError) as error:
                self._blame(f"a call: {type(error).__name__} for {body[:200]!r}")

    async def _frames(self, count: int) -> None:
        """Over one WebSocket; a limit of its calls ends it."""
        last = b'{"jsonrpc":"2.0","method":"get_limits","id":"last"}'
        while count > 0:
            bodies = [self._calls.body() for _ in range(min(count, 100))]
            count -= len(bodies)
            try:
                async with self._session.ws_connect(
                    f"{self._url}/ws", headers=self._shown(), max_msg_size=0
                ) as socket:
                    for body in (*bodies, last):
                        await socket.send_bytes(body)
                    self.found.sent["frames"] += len(bodies)
                    async with asyncio.timeout(PATIENCE_S):
                        async for message in socket:
                            reply = str(message.data).encode()
                            self._judge("frame", reply)
                            if b'"id":"last"' in reply:
                                break
            except (aiohttp.ClientError, TimeoutError) as error:
                self._blame(f"a WebSocket: {type(error).__name__}")

    async def _stranger(self, count: int) -> None:
        """Without a token, or with one that is none; half of them from anywhere."""
        for number in range(count):
            path = self._random.choice((*ROUTES, *OPEN_ROUTES))
            data = self._strange(path)
            address = self._anywhere() if number % 2 else "127.0.0.1"
            reply = await self._raw(self._where.port, data, address, 2.0, 0.1)
            self.found.sent["requests of strangers"] += 1
            if path not in OPEN_ROUTES:
                self._judge_stranger("stranger", reply)

    def _strange(self, path: str) -> bytes:
        shown = (b"", b"plt_" + b"A" * 43, b"plt_", b"", bytes(40))
        body = self._calls.body() if self._random.random() < 0.5 else b""
        head = f"{self._random.choice(VERBS)} {path} HTTP/1.1\r\nHost: localhost\r\n"
        fields = b"Content-Type: application/json\r\nConnection: close\r\n"
        if token := self._random.choice(shown):
            fields += b"Authorization: Bearer " + token + b"\r\n"
        if self._random.random() < 0.2:
            fields, body = fields.replace(b"Connection: close\r\n", _SUBSCRIBED), b""
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        return head.encode() + fields + length + body

    def _anywhere(self) -> str:
        """One of the many addresses of this machine; a limit is for one of them."""
        return f"127.{'.'.join(str(self._random.randrange(1, 255)) for _ in range(3))}"

    async def _http(self, count: int) -> None:
        for _ in range(count):
            data = fuzzing.http(self._random)
            reply = await self._raw(self._where.port, data, self._anywhere(), 0.5)
            self.found.sent["nearly HTTP"] += 1
            self._judge_stranger("raw", reply)
            if reply and not reply.startswith(b"HTTP/"):
                self._blame(f"no HTTP: {reply[:80]!r}")

    def _judge_stranger(self, who: str, reply: bytes) -> None:
        """Of no route and no call is there anything for who has no token."""
        statuses = [int(status) for status in _STATUS.findall(reply)]
        self._judge(f"{who} {' '.join(map(str, statuses[:2]))}", reply)
        if any(status < 400 for status in statuses) or b'"result"' in reply:
            self._blame(f"an answer without a token: {reply[:200]!r}")

    async def _zmtp(self, count: int) -> None:
        for number in range(count):
            endpoint = self._where.publish if number % 4 == 0 else self._where.ingest
            reply = await self._raw(port_of(endpoint), fuzzing.zmtp(self._random))
            self.found.sent["nearly ZMTP"] += 1
            self._judge_peer(reply)

    async def _knock(self, count: int) -> None:
        """Peers without a key, or with a mechanism that has begun wrong."""
        for number in range(count):
            endpoint = self._where.publish if number % 4 == 0 else self._where.ingest
            data = fuzzing.HANDSHAKE if number % 2 else fuzzing.curve(self._random)
            data += fuzzing.framed(self._messages.message())
            reply = await self._raw(port_of(endpoint), data, hangs_up=0.1)
            self.found.sent["peers without a key"] += 1
            self._judge_peer(reply)

    def _judge_peer(self, reply: bytes) -> None:
        if self.plan.has_keys and (said := beyond_greeting(reply)):
            self._blame(f"a peer without a key hears {said[:80]!r}")

    async def _raw(
        self,
        port: int,
        data: bytes,
        address: str = "127.0.0.1",
        wait: float = 0.2,
        hangs_up: float = 0.5,
    ) -> bytes:
        """Say it, so often say that this was all, and hear what comes."""
        reply = b""
        with suppress(OSError, TimeoutError):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, local_addr=(address, 0)
            )
            try:
                writer.write(data)
                if self._random.random() < hangs_up:
                    writer.write_eof()
                async with asyncio.timeout(wait):
                    while piece := await reader.read(65_536):
                        reply += piece
            finally:
                writer.transport.abort()
        return reply

    async def _send(self, count: int) -> None:
        """Messages over a connection of ZMTP that is right."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port_of(self._where.ingest)
        )
        writer.write(fuzzing.HANDSHAKE)
        await reader.readexactly(fuzzing.HANDSHAKE_BYTES)
        answering = asyncio.create_task(_pong(reader, writer))
        for _ in range(count):
            writer.write(fuzzing.framed(self._messages.message()))
            self.found.sent[MESSAGES] += 1
            await writer.drain()
        writer.write_eof()
        async with asyncio.timeout(PATIENCE_S):
            await answering
        writer.close()


async def _pong(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer heartbeats until the other side hangs up."""
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            with suppress(RuntimeError):  # it has said that this was all
                writer.write(fuzzing.PONG * data.count(fuzzing.PING))


def port_of(endpoint: str) -> int:
    """Of an endpoint of TCP."""
    return int(endpoint.rpartition(":")[2])
