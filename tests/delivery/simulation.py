"""Both sides of the protocol in a world where everything goes wrong, from a seed.

Real are Window, and Intake with its Streams; the ingester's loop and its disk are
modelled.  A schedule ends when every sender is done, and then the store must hold what
was logged, once and in order, and the ledger say what became of the rest.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from operator import lt

from pipeline.delivery.stream import IDLE_AGE, Stream
from pipeline.ingester.batcher import Policy
from pipeline.ingester.intake import Cut, Intake
from pipeline.store.block import Part
from pipeline.wire.frame import (
    Acknowledgement,
    Reply,
    Status,
    file_tail,
    pack_acknowledgement,
    parse_acknowledgement,
)
from tests.delivery.network import Line, trouble
from tests.delivery.senders import FILE, Ledger, Sender

SCHEDULES = 3_000
STEP = 20_000_000
STEPS_MAX = 4_000
RESTARTS = 5
"""Of one sender; then it has to come to an end by itself."""

RETRY_MS = 250
REASSURE = 300_000_000


class Disk:
    """What outlives the ingester: rows and marks, changed in one step."""

    def __init__(self) -> None:
        self.rows: dict[bytes, list[int]] = {}
        self.marks: dict[bytes, Stream] = {}

    def commit(self, cut: Cut, half: bool) -> None:
        """All of it; of a commit whose process dies `half` way, nothing."""
        if half:
            return
        self.store(cut)
        self.mark(cut)

    def store(self, cut: Cut) -> None:
        """The blocks."""
        for part in (part for parts in cut.blocks for part in parts):
            self.rows.setdefault(part.producer, []).extend(numbers(part))

    def mark(self, cut: Cut) -> None:
        """The producers."""
        for producer in cut.forgotten:
            self.marks.pop(producer, None)
        self.marks |= {mark.producer: mark for mark in cut.marks}

    def streams(self) -> Iterator[Stream]:
        """What an ingester reads when it starts."""
        for mark in self.marks.values():
            stream = mark.copy()
            stream.durable = stream.accepted
            stream.waiting = False
            yield stream


def numbers(part: Part) -> list[int]:
    """Of its rows; each message must be the number of its row."""
    rows = part.batch.rows
    offsets = range(rows) if part.offsets is None else part.offsets.tolist()
    found = [part.sequence + offset for offset in offsets]
    texts = "".join(f"{number}\n" for number in found).encode()
    data = bytes(part.batch.columns["message"].data)
    assert data.endswith(texts), f"{data!r} was stored as {found}"
    return found


class Ingester:
    """The loop of ingester.py around a real Intake."""

    def __init__(self, world: World, boot: bytes) -> None:
        self.intake = Intake(boot, list(world.disk.streams()), Policy())
        self._world = world
        self._boot = boot
        self._cut: Cut | None = None
        self._ends = 0
        self._failed = False
        self._reassure_at = 0

    def turn(self, step: int, now: int) -> None:
        """Subscriptions, messages, commits, acknowledgements."""
        for sender in self._world.senders:
            if sender.line.move(step):
                self._greet(sender.ledger.producer, step)
            for frames in sender.line.there.arrived(step):
                self.intake.receive(frames, now)
        if self._cut is not None and step >= self._ends:
            self._conclude(self._cut, step)
        for producer, kind in self.intake.replies.items():
            self._reply(self.intake.streams.peek(producer), kind, step)
        self.intake.replies.clear()
        if self._cut is None and self.intake.due(now):
            self._cut = self.intake.cut(now)
            self._ends = step + self._world.chance.choice((0, 1, 1, 2, 20))
        if now >= self._reassure_at:
            self._reassure_at = now + REASSURE
            for stream in self.intake.undurable():
                self._reply(stream, Reply.ACK, step)

    def die(self) -> None:
        """At any moment, in the middle of a commit too."""
        if self._cut is not None and not self._failed:
            moment = self._world.chance.choice(("before", "in", "after"))
            if moment != "before":
                self._world.disk.commit(self._cut, half=moment == "in")

    def _greet(self, producer: bytes, step: int) -> None:
        stream = self.intake.streams.peek(producer) or Stream(producer)
        if stream.durable < stream.accepted:
            stream.waiting = True
        else:
            self._reply(stream, Reply.HELLO, step)

    def _conclude(self, cut: Cut, step: int) -> None:
        world = self._world
        self._failed = world.chance.random() < world.worst.full_disk
        if self._failed:
            self._ends = step + RETRY_MS * 1_000_000 // STEP
            for mark in cut.marks:
                stream = self.intake.streams.peek(mark.producer)
                self._reply(stream, Reply.ACK, step, RETRY_MS)
            return
        self._cut = None
        world.disk.commit(cut, half=False)
        for stream in self.intake.committed(cut):
            kind = Reply.ACK
            if stream.waiting and stream.durable >= stream.accepted:
                kind, stream.waiting = Reply.HELLO, False
            self._reply(stream, kind, step)

    def _reply(
        self, stream: Stream | None, kind: Reply, step: int, retry_ms: int = 0
    ) -> None:
        sender = self._world.owner(stream.producer) if stream else None
        if stream is None or sender is None or not sender.line.subscribed:
            return
        status = Status.DISK_FULL if self._failed else Status.OK
        tail = stream.tail if stream.durable == stream.accepted else 0
        marks = (stream.durable, stream.accepted, stream.rejected, 1 << 24, tail)
        reply = Acknowledgement(kind, status, retry_ms, self._boot, *marks)
        sender.line.back.send(step, (pack_acknowledgement(reply),))


class World:
    """One schedule."""

    def __init__(self, seed: int, disk: Disk) -> None:
        self.chance = random.Random(seed)
        self.worst = trouble(self.chance)
        self.disk = disk
        self.steps = 0
        self._dies_at = -1
        kinds = self.chance.sample(
            ("session", "spool", "file"), self.chance.choice((1, 1, 2))
        )
        self.senders = [
            Sender(kind, self.chance, Line(self.chance, self.worst), self.worst.gaps)
            for kind in kinds
        ]
        self.ingester = Ingester(self, self.chance.randbytes(16))

    @property
    def ledgers(self) -> list[Ledger]:
        """Of all producer ids that there were."""
        return [ledger for sender in self.senders for ledger in sender.ledgers]

    def owner(self, producer: bytes) -> Sender | None:
        """Who listens to a producer's acknowledgements."""
        for sender in self.senders:
            if sender.ledger.producer == producer:
                return sender
        return None

    def run(self) -> None:
        """Until all that was logged is durable and the senders know it."""
        for step in range(STEPS_MAX):
            now = step * STEP
            self.steps = step
            for sender in self.senders:
                self._turn(sender, step, now)
            if (
                step == self._dies_at
                or self.chance.random() < self.worst.ingester_kills
            ):
                self._kill_ingester(step)
            elif self.worst.forgets and self.chance.random() < 0.1:
                self._forget(now)
            self.ingester.turn(step, now)
            if all(sender.is_done for sender in self.senders):
                return
        raise AssertionError(f"not done after {STEPS_MAX} steps")

    def _turn(self, sender: Sender, step: int, now: int) -> None:
        kills = self.worst.sender_kills if sender.restarts < RESTARTS else 0.0
        if self.chance.random() < kills:
            sender.line.end(step)
            sender.restart(now)
            if self.worst.ingester_kills:  # the one in the wake of the other
                self._dies_at = step + self.chance.randint(1, 25)
        for (body,) in sender.line.back.arrived(step):
            reply = parse_acknowledgement(body)
            self._check_told(sender.ledger, reply)
            sender.hear(reply, now)
        sender.log()
        sender.give_up(self.worst.holds)
        sender.send(step, now)

    def _kill_ingester(self, step: int) -> None:
        self.ingester.die()
        self.ingester = Ingester(self, self.chance.randbytes(16))
        for sender in self.senders:
            sender.line.cut(step)

    def _forget(self, now: int) -> None:
        """A month in which nobody logs, if nobody is about to."""
        if not all(sender.is_idle for sender in self.senders):
            return
        streams = self.ingester.intake.streams
        streams.expire(now)
        streams.expire(now + IDLE_AGE + 1)
        for sender in self.senders:
            if streams.peek(sender.ledger.producer) is None:
                sender.ledger.forgotten = sender.ledger.last

    def _check_told(self, ledger: Ledger, reply: Acknowledgement) -> None:
        """What is acknowledged is on disk, what is accepted was sent."""
        assert reply.accepted <= ledger.last, "numbers that nobody gave"
        mark = self.disk.marks.get(ledger.producer)
        durable = max(mark.accepted if mark else 0, ledger.forgotten)
        assert reply.durable <= durable, f"told {reply.durable}, on disk {durable}"

    def check(self) -> None:
        """Everything there, once, in order; the rest in the ledger."""
        known = {ledger.producer for ledger in self.ledgers}
        assert self.disk.marks.keys() <= known, "a producer that nobody is"
        assert self.disk.rows.keys() <= known, "rows that nobody logged"
        for sender in self.senders:
            for ledger in sender.ledgers:
                self._check_ledger(ledger, lives=ledger is sender.ledger)
        if self.worst.is_clean:
            waits = sum(sender.timeouts for sender in self.senders)
            assert not waits, f"{waits} time-outs where HELLO and NACK tell all"

    def _check_ledger(self, ledger: Ledger, *, lives: bool) -> None:
        rows = self.disk.rows.get(ledger.producer, [])
        mark = self.disk.marks.get(ledger.producer) or Stream(ledger.producer)
        reached = max(mark.accepted, ledger.forgotten)
        if lives:
            assert reached == ledger.last, f"{reached} of {ledger.last} taken"
        expected = set(ledger.rows(1, reached))
        assert all(map(lt, rows, rows[1:])), "double, or out of order"
        assert expected.issuperset(rows), "numbers that are no entries"
        missing = expected.difference(rows)
        assert missing <= ledger.given_up, f"gone: {sorted(missing)[:5]}"
        if ledger.last and mark.accepted:
            check_mark(ledger, mark, len(rows), missing)
            if lives and ledger.kind != "file":
                assert mark.finished, "no FIN"
                assert mark.dropped == ledger.dropped, "dropped by policy"


def check_mark(ledger: Ledger, mark: Stream, rows: int, missing: set[int]) -> None:
    """The ingester's ledger against what is known outside."""
    lost = mark.lost
    if ledger.kind == "file":
        assert (mark.kind, mark.lost, mark.stored) == ("file", 0, rows)
        position = mark.accepted
        assert mark.tail == file_tail(FILE[max(0, position - 64) : position])
        return
    assert mark.accepted == mark.stored + mark.rejected + lost, f"{mark} doesn't add up"
    assert mark.rejected == sum(mark.reasons.values())
    assert mark.dropped <= ledger.dropped, "dropped by policy"
    if ledger.forgotten:  # it began anew: what it had before counts as lost
        return
    assert mark.stored == rows
    if not ledger.gaps:
        assert lost == len(missing), f"lost {lost}, gone {len(missing)}"
    assert len(missing) <= lost <= len(ledger.given_up)


def run(seed: int, disk: type[Disk] = Disk) -> World:
    """One schedule from beginning to end; raises AssertionError with its seed."""
    world = World(seed, disk())
    try:
        world.run()
        world.check()
    except AssertionError as error:
        raise AssertionError(f"seed {seed}, {world.worst}: {error}") from error
    return world
