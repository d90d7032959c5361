"""Kills and a full disk around compaction: nothing is lost, nothing is there twice."""

from __future__ import annotations

import pytest

from tests.faults.compaction import (
    full_disk_in_swaps,
    ingester_kills_in_swaps,
    worker_kills,
)


def test_a_killed_worker_costs_nothing(tmp_path):
    """Another goes on where it was."""
    found = worker_kills(tmp_path, long=False)

    assert found.holds, found
    assert found.entries >= 60_000


def test_an_ingester_killed_in_swaps_costs_nothing(tmp_path):
    """A swap has happened or it has not."""
    found = ingester_kills_in_swaps(tmp_path, long=False)

    assert found.holds, found
    assert found.entries >= 45_000


@pytest.mark.requires("root", "tmpfs")
def test_a_swap_that_the_disk_refuses_costs_nothing(tmp_path):
    """Blocks stay as they are until there is space, and are merged then."""
    found = full_disk_in_swaps(tmp_path, long=False)

    assert found.holds, found
    assert found.entries
