"""A flipped byte is found, and costs its block at most."""

from __future__ import annotations

from pathlib import Path

from tests.faults.verified import verified


def test_a_flipped_byte_is_told_and_all_else_is_read(tmp_path: Path) -> None:
    """Anywhere in the file; no entry is missing without a warning."""
    found = verified(tmp_path, long=False)

    assert found.lost == 0, found.note
