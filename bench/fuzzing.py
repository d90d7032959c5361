"""What nobody should send: calls made from the OpenRPC document and then broken, bytes
that are nearly HTTP, nearly ZMTP, and messages that are nearly batches. All by seed.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Final
from zlib import crc32

from pipeline.batch.encode import encode_rows
from pipeline.compression import compress
from pipeline.entry import Entry
from pipeline.wire.frame import PRODUCER_BYTES, Codec, Flag, Header, pack_header

TEXTS: Final = (
    *("", " ", "\0", "\ud800", "a" * 20_000, "%s%n", "../../etc/passwd", "/proc/self"),
    *("' OR 1=1 --", "'; DROP TABLE blocks; --", "{{7*7}}", "${jndi:ldap://x/a}"),
    *("(a+)+$", "/(.*a){20}/", "message:/((((((((a*)*)*)*)*)*)*)*)/", "[" * 500),
    *("NOT NOT NOT", "(" * 300 + "a" + ")" * 300, 'source:"', "level:>=", "* OR *"),
    *("error | count by source by", "| json | extract /(/", "now-9999999d", "1e309"),
    *("9" * 400, "2026-13-45T99:99:99Z", "\u202e\x1b[31m", "NaN", "true", "null"),
    *("-1h", "0s", "__proto__", "plt_" + "A" * 43, "audit", "pipeline", "*"),
)
"""Texts that some program somewhere has taken for something else."""

NUMBERS: Final = (
    *(0, -1, 1, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**40, 1e308, -0.0, 0.1),
)
SELDOM: Final = {"reload_config": 0.05}
"""It takes all processes half a second, one call after the other."""

OTHERS: Final = 0.25

DEEP: Final = 40
_HALF: Final = 0.5


class Calls:
    """Calls to every method of a document, few of them right."""

    def __init__(
        self,
        document: Mapping[str, Any],
        random: Random,
        others: Sequence[bytes] = (),
    ) -> None:
        """`others`: bodies of another maker, sent between those made here."""
        self._others = others
        self._methods = document["methods"]
        self._schemas = document["components"]["schemas"]
        self._random = random
        self._weights = [SELDOM.get(m["name"], 1.0) for m in self._methods]

    def body(self) -> bytes:
        """Of a POST or a frame: a call, a batch, or something that is nearly one."""
        if self._others and self._random.random() < OTHERS:
            return self._random.choice(self._others)
        draw = self._random.random()
        if draw < 0.8:
            return self._encoded(self._call())
        if draw < 0.9:
            return self._encoded(
                [self._call() for _ in range(self._random.choice((0, 2, 5, 101)))]
            )
        return damaged(self._encoded(self._call()), self._random)

    def params(self, method: Mapping[str, Any]) -> dict[str, Any]:
        """Some of a method's params; each fits its schema, or doesn't."""
        return {
            param["name"]: self._value(param["schema"])
            for param in method["params"]
            if param.get("required") or self._random.random() < 0.3
        }

    def _call(self) -> Any:
        random = self._random
        (method,) = random.choices(self._methods, self._weights)
        params: Any = self.params(method)
        if random.random() < 0.1:
            params = random.choice((list(params.values()), None, 7, "x", [], [[]]))
        call = {"jsonrpc": "2.0", "method": method["name"], "params": params}
        if random.random() < 0.95:
            call["id"] = random.choice((random.randrange(10**9), "a", "", 1.5, None))
        if random.random() < 0.05:
            call[random.choice(list(call))] = self._odd()
        return call

    def _encoded(self, value: Any) -> bytes:
        return json.dumps(value).encode()

    def _value(self, schema: Mapping[str, Any], depth: int = 0) -> Any:
        random = self._random
        if random.random() < 0.15 or depth > DEEP:
            return self._odd()
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return self._value(self._schemas[name], depth + 1)
        if "anyOf" in schema:
            return self._value(random.choice(schema["anyOf"]), depth + 1)
        for chosen in ("enum", "examples"):
            if chosen in schema and random.random() < 0.8:
                return random.choice(schema[chosen])
        return self._typed(schema, depth)

    def _typed(self, schema: Mapping[str, Any], depth: int) -> Any:
        random = self._random
        kind = schema.get("type")
        if kind == "integer" or kind == "number":
            low, high = schema.get("minimum", 0), schema.get("maximum", 10**6)
            edges = (low, high, low - 1, high + 1, random.randint(int(low), int(high)))
            return random.choice(edges)
        if kind == "boolean":
            return random.random() < _HALF
        if kind == "array":
            count = random.choice((0, 1, 2, 5))
            return [
                self._value(schema.get("items", {}), depth + 1) for _ in range(count)
            ]
        if kind == "object":
            fields = schema.get("properties", {})
            wanted = schema.get("required", ())
            return {
                name: self._value(about, depth + 1)
                for name, about in fields.items()
                if name in wanted or random.random() < 0.3
            } or {random.choice(TEXTS)[:50]: self._odd()}
        if kind == "null":
            return None
        return random.choice(("error", "web", "timeout", *TEXTS))

    def _odd(self) -> Any:
        random = self._random
        draw = random.random()
        if draw < 0.4:
            return random.choice(TEXTS)
        if draw < 0.7:
            return random.choice(NUMBERS)
        if draw < 0.9:
            return random.choice((None, True, [], {}, [None], {"": {}}, [[[[[]]]]]))
        nested: Any = 1
        for _ in range(random.choice((10, 100, 500))):
            nested = [nested] if random.random() < _HALF else {"a": nested}
        return nested


def damaged(data: bytes, random: Random) -> bytes:
    """The same cut off, with other bytes, or with some of it twice."""
    if not data:
        return b"\0"
    draw = random.random()
    at = random.randrange(len(data))
    if draw < 0.3:
        return data[:at]
    if draw < 0.6:
        return data[:at] + random.randbytes(random.choice((1, 4, 40))) + data[at + 1 :]
    if draw < 0.8:
        return data[:at] + data[at // 2 :]
    return bytes([data[0] ^ (1 << random.randrange(8))]) + data[1:]


_HOST: Final = b"Host: localhost\r\n"
POST: Final = b"POST /rpc HTTP/1.1\r\nContent-Type: application/json\r\n" + _HOST
_GET: Final = b"GET / HTTP/1.1\r\n" + _HOST
_CALL: Final = b'{"jsonrpc":"2.0","method":"get_limits","id":1}'
_WHOLE: Final = POST + b"Content-Length: %d\r\n\r\n" % len(_CALL) + _CALL
_REQUESTS: Final = (
    b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"GET /../../etc/passwd HTTP/1.1\r\n" + _HOST + b"\r\n",
    b"GET /%2e%2e/%00 HTTP/1.1\r\n" + _HOST + b"\r\n",
    b"GET " + b"/a" * 10_000 + b" HTTP/1.1\r\n" + _HOST + b"\r\n",
    _GET + b"A: b\r\n" * 5_000 + b"\r\n",
    _GET + b"A: " + b"x" * 100_000 + b"\r\n\r\n",
    POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST + b"Content-Length: -1\r\n\r\n",
    POST + b"Content-Length: 99999999999\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    POST + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08",
    b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 99\r\n" + _HOST + b"\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    _WHOLE * 40,
)


def http(random: Random) -> bytes:
    """What a connection may begin with that isn't HTTP, or not quite."""
    draw = random.random()
    if draw < 0.1:
        return random.randbytes(random.choice((1, 50, 5000)))
    if draw < 0.4:
        return damaged(_WHOLE, random)
    return random.choice(_REQUESTS)


_GREETING: Final = (
    b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
)
_READY: Final = b"\x04\x1a\x05READY\x0bSocket-Type\x00\x00\x00\x04PUSH"

_SUBSCRIBER: Final = _GREETING + b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB"

HANDSHAKE: Final = _GREETING + _READY
"""Of a PUSH socket, with the mechanism NULL (ZMTP 3.0)."""

HANDSHAKE_BYTES: Final = len(HANDSHAKE)
GREETING_BYTES: Final = len(_GREETING)
PING: Final = b"\x04PING"
PONG: Final = b"\x04\x05\x04PONG"

_MORE: Final = 1
_LONG: Final = 2


def framed(message: list[bytes]) -> bytes:
    """A message as ZMTP has it on the wire."""
    pieces = []
    for at, frame in enumerate(message):
        flags = _LONG | (_MORE if at < len(message) - 1 else 0)
        pieces.append(struct.pack(">BQ", flags, len(frame)) + frame)
    return b"".join(pieces)


def _subscriptions(random: Random) -> bytes:
    """To topics that nobody needs, and ends of some that never began."""
    count, size = random.choice(((1, 200), (200, 20), (2_000, 8)))
    return b"".join(
        struct.pack("BBB", 0, 1 + size, random.random() < 0.9) + random.randbytes(size)
        for _ in range(count)
    )


def curve(random: Random) -> bytes:
    """A handshake of CurveZMQ by somebody who has no key of the server (RFC 26)."""
    hello = b"\x05HELLO\x01\x00" + bytes(72) + random.randbytes(32 + 8 + 80)
    initiate = b"\x08INITIATE" + random.randbytes(random.choice((0, 96, 250)))
    steps = [hello, initiate, b"\x07MESSAGE" + random.randbytes(40)]
    steps = steps[random.randrange(3) :]
    commands = b"".join(
        bytes([4, len(step)]) + step for step in steps if len(step) < 256
    )
    return _GREETING.replace(b"NULL\0", b"CURVE") + commands


def zmtp(random: Random) -> bytes:
    """What a connection may begin with that isn't ZMTP, or not quite."""
    size = random.choice((2**63, 2**32, 2**31, 2**64 - 1))
    long = struct.pack(">Q", size)
    return random.choice(
        (
            random.randbytes(random.choice((1, 64, 5000))),
            damaged(_GREETING, random),
            _GREETING,
            _GREETING + random.randbytes(200),
            _GREETING + damaged(_READY, random),
            _GREETING.replace(b"NULL", b"CURV") + _READY,
            _GREETING.replace(b"NULL", b"PLAI") + _READY,
            _GREETING + _READY + b"\x02" + long + b"x" * 100,
            _GREETING + _READY + b"\x03" + long,
            _GREETING + _READY + b"\x01\x05abcde" * 3,
            _GREETING + _READY + b"\x04\x07\x04PING\x00\x00" * 50,
            _GREETING + _READY + b"\x06" + long,
            _GREETING + _READY.replace(b"PUSH", b"ROUT"),
            _SUBSCRIBER + _subscriptions(random),
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        )
    )


class Messages:
    """Messages to the ingest socket that hold no batch that could be stored."""

    def __init__(self, random: Random) -> None:
        entry = Entry(1, "hostile", 20, "x", {"a": 1}, ["b"], None)
        self._payload = encode_rows([entry] * 3, None, compress)
        self._random = random

    def message(self) -> list[bytes]:
        """Its frames."""
        random, payload = self._random, self._payload
        producer = random.randbytes(PRODUCER_BYTES)
        header = Header(Flag.FLUSH, Codec(0), producer, 1, 1, 3, 3, 0, 0)
        good = pack_header(header, crc32(payload))
        broken = bytearray(payload)
        broken[random.randrange(len(broken))] ^= 1 << random.randrange(8)
        wrong = bytes(broken)
        return random.choice(
            (
                [random.randbytes(random.choice((2, 40, 64, 1000)))],
                [good[:-1], payload],
                [good, wrong],  # its sum does not fit
                [pack_header(header, crc32(b"\xff" * 50)), b"\xff" * 50],
                [good, payload[: len(payload) // 2]],
                [good, payload, b"more"],
                [bytes([good[0] ^ 0x80]) + good[1:], payload],
            )
        )
