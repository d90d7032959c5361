"""Which stream a file goes on with: what is asked, and what the answers mean."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.collectors.lines import LineParser
from pipeline.collectors.link import Link
from pipeline.collectors.tail.feed import Feed
from pipeline.collectors.tail.identity import Inode, fingerprint, producer_of
from pipeline.collectors.tail.probe import GENERATIONS_MAX, Mark, Probe, matches
from pipeline.collectors.tail.sending import Sending
from pipeline.delivery.window import Window
from pipeline.wire.frame import Acknowledgement, Reply, file_tail

OWN, OTHER = Inode(1, 2), Inode(1, 3)
FIRST = b"first line\n"


def reply(durable: int, kind: Reply = Reply.HELLO, tail: int = 0) -> Acknowledgement:
    """What the ingester says of a stream."""
    return Acknowledgement(kind, 0, 0, b"b" * 16, durable, durable, 0, 0, tail)


def ask(probe: Probe, used: int) -> int:
    """Answer all, as if this many generations of the file were used; the questions."""
    known = {producer_of(OWN, FIRST, g): g + 1 for g in range(used)}
    asked = 0
    while questions := probe.questions():
        for producer in questions:
            asked += 1
            probe.answer(producer, reply(known.get(producer, 0)))
    return asked


@pytest.mark.parametrize(
    ("head", "is_final", "found"),
    [
        (b"", False, None),
        (b"", True, None),
        (b"one", False, None),
        (b"one", True, b"one"),
        (b"one\ntwo", False, b"one\n"),
        (b"\n", False, b"\n"),
        (b"x" * 300, False, b"x" * 256),
        (b"x" * 255 + b"\n", False, b"x" * 255 + b"\n"),
    ],
)
def test_a_fingerprint_is_the_first_line(head, is_final, found):
    """As soon as it is there, up to a limit, or what there is of it at the end."""
    assert fingerprint(head, is_final=is_final) == found


def test_a_new_file_is_one_question():
    """Nobody knows its first generation."""
    probe = Probe(FIRST, OWN, [])

    assert ask(probe, 0) == 1
    assert probe.is_done
    assert probe.own() is None
    assert probe.fresh() == (producer_of(OWN, FIRST, 0), 0)


@pytest.mark.parametrize("used", [1, 2, 5, 6, 40])
def test_the_last_generation_is_found(used):
    """However many there are; the next one is free."""
    probe = Probe(FIRST, OWN, [])
    ask(probe, used)

    own = probe.own()
    assert own is not None
    assert (own.generation, own.reply.durable) == (used - 1, used)
    assert probe.fresh() == (producer_of(OWN, FIRST, used), used)


def test_there_is_an_end_to_asking():
    """A file that began so often with the same line is given up."""
    probe = Probe(FIRST, OWN, [])

    assert ask(probe, 10 * GENERATIONS_MAX) == GENERATIONS_MAX
    assert probe.is_done
    assert probe.fresh() is None


def test_a_stream_in_use_is_not_free():
    """Nor is it gone on with."""
    probe = Probe(FIRST, OWN, [])
    (first,) = probe.questions()
    probe.answer(first, None)
    ask(probe, 0)

    own = probe.own()
    assert own is not None
    assert not matches(own, 10, lambda _: b"")
    assert probe.fresh() == (producer_of(OWN, FIRST, 1), 1)


def test_streams_of_other_files_are_asked_for_too():
    """The last ones first: it may be a copy of any."""
    probe = Probe(FIRST, OWN, [OTHER])
    known = {producer_of(OTHER, FIRST, g): reply(g + 1) for g in range(3)}
    while questions := probe.questions():
        for producer in questions:
            probe.answer(producer, known.get(producer, reply(0)))

    assert probe.own() is None
    assert [mark.generation for mark in probe.copied()] == [2, 1, 0]


def test_a_file_goes_on_where_it_has_the_same_bytes():
    """And is long enough."""
    data = bytes(range(100))
    mark = Mark(b"", 0, reply(80, tail=file_tail(data[:80])))

    assert matches(mark, 100, lambda end: data[:end])
    assert matches(mark, 80, lambda end: data[:end])
    assert not matches(mark, 79, lambda end: data[:end])
    assert not matches(mark, 100, lambda end: data[1 : end + 1])


@pytest.fixture
def sending(tmp_path: Path) -> Iterator[Sending]:
    """One whose ingester is away."""
    link = Link((f"ipc://{tmp_path}/in", f"ipc://{tmp_path}/out"))
    yield Sending(link)
    link.close()


@pytest.mark.parametrize(
    ("kind", "accepted", "goes_on"),
    [
        (Reply.ACK, 8, True),
        (Reply.NACK, 8, True),
        (Reply.NACK, 5, False),
        (Reply.ACK, 5, False),
        (Reply.HELLO, 20, False),
        (Reply.HELLO, 4, True),
        (Reply.HELLO, 3, False),
    ],
)
def test_a_stream_is_begun_anew_where_it_was_cut_otherwise(
    sending, kind, accepted, goes_on
):
    """By another process with the same file, or when the ingester has lost some."""
    feed = Feed(Window(b"p" * 16, 0, start=4), b"one\n", LineParser("s"), joins=False)
    feed.feed(b"two\n", 0)
    feed.feed(b"three\n", 0)
    sending.add(feed, 0.0)

    assert sending.acknowledge(b"p" * 16, reply(accepted, kind), 0) is goes_on
