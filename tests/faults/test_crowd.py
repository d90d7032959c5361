"""Readers of a store in which everything moves."""

from __future__ import annotations

from tests.faults.crowd import crowd


def test_readers_see_each_acknowledged_entry_once_at_every_instant(tmp_path):
    """During ingestion, compaction, deletion and purge."""
    found = crowd(tmp_path, long=False)

    assert found.holds, found
    assert found.runs >= 6
