"""Flipped bits: noticed, one block each, and the rest is kept."""

from __future__ import annotations

from tests.faults.flips import flips


def test_a_flipped_bit_costs_one_block_and_is_noticed(tmp_path):
    """Wherever it is; what the start can't repair is counted as lost."""
    found = flips(tmp_path, long=False)

    assert found.holds, found
    assert "salvaged" in found.note
