"""ZeroMQ sockets, made with their limits; the only home of zmq.

A socket is bound or connected nowhere else, so that each side's high-water mark,
largest message and heartbeat stand in one place.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

import zmq
from zmq.utils import z85

from pipeline.errors import PipelineError
from pipeline.keys import Key
from pipeline.limits import FRAME_BYTES, REQUEST_BYTES, SUBSCRIPTION_BYTES

SEND_FRAMES: Final = 64
"""PUSH: nothing may live only in a socket, so the window is what bounds a sender."""

RECEIVE_FRAMES: Final = 4
"""PULL, per connection: bounds the ingester's memory (37 MB against 66 at 64)."""

PUBLISH_FRAMES: Final = 32
ACKNOWLEDGE_FRAMES: Final = 1000
HANDSHAKE_MS: Final = 2000
HEARTBEAT_MS: Final = 5000
RECONNECT_MS: Final = 50
RECONNECT_MAX_MS: Final = 1000

_EVENT: Final = struct.Struct("=H")
"""How a monitor's first frame begins: which event."""

KEY_BYTES: Final = 32
ZAP_VERSION: Final = b"1.0"
CURVE_BYTES: Final = 128
"""What encryption adds to a message at most; MAXMSGSIZE counts it (RFC 26)."""

Socket = zmq.Socket[bytes]

_identities: dict[str, Key] = {}
"""The key that is shown at an endpoint."""

_process_context: zmq.Context[Socket] | None = None
_owner = 0
_lock = threading.Lock()


def context() -> zmq.Context[Socket]:
    """The process's context; a new one after fork, whose sockets are the parent's."""
    global _process_context, _owner
    with _lock:
        if _process_context is None or _owner != os.getpid():
            _process_context = zmq.Context()
            _owner = os.getpid()
        return _process_context


def _renew_lock() -> None:
    """Another thread may have held it when this process was forked off."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def new_key_pair() -> tuple[str, str]:
    """A public and a secret key, as Z85."""
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


def identify(endpoints: Iterable[str], key: Key) -> None:
    """Show this key wherever this process connects to one of these endpoints."""
    _identities.update(dict.fromkeys(endpoints, key))


def _encrypt(socket: Socket, key: Key | None) -> None:
    """Serve only whom the ZAP socket lets in, and nobody in the clear."""
    if key is not None:
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, key.secret.encode())
        socket.setsockopt(zmq.ZAP_DOMAIN, b"pipeline")


def _bind(socket: Socket, endpoint: str, setting: str) -> Socket:
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        socket.close(0)
        text = f"{setting}: can't listen on {endpoint}: {error.strerror}"
        raise PipelineError(f"{text}; free the address or change the setting") from None
    return socket


def _connect(socket: Socket, endpoint: str) -> Socket:
    socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS)
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    # Else a connection that dies as it is made is waited for: 30 s, or TCP's minutes.
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    socket.setsockopt(zmq.CONNECT_TIMEOUT, HANDSHAKE_MS)
    key = _identities.get(endpoint)
    if key is not None:
        socket.setsockopt(zmq.CURVE_SERVERKEY, key.server.encode())
        socket.setsockopt(zmq.CURVE_PUBLICKEY, key.public.encode())
        socket.setsockopt(zmq.CURVE_SECRETKEY, key.secret.encode())
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        socket.close(0)
        text = f"can't connect to {endpoint}: {error.strerror}"
        raise PipelineError(
            f"{text}; an endpoint is tcp://host:port or ipc://path"
        ) from None
    return socket


def pull(endpoint: str, key: Key | None = None) -> Socket:
    """The ingester's way in; with a key it is encrypted."""
    socket = context().socket(zmq.PULL)
    _encrypt(socket, key)
    socket.setsockopt(zmq.RCVHWM, RECEIVE_FRAMES)
    socket.setsockopt(zmq.MAXMSGSIZE, FRAME_BYTES + (CURVE_BYTES if key else 0))
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    socket.setsockopt(zmq.LINGER, 0)
    return _bind(socket, endpoint, "ingest.endpoint")


def push(endpoint: str) -> Socket:
    """A sender's way to the ingester; a message leaves only when one is connected."""
    socket = context().socket(zmq.PUSH)
    socket.setsockopt(zmq.SNDHWM, SEND_FRAMES)
    socket.setsockopt(zmq.IMMEDIATE, 1)
    socket.setsockopt(zmq.LINGER, 0)
    return _connect(socket, endpoint)


def xpub(endpoint: str, key: Key | None = None) -> Socket:
    """The ingester's way out; `grant` decides on each subscription."""
    socket = context().socket(zmq.XPUB)
    _encrypt(socket, key)
    socket.setsockopt(zmq.SNDHWM, PUBLISH_FRAMES)
    socket.setsockopt(zmq.MAXMSGSIZE, SUBSCRIPTION_BYTES + (CURVE_BYTES if key else 0))
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    socket.setsockopt(zmq.XPUB_MANUAL, 1)
    socket.setsockopt(zmq.XPUB_VERBOSER, 1)
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    socket.setsockopt(zmq.LINGER, 0)
    return _bind(socket, endpoint, "publish.endpoint")


def router(endpoint: str) -> Socket:
    """Where requests come in that are answered one by one; only the owner may ask."""
    socket = context().socket(zmq.ROUTER)
    socket.setsockopt(zmq.RCVHWM, RECEIVE_FRAMES)
    socket.setsockopt(zmq.MAXMSGSIZE, REQUEST_BYTES)
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    socket.setsockopt(zmq.LINGER, 0)
    before = os.umask(0o177)  # so that a socket's file is never open to others
    try:
        return _bind(socket, endpoint, "control.endpoint")
    finally:
        os.umask(before)


class Link:
    """A client of a router, that knows whether it is there.

    What is sent waits until there is a connection.
    """

    def __init__(self, endpoint: str) -> None:
        self.socket = context().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.SNDHWM, SEND_FRAMES)
        self.socket.setsockopt(zmq.MAXMSGSIZE, REQUEST_BYTES)
        self.socket.setsockopt(zmq.LINGER, 0)
        events = zmq.Event.HANDSHAKE_SUCCEEDED | zmq.Event.DISCONNECTED
        self._events = self.socket.get_monitor_socket(events)
        self.is_made = False
        """Whether the router was ever there."""
        self.is_lost = False
        """Whether it went away: what it was sent has no reply any more."""
        _connect(self.socket, endpoint)

    def wait(self, seconds: float) -> None:
        """Until there is something to receive, or the router comes or goes."""
        poller = Poller()
        poller.watch(self.socket)
        poller.watch(self._events)
        poller.wait(seconds)
        while (frames := receive(self._events)) is not None:
            event = _EVENT.unpack_from(frames[0])[0]
            self.is_made |= event == zmq.Event.HANDSHAKE_SUCCEEDED
            self.is_lost |= self.is_made and event == zmq.Event.DISCONNECTED

    def close(self) -> None:
        """Let go of both."""
        self.socket.disable_monitor()
        self._events.close(0)
        self.socket.close(0)


def grant(socket: Socket, topic: bytes, *, subscribe: bool) -> None:
    """Carry out the subscription (or its end) that was received last on an XPUB."""
    socket.setsockopt(zmq.SUBSCRIBE if subscribe else zmq.UNSUBSCRIBE, topic)


def subscribe(
    endpoint: str, topics: Iterable[bytes], frames: int = ACKNOWLEDGE_FRAMES
) -> Socket:
    """A SUB for exactly these topics; two frames a message, topic and body.

    So many messages wait for a slow subscriber at most.
    """
    socket = context().socket(zmq.SUB)
    socket.setsockopt(zmq.RCVHWM, frames)
    more = CURVE_BYTES if endpoint in _identities else 0
    socket.setsockopt(zmq.MAXMSGSIZE, FRAME_BYTES + more)
    socket.setsockopt(zmq.LINGER, 0)
    for topic in topics:
        socket.setsockopt(zmq.SUBSCRIBE, topic)
    return _connect(socket, endpoint)


def listen(socket: Socket, topic: bytes, *, wanted: bool) -> None:
    """Subscribe a SUB to one more exact topic, or end that."""
    socket.setsockopt(zmq.SUBSCRIBE if wanted else zmq.UNSUBSCRIBE, topic)


def receive(socket: Socket) -> list[bytes] | None:
    """One whole message without waiting; None when there is none."""
    try:
        return socket.recv_multipart(zmq.NOBLOCK)
    except zmq.Again:
        return None


def receive_views(socket: Socket) -> list[memoryview] | None:
    """As `receive`, without copying large frames."""
    try:
        return [
            frame.buffer for frame in socket.recv_multipart(zmq.NOBLOCK, copy=False)
        ]
    except zmq.Again:
        return None


def receive_from(socket: Socket) -> tuple[str, list[memoryview]] | None:
    """As `receive_views`, with the key of who sent it, as `welcome` has let it in.

    An XPUB's own, for a subscriber that went away, have none: "".
    """
    try:
        frames = socket.recv_multipart(zmq.NOBLOCK, copy=False)
    except zmq.Again:
        return None
    try:
        key = str(frames[0].get("User-Id"))
    except zmq.ZMQError:
        key = ""
    return key, [frame.buffer for frame in frames]


def zap() -> Socket:
    """Where this process is asked who may come in; one at a time (ZAP, RFC 27)."""
    socket = context().socket(zmq.REP)
    socket.setsockopt(zmq.LINGER, 0)
    return _bind(socket, "inproc://zeromq.zap.01", "curve.enabled")


def welcome(socket: Socket, is_allowed: Callable[[str], bool]) -> bool | None:
    """Answer one question of a ZAP socket: whether it was let in; None: none waits.

    Who is let in is known by its public key, as Z85, in each of its messages.
    """
    frames = receive(socket)
    if frames is None:
        return None
    mechanism, credentials = frames[5:6], frames[6:7]
    is_in, user = False, b""
    if mechanism == [b"CURVE"] and credentials and len(credentials[0]) == KEY_BYTES:
        user = z85.encode(credentials[0])
        is_in = is_allowed(user.decode())
    # with 400 libzmq's clients would never come again, also when they are allowed then
    status = (b"200", b"OK") if is_in else (b"300", b"not allowed")
    send(socket, [ZAP_VERSION, *frames[1:2], *status, user if is_in else b"", b""])
    return is_in


def send(socket: Socket, frames: list[bytes]) -> bool:
    """One whole message without waiting; False when the socket has no room."""
    try:
        socket.send_multipart(frames, zmq.NOBLOCK, copy=False)
    except zmq.Again:
        return False
    return True


def writable(socket: Socket) -> bool:
    """Whether the socket would take a message now."""
    return bool(int(socket.getsockopt(zmq.EVENTS)) & zmq.POLLOUT)


class Poller:
    """Waits for sockets and file descriptors; times are seconds."""

    def __init__(self) -> None:
        self._poller = zmq.Poller()

    def watch(self, source: Socket | int, *, write: bool = False) -> None:
        """Wake up when the source can be read, or with `write` also written."""
        self._poller.register(source, zmq.POLLIN | (zmq.POLLOUT if write else 0))

    def forget(self, source: Socket | int) -> None:
        """No longer wait for the source."""
        with suppress(KeyError):
            self._poller.unregister(source)

    def wait(self, seconds: float | None) -> dict[Socket | int, int]:
        """Sources that are ready; empty after the time."""
        timeout = None if seconds is None else max(0, int(seconds * 1000 + 0.999))
        return dict(self._poller.poll(timeout))


def default_acknowledge_endpoint(endpoint: str) -> str:
    """Where acknowledgements come from when nobody says: the ingest port + 1."""
    scheme, _, address = endpoint.partition("://")
    host, colon, port = address.rpartition(":")
    if scheme != "tcp" or not colon or not port.isdigit():
        text = f"can't guess where {endpoint} acknowledges"
        raise PipelineError(f"{text}; give acknowledge_endpoint")
    return f"tcp://{host}:{int(port) + 1}"
