"""What a service leaves when it ends without an ingester is sent, the rest counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.departures import FAULTS


@pytest.mark.parametrize("name", FAULTS)
def test_all_is_stored_or_counted(name: str, tmp_path: Path) -> None:
    """By its collector and by the ledger, to the entry."""
    found = FAULTS[name](tmp_path, long=False)

    assert found.holds, found
    assert found.entries > 1_000
    assert not found.note.startswith("0 ")
