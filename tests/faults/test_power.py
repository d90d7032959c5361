"""Power cuts: what was acknowledged is there, and nobody cries damage."""

from __future__ import annotations

import pytest

from tests.faults.power import power_cuts, spool_cuts, spool_cuts_none


@pytest.mark.requires("root", "loop", "tmpfs")
@pytest.mark.requires_tool("mkfs.ext4")
def test_a_power_cut_takes_nothing_that_was_acknowledged(tmp_path):
    """On ext4 whose image is left as the cut has found it."""
    found = power_cuts(tmp_path, long=False)

    assert found.holds, found
    assert found.entries >= 20_000


@pytest.mark.requires("root", "loop", "tmpfs")
@pytest.mark.requires_tool("mkfs.ext4")
def test_a_power_cut_takes_nothing_that_was_synced_to_a_spool(tmp_path):
    """What a call has returned for is sent by the next session."""
    found = spool_cuts(tmp_path, long=False)

    assert found.holds, found
    assert found.entries >= 1_000


@pytest.mark.requires("root", "loop", "tmpfs")
@pytest.mark.requires_tool("mkfs.ext4")
def test_a_power_cut_takes_what_was_not(tmp_path):
    """Else the test above shows nothing; and nothing is there twice."""
    found = spool_cuts_none(tmp_path, long=False)

    assert found.lost > 0, found
    assert (found.doubled, found.disordered, found.unknown) == (0, 0, 0)
