"""What the analyzer reads from the ingester, and how it notices what did not come."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from pipeline.analyzer.follower import Follower, Hole, Step, read_batch, read_summary
from pipeline.errors import FrameError

BOOT, OTHER = b"a" * 16, b"b" * 16


def _body(**fields: Any) -> bytes:
    """A summary's bytes; fields replace the good ones."""
    good = {"boot": BOOT, "block": 3, "rows": 1, "counts": [[7, "api", 17, 2]]}
    packed: bytes = msgpack.packb(good | fields)
    return packed


def test_a_summary_is_read() -> None:
    """Fields that nobody knows yet are ignored."""
    assert read_summary(_body(more=1)) == (BOOT, 3, [[7, "api", 17, 2]])


def test_a_batch_is_read() -> None:
    """Its entries stay as they are."""
    assert read_batch(_body(data=b"columns")) == (BOOT, 3, b"columns")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        msgpack.packb([1]),
        msgpack.packb({"boot": BOOT}),
        _body(boot=b"short"),
        _body(block="3"),
        _body(counts={}),
        _body(counts=[[7, "api", 17]]),
        _body(counts=[[7, "api", 17, 0]]),
        _body(counts=[[7, "api", 17, 1 << 40]]),
        _body(counts=[[7, None, 17, 1]]),
        _body(counts=[["7", "api", 17, 1]]),
    ],
)
def test_what_is_no_summary_is_refused(body: bytes) -> None:
    """Whatever is wrong with it."""
    with pytest.raises(FrameError, match="summary"):
        read_summary(body)


@pytest.mark.parametrize("body", [b"", _body(block=None), _body(), _body(data="x")])
def test_what_is_no_batch_is_refused(body: bytes) -> None:
    """As for summaries."""
    with pytest.raises(FrameError, match="batch"):
        read_batch(body)


def _begun(commit: int) -> Follower:
    follower = Follower()
    assert follower.begin(commit) is None
    return follower


def test_commits_in_their_order_are_news() -> None:
    """From the one on that the store told of last."""
    follower = _begun(4)

    assert follower.follow(BOOT, 5) == Step(is_news=True)
    assert follower.follow(BOOT, 6) == Step(is_news=True)
    assert follower.missed == 0


def test_what_the_store_told_of_is_no_news() -> None:
    """A summary that was on its way while the store was asked counts once."""
    follower = _begun(6)

    assert [follower.follow(BOOT, n).is_news for n in (5, 6, 7, 7)] == [
        *(False, False, True, False)
    ]


def test_a_hole_is_named() -> None:
    """Exactly the commits that did not come."""
    follower = _begun(1)

    assert follower.follow(BOOT, 5) == Step(is_news=True, hole=Hole(1, 4))
    assert follower.missed == 3


def test_what_comes_before_the_beginning_is_asked_for() -> None:
    """While the store was asked commits went by: those that it did not see."""
    follower = Follower()
    for block in (7, 8, 9):
        assert not follower.follow(BOOT, block).is_news

    assert follower.begin(7) == Hole(7, 9)
    assert follower.follow(BOOT, 10) == Step(is_news=True)


def test_a_restarted_ingester_goes_on() -> None:
    """Numbers grow across boots: what was committed between is missing."""
    follower = _begun(3)
    follower.follow(BOOT, 4)

    step = follower.follow(OTHER, 7)
    assert step == Step(is_news=True, hole=Hole(4, 6), is_restart=True)
    assert follower.restarts == 1


def test_another_database_begins_anew() -> None:
    """Nothing is missing of it."""
    follower = _begun(30)
    follower.follow(BOOT, 31)

    assert follower.follow(OTHER, 1) == Step(is_news=True, is_restart=True)
    assert follower.follow(OTHER, 2) == Step(is_news=True)


def test_what_never_comes_is_given_up() -> None:
    """Batches too large to be published have no successor that would tell."""
    follower = _begun(3)

    assert follower.reach(3) is None
    assert follower.reach(5) == Hole(3, 5)
    assert follower.follow(BOOT, 5) == Step(is_news=False)
    assert follower.follow(BOOT, 6) == Step(is_news=True)
