"""A clock that is set costs nothing, and nothing waits for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.clocks import QUICK, clock_jumps, lone_entries


@pytest.mark.requires_tool("faketime")
def test_a_clock_that_is_set_costs_nothing(tmp_path: Path) -> None:
    """Back and forth by years, standing still, with restarts in between."""
    found = clock_jumps(tmp_path, long=False)

    assert found.holds, found
    assert found.runs == QUICK


@pytest.mark.requires_tool("faketime")
def test_an_entry_does_not_wait_for_a_clock_that_was_set_back(tmp_path: Path) -> None:
    """Its commit is due by the monotonic clock."""
    found = lone_entries(tmp_path, long=False)

    assert found.holds, found
    assert found.entries == 10
