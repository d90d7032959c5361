"""Whoever reaches the ports can do no harm to others by what he sends."""

from __future__ import annotations

from pathlib import Path

from tests.faults.frames import malformed_frames, raw_connections


def test_malformed_frames_harm_nobody(tmp_path: Path) -> None:
    """2,000 of ten kinds; the honest stream is complete."""
    found = malformed_frames(tmp_path, long=False)

    assert found.holds, found
    assert found.runs == 2_000


def test_raw_connections_harm_nobody(tmp_path: Path) -> None:
    """Neither garbage nor sizes without end, nor those who say nothing."""
    found = raw_connections(tmp_path, long=False)

    assert found.holds, found
