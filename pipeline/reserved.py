"""Sources that the pipeline writes itself, so that what they have is from it alone."""

from __future__ import annotations

from typing import Final

from pipeline import audit, journal
from pipeline.alerts import SOURCE as ALERTS
from pipeline.errors import EntryError

RESERVED: Final = frozenset({audit.SOURCE, journal.SOURCE, ALERTS})


def check_reserved(source: str) -> None:
    """Raises EntryError for a source of the pipeline's own."""
    if source not in RESERVED:
        return
    why = "append-only" if source == audit.SOURCE else "the pipeline's own"
    raise EntryError("source", f"{source!r} is {why}", audit.EXPECTED)
