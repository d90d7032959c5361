"""Both sides against a bad network: nothing is lost, nothing is there twice.

Messages between a real Window and a real Stream are lost, doubled and delayed past each
other; the ingester is killed between commits, and its acknowledgements with it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

import pytest

from pipeline.delivery.stream import Stream, Verdict
from pipeline.delivery.window import Window
from pipeline.wire.frame import (
    Acknowledgement,
    Flag,
    Reply,
    Status,
    pack_acknowledgement,
    parse_acknowledgement,
    parse_header,
)
from tests.wire.messages import PRODUCER

SCHEDULES = 400
BATCHES = 25
STEP = 20_000_000
STEPS_MAX = 20_000


@dataclass
class Network:
    """Messages on their way, each with the step at which it arrives."""

    chance: random.Random
    trouble: float
    messages: list[tuple[int, bytes, bytes]] = field(default_factory=list)

    def send(self, step: int, head: bytes, body: bytes = b"") -> None:
        """Lose it, double it or delay it, as it comes."""
        for _ in range(2 if self.chance.random() < self.trouble else 1):
            if self.chance.random() >= self.trouble:
                delay = self.chance.choice((0, 1, 1, 2, 30))
                self.messages.append((step + delay, head, body))

    def arrived(self, step: int) -> list[tuple[int, bytes, bytes]]:
        """What is here by now."""
        here = [found for found in self.messages if found[0] <= step]
        self.messages = [found for found in self.messages if found[0] > step]
        return here


@dataclass
class Ingester:
    """A Stream with a disk: what it takes waits in memory for the next commit."""

    boot: bytes
    disk: Stream
    stored: list[int]
    stream: Stream = field(init=False)
    waiting: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stream = replace(self.disk)

    def receive(self, head: bytes, now: int) -> Reply | None:
        """Judge and take one batch."""
        header = parse_header(head)
        verdict = self.stream.judge(header, now)
        if verdict is Verdict.TAKE:
            self.stream.take(header, {})
            self.waiting += range(header.sequence, header.last + 1)
        replies = {Verdict.NACK: Reply.NACK, Verdict.DUPLICATE: Reply.ACK}
        return replies.get(verdict)

    def commit(self) -> None:
        """Make durable what waits: rows and mark in one step."""
        self.stored += self.waiting
        self.waiting = []
        self.stream.durable = self.stream.accepted
        self.disk = replace(self.stream)

    def reply(self, kind: Reply) -> bytes:
        """An acknowledgement as bytes."""
        marks = (self.stream.durable, self.stream.accepted, 0, 1 << 24)
        return pack_acknowledgement(
            Acknowledgement(kind, Status.OK, 0, self.boot, *marks)
        )


@dataclass
class World:
    """One schedule of everything that can go wrong."""

    seed: int

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        trouble = self.chance.choice((0.0, 0.05, 0.3))
        self.there = Network(self.chance, trouble)
        self.back = Network(self.chance, trouble)
        self.kills = self.chance.choice((0.0, 0.02))
        self.ingester = Ingester(b"0" * 16, Stream(PRODUCER), [])
        self.window = Window(PRODUCER, 0)
        self.last = 0

    def run(self) -> None:
        """Until all that was logged is durable and the sender knows it."""
        waiting = [self.chance.randint(1, 5) for _ in range(BATCHES)]
        for step in range(STEPS_MAX):
            if waiting and self.chance.random() < 0.5:
                count = waiting.pop()
                self.last += count
                self.window.add(b"x", count, 0)
            self.sender(step, step * STEP)
            self.receiver(step, step * STEP)
            if not waiting and self.window.durable == self.last:
                return
        raise AssertionError(f"not done after {STEPS_MAX} steps")

    def sender(self, step: int, now: int) -> None:
        """One turn of the Collector's thread."""
        for _, body, _ in self.back.arrived(step):
            self.window.acknowledge(parse_acknowledgement(body), now)
        self.window.expire(now)
        while (frames := self.window.take(now, 0)) is not None:
            if self.chance.random() < 0.05:
                self.window.untake()
                return
            self.there.send(step, *frames)

    def receiver(self, step: int, now: int) -> None:
        """One turn of the ingester's loop, or its end."""
        if self.chance.random() < self.kills:
            old = self.ingester
            boot = self.chance.randbytes(16)
            self.ingester = Ingester(boot, old.disk, old.stored)
            self.there.messages.clear()
            self.back.send(step, self.ingester.reply(Reply.HELLO))
            return
        flush = False
        for _, head, _ in self.there.arrived(step):
            flush |= bool(parse_header(head).flags & Flag.FLUSH)
            answer = self.ingester.receive(head, now)
            if answer is not None:
                self.back.send(step, self.ingester.reply(answer))
        if self.ingester.waiting and (flush or self.chance.random() < 0.4):
            self.ingester.commit()
            self.back.send(step, self.ingester.reply(Reply.ACK))


@pytest.mark.parametrize("part", range(4))
def test_every_schedule_ends_with_each_number_once(part: int) -> None:
    """The seed of one that doesn't is in the message."""
    for seed in range(part, SCHEDULES, 4):
        world = World(seed)
        world.run()
        expected = list(range(1, world.last + 1))
        assert world.ingester.stored == expected, f"seed {seed}"
        assert world.ingester.disk.lost == 0, f"seed {seed}"
