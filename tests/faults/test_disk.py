"""Disks that fail or lie: nothing is lost that was not counted."""

from __future__ import annotations

import pytest

from tests.faults.disk import (
    FAILURES,
    failing_disk,
    lying_disk,
    unsynced_disk,
)


@pytest.mark.requires_tool("strace")
@pytest.mark.parametrize("failure", FAILURES, ids=lambda each: each.name)
def test_a_failed_call_is_made_good_by_the_next_try(tmp_path, failure):
    """Of write and of sync."""
    found = failing_disk(tmp_path, [failure], long=False)

    assert found.holds, found
    assert found.entries


@pytest.mark.requires_tool("strace")
def test_without_sync_nothing_is_acknowledged(tmp_path):
    """And nothing is doubled by the next ingester, which finds it in the WAL."""
    found = unsynced_disk(tmp_path, long=False)

    assert found.holds, found
    assert found.entries


@pytest.mark.requires_tool("strace")
def test_a_write_that_lies_is_noticed_and_counted(tmp_path):
    """By checksums, once the next ingester starts."""
    found = lying_disk(tmp_path, long=False)

    assert found.holds, found
