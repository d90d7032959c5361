"""A clock that is set costs nothing, and nothing waits for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.clocks import QUICK, clock_jumps


@pytest.mark.requires_tool("faketime")
def test_a_clock_that_is_set_costs_nothing(tmp_path: Path) -> None:
    """Back and forth by years, standing still, with restarts in between."""
    found = clock_jumps(tmp_path, long=False)

    assert found.holds, found
    assert found.runs == QUICK
