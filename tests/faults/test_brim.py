"""A disk that is filled to the brim and freed again, and one that is only short."""

from __future__ import annotations

import pytest

from tests.faults.brim import brim, short


@pytest.mark.requires("root", "tmpfs")
def test_nothing_acknowledged_is_lost_on_a_disk_filled_three_times(tmp_path):
    """Senders without acknowledgements are told how many were refused."""
    found = brim(tmp_path, long=False)

    assert found.holds, found
    assert found.entries


@pytest.mark.requires("root", "tmpfs")
def test_debug_goes_first_where_room_is_short(tmp_path):
    """What went is counted to the entry."""
    found = short(tmp_path, long=False)

    assert found.holds, found
    assert found.entries
