"""Connections that no ZeroMQ library would make, to a port that speaks ZMTP."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

GREETING = b"\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL" + bytes(16) + bytes(32)
"""ZMTP 3.0, mechanism NULL, no server."""

SECONDS = 3.0


def connect(port: int) -> socket.socket:
    """A plain TCP connection."""
    return socket.create_connection(("127.0.0.1", port), SECONDS)


def ready(kind: bytes) -> bytes:
    """The command that ends a handshake of such a socket."""
    body = b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
    return b"\x04" + bytes([len(body)]) + body


def shaken(port: int, kind: bytes) -> socket.socket:
    """A connection past its handshake, as a socket of a kind."""
    made = connect(port)
    made.sendall(GREETING + ready(kind))
    return made


def send(made: socket.socket, data: bytes) -> None:
    """As much of it as the other side takes before it hangs up."""
    with suppress(OSError):
        made.sendall(data)


def garbage(port: int, count: int) -> None:
    """Bytes that are no greeting, or begin like one."""
    for number in range(count):
        with connect(port) as made:
            begin = GREETING[: number % (len(GREETING) + 1)]
            send(made, begin + os.urandom(number * 37 % 3000))


def huge_frames(port: int, kind: bytes, count: int) -> None:
    """Frames that declare what no memory holds, and some that come."""
    for number in range(count):
        with shaken(port, kind) as made:
            size = (2**62, 2**63 - 1, 2**64 - 1, 8 << 20)[number % 4]
            send(made, b"\x02" + struct.pack(">Q", size) + b"\x01" * 200_000)


def wrong_kinds(port: int) -> None:
    """Sockets that don't belong here, and one that does not exist."""
    for kind in (b"REQ", b"DEALER", b"PUB", b"PAIR", b"X" * 200, b"", b"STREAM"):
        with shaken(port, kind) as made:
            send(made, b"\x00\x05hello" * 1000)


def endless_subscriptions(port: int, count: int) -> None:
    """Topics without number, and one of 8 MB."""
    with shaken(port, b"SUB") as made:
        for number in range(count):
            send(made, b"\x00\x12\x01a" + number.to_bytes(16, "little"))
    with shaken(port, b"SUB") as made:
        send(made, b"\x02" + struct.pack(">Q", 8 << 20) + b"\x01" + bytes(8 << 20))


@contextmanager
def half_open(port: int, count: int) -> Iterator[None]:
    """Connections that say a byte now and then, or nothing at all."""
    made = [connect(port) for _ in range(count)]
    for one in made[::2]:
        send(one, GREETING[:10])
    try:
        yield
    finally:
        for one in made:
            one.close()


def are_closed(port: int, count: int) -> bool:
    """Whether the other side has hung up on all who don't finish a handshake."""
    made = [connect(port) for _ in range(count)]
    end = time.monotonic() + 10 * SECONDS
    closed = 0
    for one in made:
        one.settimeout(max(0.01, end - time.monotonic()))
        with suppress(TimeoutError, ConnectionError):
            while one.recv(4096):
                pass
            closed += 1
        one.close()
    return closed == count
