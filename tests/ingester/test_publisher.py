"""Who may listen to what, on real sockets."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from pipeline import transport
from pipeline.delivery.stream import Stream
from pipeline.errors import PipelineError
from pipeline.ingester.publisher import Publisher
from pipeline.wire.frame import (
    ACKNOWLEDGE_TOPIC,
    STATUS_TOPIC,
    SUMMARY_TOPIC,
    Reply,
    Status,
    parse_acknowledgement,
)

TOPIC = ACKNOWLEDGE_TOPIC + b"p" * 16


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    """On a socket of its own."""
    made = Publisher(f"ipc://{tmp_path}/out", b"b" * 16)
    yield made
    made.close()


def listen(publisher: Publisher, *topics: bytes) -> transport.Socket:
    """A subscriber whose wishes have arrived."""
    endpoint = publisher.socket.getsockopt_string(zmq.LAST_ENDPOINT)
    socket = transport.subscribe(endpoint, topics)
    assert publisher.socket.poll(5000)
    return socket


def test_a_producer_hears_its_own_acknowledgements(publisher: Publisher) -> None:
    """The subscription is at once the wish for a HELLO."""
    socket = listen(publisher, TOPIC)

    assert publisher.subscriptions() == [b"p" * 16]
    publisher.acknowledge(Stream(b"p" * 16, 7, 5), Reply.ACK, Status.OK)

    topic, body = socket.recv_multipart()
    reply = parse_acknowledgement(body)
    assert (topic, reply.accepted, reply.durable) == (TOPIC, 7, 5)
    socket.close(0)


@pytest.mark.parametrize("topic", [b"", b"a", TOPIC[:-1], TOPIC + b"x", b"sum", b"z"])
def test_nobody_listens_to_all(publisher: Publisher, topic: bytes) -> None:
    """Only exact topics are granted; a prefix would be everybody's messages."""
    socket = listen(publisher, topic)

    assert publisher.subscriptions() == []
    for stream in (b"p" * 16, b"z" * 16):
        publisher.acknowledge(Stream(stream), Reply.ACK, Status.OK)

    assert publisher.counters["subscriptions_refused"] == 1
    assert not socket.poll(50)
    socket.close(0)


def test_what_nobody_wants_is_not_made(publisher: Publisher) -> None:
    """Until somebody comes, and again when the last has gone."""
    assert not publisher.wanted(SUMMARY_TOPIC)
    first = listen(publisher, SUMMARY_TOPIC)
    assert publisher.subscriptions() == []
    second = listen(publisher, SUMMARY_TOPIC)
    publisher.subscriptions()

    for socket in (first, second):
        assert publisher.wanted(SUMMARY_TOPIC)
        socket.close(0)
        assert publisher.socket.poll(5000)
        publisher.subscriptions()

    assert not publisher.wanted(SUMMARY_TOPIC)


def test_other_messages_from_a_subscriber_mean_nothing(publisher: Publisher) -> None:
    """An XSUB may send whatever it likes."""
    socket = listen(publisher, SUMMARY_TOPIC)
    publisher.subscriptions()
    endpoint = publisher.socket.getsockopt_string(zmq.LAST_ENDPOINT)
    other = transport.context().socket(zmq.XSUB)
    other.connect(endpoint)

    for message in (b"\x02" + SUMMARY_TOPIC, b"", b"hello"):
        other.send(message)
        assert publisher.socket.poll(5000)
        assert publisher.subscriptions() == []

    assert publisher.wanted(SUMMARY_TOPIC)
    other.close(0)
    socket.close(0)


def test_an_address_in_use_is_named(publisher: Publisher) -> None:
    """With the setting that would change it."""
    taken = transport.context().socket(zmq.REP)
    port = taken.bind_to_random_port("tcp://127.0.0.1")

    with pytest.raises(PipelineError, match="can't listen on"):
        Publisher(f"tcp://127.0.0.1:{port}", b"b" * 16)

    taken.close(0)


@pytest.mark.parametrize(
    ("topic", "asked"), [(SUMMARY_TOPIC, False), (STATUS_TOPIC, True)]
)
def test_a_new_watcher_gets_a_status_at_once(
    publisher: Publisher, topic: bytes, asked: bool
) -> None:
    """It does not wait for the next second."""
    socket = listen(publisher, topic)
    publisher.subscriptions()
    assert publisher.status_asked == asked

    publisher.status({})
    assert not publisher.status_asked
    socket.close(0)
