"""A session against the ingester's own rules, without sockets: what arrives, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pipeline.batch.decode import parse
from pipeline.batch.encode import Row
from pipeline.collectors.accumulator import Accumulator
from pipeline.collectors.encoding import Encoder
from pipeline.collectors.outbox import Limits, Outbox
from pipeline.collectors.session import Session
from pipeline.delivery.spool import Record
from pipeline.delivery.stream import Streams, Verdict
from pipeline.wire.frame import Acknowledgement, Reply, Status, parse_header

SMALL = 64 << 10
BOOT = b"1" * 16


class Side:
    """A session, and an ingester that takes what it sends."""

    def __init__(self, folder: Path | None, **changes: object) -> None:
        values = (SMALL, 100, 16 << 10, 0.01, None, "drop_oldest", "overflow", folder)
        limits = Limits(*values, 1 << 20, "none")._replace(**changes)  # type: ignore[arg-type]
        self.box = Outbox(Accumulator(SMALL, 100, 16 << 10))
        self.refused: list[str] = []
        self.encoder = Encoder(None, lambda error: self.refused.append(error.field))
        self.session = Session(limits, self.box, self.encoder, 0)
        self.streams = Streams()
        self.stored: list[tuple[bytes, int, str]] = []
        self.logged = 0

    def log(
        self, count: int, call: Callable[[bytes, int, int], None] | None = None
    ) -> int:
        """Take batches of ten rows until one gets no number; how many rows."""
        for done in range(10, count + 1, 10):
            rows = [row(number) for number in range(self.logged, self.logged + 10)]
            self.session.queue(self.encoder.encode(rows), False, call)
            self.logged += 10
            if not self.session.place(0):
                return done
        return count

    def exchange(self, batches: int = 1000) -> Acknowledgement:
        """Send what it wants to, and acknowledge all of it; that acknowledgement."""
        stream = self.streams.get(self.session.producer)
        for _ in range(batches):
            self.session.place(0)
            self.session.follow_up(0)
            frames = self.session.window.take(0, 0)
            if frames is None:
                break
            header = parse_header(frames[0])
            if stream.judge(header, 0) is Verdict.TAKE:
                stream.take(header, {})
                rows = (
                    parse(frames[1]).entries(np.arange(header.rows))
                    if frames[1]
                    else []
                )
                self.stored += [
                    (header.producer, header.sequence + place, entry.message)
                    for place, entry in enumerate(rows)
                ]
        stream.durable = stream.accepted
        reply = answer(stream.durable)
        for first, count, call in self.session.acknowledge(reply, 0):
            call(self.session.producer, first, count)
        return reply

    def drain(self) -> None:
        """Until nothing is left."""
        while not (self.session.drained and self.session.window.is_empty):
            self.exchange()

    @property
    def messages(self) -> list[str]:
        """As they were stored."""
        return [message for _, _, message in self.stored]


def row(number: int) -> Row:
    """One that no compression makes small."""
    return (1, "app", 9, str(number), {"k": f"{number:0200d}"}, None, None)


def answer(
    durable: int, accepted: int | None = None, kind: Reply = Reply.ACK
) -> Acknowledgement:
    """An ingester's."""
    accepted = durable if accepted is None else accepted
    return Acknowledgement(kind, Status.OK, 0, BOOT, durable, accepted, 0, 1 << 24)


def texts(count: int) -> list[str]:
    """Messages of that many rows."""
    return [str(number) for number in range(count)]


@pytest.mark.parametrize("between", [0, 1, 7])
def test_numbers_go_out_in_order_from_memory_and_spool(
    tmp_path: Path, between: int
) -> None:
    """However much is sent between, each once."""
    side = Side(tmp_path)
    for _ in range(20):
        assert side.log(100) == 100
        side.exchange(between)
    side.drain()

    assert side.messages == texts(2000)
    assert [number for _, number, _ in side.stored] == list(range(1, 2001))


def test_memory_is_kept(tmp_path: Path) -> None:
    """What is held never passes its share, spooled or read again."""
    side = Side(tmp_path)
    most = 0
    for _ in range(30):
        side.log(100)
        most = max(most, side.session.cost)
    while side.session.window.last < side.session.last:
        side.exchange(3)
        most = max(most, side.session.cost)

    assert most <= SMALL // 2 + (16 << 10)
    assert side.messages[-1] != "2999"


def test_without_a_spool_nothing_more_gets_a_number() -> None:
    """Until there is room."""
    side = Side(None, mode="off")
    held = side.log(1000)
    assert 0 < held < 200

    side.exchange()
    assert side.session.place(0)
    side.drain()

    assert side.messages == texts(held)


def test_who_waits_for_what_was_given_up_is_not_told(tmp_path: Path) -> None:
    """It is not on disk, though later numbers are."""
    told: list[int] = []
    side = Side(None, mode="off")
    held = side.log(1000, lambda _, first, __: told.append(first))
    side.session.give_up()
    side.drain()

    lost = side.box.lost["full"].total()
    assert 0 < lost < held
    assert told == list(range(lost + 1, held + 1, 10))
    assert side.messages == texts(held)[lost:]


def test_the_oldest_on_disk_is_given_up_a_segment_at_a_time(tmp_path: Path) -> None:
    """What memory has as well is not lost."""
    side = Side(tmp_path, spool_bytes=200_000)
    held = side.log(10_000)
    side.session.give_up()
    assert not side.box.lost
    for _ in range(3):
        side.session.give_up()
    lost = side.box.lost["full"].total()
    side.session.place(0)
    side.drain()

    assert 0 < lost < held
    assert len(side.messages) == held - lost
    assert Counter(map(int, side.messages)).most_common(1)[0][1] == 1
    assert side.streams.get(side.session.producer).lost == lost


@pytest.mark.parametrize("spooled", [True, False])
@pytest.mark.parametrize("sent", [0, 5])
def test_a_forged_claim_releases_nothing(
    tmp_path: Path, spooled: bool, sent: int
) -> None:
    """What is not known to be stored is sent under another id."""
    side = Side(tmp_path if spooled else None, mode="overflow" if spooled else "off")
    logged = side.log(1000 if spooled else 100)
    side.exchange(sent)
    before = side.session.producer

    forged = answer(10**6)
    assert side.session.window.is_forged(forged)
    side.session.acknowledge(forged, 0)
    side.session.renew(side.session.window.durable, 0)
    logged += side.log(100)
    side.drain()

    assert side.session.producer != before
    assert side.messages == texts(logged)
    assert (side.session.settled, side.box.forged) == (logged, 1)


def test_damage_on_disk_is_a_hole_that_is_counted(tmp_path: Path) -> None:
    """By the session and by the ingester, as often."""
    side = Side(tmp_path, spool_bytes=1 << 30)
    side.log(1000)
    (segment,) = tmp_path.glob("*.spool")
    content = bytearray(segment.read_bytes())
    content[len(content) * 3 // 4] ^= 1
    segment.write_bytes(content)
    side.drain()

    assert side.box.lost == {"damaged": Counter({0: 10})}
    assert len(side.messages) == 990
    assert side.streams.get(side.session.producer).lost == 10


def test_callers_do_not_wait_while_a_segment_is_given_up(tmp_path: Path) -> None:
    """What is read for it is read without their lock; mostly nothing is."""
    side = Side(tmp_path, spool_bytes=400_000)
    side.log(10_000)
    spool, lock = side.session.spool, side.box.accumulator.lock
    assert spool is not None
    read, free = spool.read, []

    def takes_turn() -> bool:
        if taken := lock.acquire(timeout=0.5):
            lock.release()
        return taken

    def watched(number: int, rows: int, size: int) -> list[Record]:
        with ThreadPoolExecutor(1) as other:
            free.append(other.submit(takes_turn).result())
        return read(number, rows, size)

    spool.read = watched  # type: ignore[method-assign]
    for _ in range(5):
        side.session.give_up()

    assert free
    assert all(free)
    assert len(free) <= 2
    lost = side.box.lost["full"]
    assert set(lost) == {9}
    assert 0 < lost.total() < side.session.last
