"""A file that takes room until it is needed."""

from __future__ import annotations

import pytest

from pipeline.ingester.space.reserve import Reserve, disk_of
from tests.faults.volume import tmpfs

MB = 1_000_000


def test_it_takes_its_room_and_gives_it_back(tmp_path):
    """Real blocks, not a hole."""
    reserve = Reserve(tmp_path / "logs.db")

    assert reserve.make(2 * MB)
    assert reserve.path.stat().st_blocks * 512 >= 2 * MB
    assert reserve.path.stat().st_mode & 0o777 == 0o600
    reserve.give_up()
    assert not reserve.path.exists()


def test_it_is_found_again(tmp_path):
    """By the next ingester."""
    Reserve(tmp_path / "logs.db").make(2 * MB)

    assert Reserve(tmp_path / "logs.db").size == 2 * MB


def test_another_size_replaces_it(tmp_path):
    """And none removes it."""
    reserve = Reserve(tmp_path / "logs.db")
    reserve.make(2 * MB)

    assert reserve.make(MB)
    assert reserve.path.stat().st_size == MB
    assert reserve.make(0)
    assert not reserve.path.exists()


@pytest.mark.requires("root", "tmpfs")
def test_without_room_there_is_none(tmp_path):
    """What was begun is taken away again."""
    with tmpfs(tmp_path / "disk", 1) as disk:
        reserve = Reserve(disk / "logs.db")

        assert not reserve.make(2 * MB)
        assert not reserve.path.exists()
        assert disk_of(disk).free > 900_000
