"""The relay's thread, with a real ingester that is killed and started again."""

from __future__ import annotations

import os
import queue
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import clock
from pipeline.batch.encode import encode_rows
from pipeline.collectors.forwarding import Call, Ending, Fate
from pipeline.collectors.relay import Relay
from pipeline.errors import PipelineError
from pipeline.wire.frame import Flag, Header
from tests.running import RunningIngester
from tests.wire.messages import entry

WAIT = 20.0


@pytest.fixture
def ingester(tmp_path: Path) -> Iterator[RunningIngester]:
    """One that a test may kill."""
    running = RunningIngester(tmp_path)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def relay(ingester: RunningIngester) -> Iterator[Relay]:
    """The way to it."""
    made = Relay((ingester.ingest, ingester.publish), 1 << 20)
    yield made
    made.close()


class Sender:
    """One client: numbers in, endings out."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.producer = os.urandom(16)
        self.ended: queue.SimpleQueue[Ending] = queue.SimpleQueue()

    def submit(self, sequence: int, span: int, seconds: float = WAIT) -> None:
        """Entries with their numbers as messages."""
        rows = [entry(str(sequence + place)) for place in range(span)]
        payload = encode_rows(rows) if rows else b""
        header = Header(Flag.FLUSH, 0, self.producer, sequence, 1, span, span, 0, 0)
        deadline = clock.monotonic_ns() + int(seconds * 1e9)
        call = Call(header, payload, deadline, self.ended.put)
        assert self.relay.submit(call) is None

    def ending(self) -> Ending:
        """The next one."""
        return self.ended.get(timeout=WAIT)

    def call(self, sequence: int, span: int, seconds: float = WAIT) -> Ending:
        """Submit, and wait."""
        self.submit(sequence, span, seconds)
        return self.ending()


def messages(ingester: RunningIngester) -> list[int]:
    """What is stored, as the numbers that the senders gave it."""
    return [int(found.message) for found in ingester.entries()]


def test_a_call_ends_when_it_is_durable(
    relay: Relay, ingester: RunningIngester
) -> None:
    """And its retry is a duplicate."""
    sender = Sender(relay)

    assert sender.call(1, 3) == Ending(Fate.DURABLE, 3, 4)
    assert messages(ingester) == [1, 2, 3]
    assert sender.call(1, 3) == Ending(Fate.DURABLE, 3, 4, is_duplicate=True)
    assert sender.call(5, 1) == Ending(Fate.OUT_OF_ORDER, 3, 4)
    assert sender.call(1, 0) == Ending(Fate.DURABLE, 3, 4)
    assert messages(ingester) == [1, 2, 3]


def test_many_senders_and_calls_share_one_relay(
    relay: Relay, ingester: RunningIngester
) -> None:
    """Those of one sender one behind the other, without waiting."""
    senders = [Sender(relay) for _ in range(50)]
    for number in range(1, 41, 2):
        for sender in senders:
            sender.submit(number, 2)

    for sender in senders:
        assert {sender.ending().fate for _ in range(20)} == {Fate.DURABLE}
    assert sorted(messages(ingester)) == sorted([*range(1, 41)] * 50)


def test_a_killed_ingester_costs_nothing(
    relay: Relay, ingester: RunningIngester
) -> None:
    """What it had not made durable is sent to the next one."""
    sender = Sender(relay)
    assert sender.call(1, 1).fate is Fate.DURABLE
    for number in range(2, 32):
        sender.submit(number, 1)
    assert ingester._child is not None
    ingester._child.send_signal(signal.SIGKILL)
    ingester.stop()
    ingester.start()

    assert {sender.ending().fate for _ in range(30)} == {Fate.DURABLE}
    assert sender.call(20, 5).is_duplicate
    assert messages(ingester) == list(range(1, 32))


def test_without_an_ingester_a_call_is_late(
    relay: Relay, ingester: RunningIngester
) -> None:
    """And nothing of it is sent afterwards: the sender was told."""
    sender = Sender(relay)
    ingester.stop()
    assert sender.call(1, 1, seconds=0.2).fate is Fate.LATE
    ingester.start()

    assert sender.call(1, 0) == Ending(Fate.DURABLE, 0, 1)
    assert messages(ingester) == []
    assert relay.stats()["relayed_calls"] == 0


def test_an_endpoint_that_is_none_is_told() -> None:
    """By the call after the one that found out."""
    relay = Relay(("nonsense", "nonsense"), 1)
    header = Header(0, 0, bytes(16), 1, 1, 0, 0, 0, 0)
    relay.submit(Call(header, b"", 0, lambda _: None))
    assert relay._thread is not None
    relay._thread.join()

    with pytest.raises(PipelineError, match="can't connect to nonsense"):
        relay.submit(Call(header, b"", 0, lambda _: None))
    relay.close()
