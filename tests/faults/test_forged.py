"""Who knows another's producer id can't have its entries taken for duplicates."""

from __future__ import annotations

from pathlib import Path

from tests.faults.forged import forged_headers


def test_forged_headers_lose_nothing(tmp_path: Path) -> None:
    """The service notices, and sends what was under way under another id."""
    found = forged_headers(tmp_path, long=False)

    assert found.holds, found
    assert found.entries > 10_000
