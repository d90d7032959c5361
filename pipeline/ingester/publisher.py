"""The XPUB socket: acknowledgements, summaries, batches and the ingester's status.

A subscription is granted for an exact topic only, so that nobody listens to all
producers, and what nobody subscribes to is not encoded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from pipeline import transport
from pipeline.batch.pack import pack
from pipeline.delivery.stream import Stream
from pipeline.ingester.door import Door
from pipeline.keys import Key
from pipeline.store.block import Sealed
from pipeline.wire.frame import (
    ACKNOWLEDGE_TOPIC,
    BATCH_TOPIC,
    LARGEST_MESSAGE,
    PRODUCER_BYTES,
    STATUS_TOPIC,
    SUMMARY_TOPIC,
    Acknowledgement,
    Reply,
    Status,
    pack_acknowledgement,
)

PUBLISHED_BYTES: Final = 1 << 20
"""A larger batch is counted, not published: a stalled subscriber holds 32 of them."""

_UNSUBSCRIBE: Final = b"\x00"
_WISHES: Final = frozenset({_UNSUBSCRIBE, b"\x01"})
"""Unsubscribe and subscribe; anything else is a message that somebody made up."""

_OPEN_TOPICS: Final = frozenset({SUMMARY_TOPIC, BATCH_TOPIC, STATUS_TOPIC})
_ACKNOWLEDGE_BYTES: Final = len(ACKNOWLEDGE_TOPIC) + PRODUCER_BYTES


class Publisher:
    """Who listens, and what they are told."""

    def __init__(
        self,
        endpoint: str,
        boot: bytes,
        key: Key | None = None,
        door: Door | None = None,
    ) -> None:
        self.socket = transport.xpub(endpoint, key)
        self._door = door
        self.boot = boot
        self.counters: Counter[str] = Counter()
        self.status_asked = False
        """Whether somebody new waits for a status."""
        self._topics: Counter[bytes] = Counter()

    def subscriptions(self) -> list[bytes]:
        """Grant what was asked for; the producers that now want a HELLO."""
        joined = []
        while (asked := self._asked()) is not None:
            (wish, topic), may_follow = asked
            producer = self._producer(topic)
            is_open = topic in _OPEN_TOPICS and may_follow
            known = wish in _WISHES and (producer is not None or is_open)
            if not known:
                self.counters["subscriptions_refused"] += 1
                continue
            subscribes = wish == b"\x01"
            transport.grant(self.socket, topic, subscribe=subscribes)
            self._topics[topic] += 1 if subscribes else -1
            if self._topics[topic] <= 0:
                del self._topics[topic]
            self.status_asked |= subscribes and topic == STATUS_TOPIC
            if subscribes and producer is not None:
                joined.append(producer)
        return joined

    def _asked(self) -> tuple[tuple[bytes, bytes], bool] | None:
        """The next wish and its topic, and whether its sender may follow commits."""
        if self._door is None:
            frames = transport.receive(self.socket)
            return None if frames is None else (_split(frames[0]), True)
        found = transport.receive_from(self.socket)
        if found is None:
            return None
        key, views = found
        if not key and bytes(views[0][:1]) == _UNSUBSCRIBE:
            return _split(bytes(views[0])), True  # the socket's own: one went away
        sender = self._door.allowed(key)
        if sender is None:
            return (b"", b""), False
        return _split(bytes(views[0])), sender.role == "read"

    def wanted(self, topic: bytes) -> bool:
        """Whether anybody listens to it."""
        return topic in self._topics

    def acknowledge(
        self, stream: Stream, kind: Reply, status: Status, retry_ms: int = 0
    ) -> None:
        """Tell one producer how far it has come."""
        reply = Acknowledgement(
            kind,
            status,
            retry_ms,
            self.boot,
            stream.durable,
            stream.accepted,
            stream.rejected,
            LARGEST_MESSAGE,
            stream.tail if stream.durable == stream.accepted else 0,
        )
        topic = ACKNOWLEDGE_TOPIC + stream.producer
        transport.send(self.socket, [topic, pack_acknowledgement(reply)])

    def publish(self, block: int, sealed: Sealed) -> None:
        """Tell the followers of the stream what was committed."""
        if self.wanted(SUMMARY_TOPIC):
            body = self._body(block, sealed, counts=sealed.cells)
            transport.send(self.socket, [SUMMARY_TOPIC, body])
        if self.wanted(BATCH_TOPIC):
            if len(sealed.data) > PUBLISHED_BYTES:
                self.counters["batches_too_large"] += 1
                return
            body = self._body(block, sealed, data=sealed.data)
            transport.send(self.socket, [BATCH_TOPIC, body])

    def status(self, fields: dict[str, Any]) -> None:
        """Tell whoever watches how the ingester is."""
        self.status_asked = False
        if self.wanted(STATUS_TOPIC):
            body = pack({"boot": self.boot, **fields})
            transport.send(self.socket, [STATUS_TOPIC, body])

    def close(self) -> None:
        """Close the socket; what was sent a moment ago still goes out."""
        self.socket.close(linger=200)

    def _body(self, block: int, sealed: Sealed, **fields: Sequence[Any]) -> bytes:
        return pack({"boot": self.boot, "block": block, "rows": sealed.rows, **fields})

    def _producer(self, topic: bytes) -> bytes | None:
        if len(topic) == _ACKNOWLEDGE_BYTES and topic.startswith(ACKNOWLEDGE_TOPIC):
            return topic[len(ACKNOWLEDGE_TOPIC) :]
        return None


def _split(message: bytes) -> tuple[bytes, bytes]:
    return message[:1], message[1:]
