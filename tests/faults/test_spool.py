"""The spool on disks that fail: nothing that was accepted is lost unnoticed."""

from __future__ import annotations

import pytest

from tests.faults.spool import (
    INJECTIONS,
    spool_disk_full,
    spool_flips,
    spool_injection,
    spool_largest_file,
)


@pytest.mark.requires("tmpfs")
def test_a_full_disk_costs_nothing(tmp_path):
    """What was accepted stays, what was refused is not there, and it recovers."""
    found = spool_disk_full(tmp_path, long=False)

    assert found.holds, found
    assert found.entries > 2_000


@pytest.mark.requires_tool("strace")
@pytest.mark.parametrize("injection", INJECTIONS, ids=lambda each: each.name)
def test_calls_that_fail_or_lie_are_noticed(tmp_path, injection):
    """An error is passed on and leaves nothing, a lie costs its record."""
    found = spool_injection(tmp_path, injection, long=False)

    assert found.holds, found
    assert int(found.note.split()[0]) >= 4


def test_a_limit_of_file_size_costs_nothing(tmp_path):
    """A short write is taken back; the next file takes the next row."""
    found = spool_largest_file(tmp_path, long=False)

    assert found.holds, found
    assert found.entries > 1_500


def test_a_flipped_bit_is_noticed(tmp_path):
    """Each that matters, and it costs one record."""
    found = spool_flips(tmp_path, long=False)

    assert found.holds, found
    assert int(found.note.split()[0]) > 30
