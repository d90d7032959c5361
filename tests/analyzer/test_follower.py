"""Reading summaries, and noticing those that did not come."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analyzer.follower import Follower, Summary, read_summary
from pipeline.errors import FrameError

BOOT, NEXT_BOOT = b"b" * 16, b"c" * 16
FIELDS = {"boot": BOOT, "block": 7, "rows": 3, "counts": [[1, "api", 17, 3]]}


def test_a_summary_is_read() -> None:
    """What isn't needed is left alone."""
    summary = read_summary(msgpack.packb(FIELDS))

    assert summary == Summary(BOOT, 7, [[1, "api", 17, 3]])


@pytest.mark.parametrize(
    "change",
    [
        {"boot": b"short"},
        {"boot": "b" * 16},
        {"block": "7"},
        {"block": True},
        {"counts": None},
        {"counts": [[1, "api", 17]]},
        {"counts": [[1, b"api", 17, 3]]},
        {"counts": [[1.5, "api", 17, 3]]},
        {"counts": [[1, "api", 17, -3]]},
        {"counts": [7]},
    ],
)
def test_other_shapes_are_refused(change: dict[str, Any]) -> None:
    """A summary of another shape is an error, not a guess."""
    with pytest.raises(FrameError):
        read_summary(msgpack.packb(FIELDS | change))


@given(st.binary(max_size=64))
def test_any_bytes_are_refused(body: bytes) -> None:
    """Nothing else than FrameError is raised."""
    with pytest.raises(FrameError):
        read_summary(body)


def _follow(*summaries: tuple[bytes, int]) -> tuple[Follower, list[str | None]]:
    follower = Follower()
    return follower, [follower.follow(Summary(*summary, [])) for summary in summaries]


def test_an_unbroken_stream() -> None:
    """It begins anywhere and goes on by one; there is nothing to say."""
    follower, notes = _follow((BOOT, 7), (BOOT, 8), (BOOT, 9))

    assert notes == [None, None, None]
    assert (follower.missed, follower.restarts) == (0, 0)


def test_a_hole() -> None:
    """It is said and counted once."""
    follower, notes = _follow((BOOT, 7), (BOOT, 11), (BOOT, 12))

    assert notes == [None, "3 summaries missed before block 11", None]
    assert follower.missed == 3


def test_a_new_ingester() -> None:
    """A restart is said and counted, with the hole if there is one."""
    follower, notes = _follow((BOOT, 7), (NEXT_BOOT, 8), (BOOT, 10), (NEXT_BOOT, 1))

    assert notes == [
        None,
        "the ingester was restarted, going on at block 8",
        "the ingester was restarted, going on at block 10; "
        "1 summaries missed before block 10",
        "the ingester was restarted, going on at block 1",
    ]
    assert (follower.missed, follower.restarts) == (1, 3)
