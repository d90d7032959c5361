"""Power cuts: what was acknowledged is there, and nobody cries damage."""

from __future__ import annotations

import pytest

from tests.faults.power import power_cuts


@pytest.mark.requires("root", "loop", "tmpfs")
@pytest.mark.requires_tool("mkfs.ext4")
def test_a_power_cut_takes_nothing_that_was_acknowledged(tmp_path):
    """On ext4 whose image is left as the cut has found it."""
    found = power_cuts(tmp_path, long=False)

    assert found.holds, found
    assert found.entries >= 20_000
