"""kill -9 of what follows files: every line is there once, in order."""

from __future__ import annotations

from tests.faults.tailer import tailer_kills


def test_a_killed_tailer_costs_nothing(tmp_path):
    """Three times, while one file is renamed and the other copied and emptied."""
    found = tailer_kills(tmp_path, long=False)

    assert found.holds, found
    assert found.entries > 10_000
