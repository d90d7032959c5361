"""Alerts for tests."""

from __future__ import annotations

from typing import Any

import msgspec

from pipeline.alerts import Alert, Reason
from pipeline.timestamp import SECOND, format_timestamp

T0 = 1_795_000_000
"""A second of November 2026."""


def at(second: float) -> str:
    """That many seconds after T0."""
    return format_timestamp(int((T0 + second) * SECOND))


def ns(second: float) -> int:
    """The same in nanoseconds."""
    return int((T0 + second) * SECOND)


def reason(source: str = "web", **changes: Any) -> Reason:
    """An error spike of one source."""
    made = Reason(
        detector="error_spike",
        source=source,
        key="",
        level=17,
        text=f"20 errors of {source} in 300 s",
        since=at(0),
        value=20.0,
        baseline=None,
        threshold=20.0,
        window=300,
        query=f"source:{source} level:(error OR fatal)",
        open=True,
    )
    return msgspec.structs.replace(made, **changes)


def alert(source: str = "web", **changes: Any) -> Alert:
    """An open alert of one source."""
    why = reason(source)
    made = Alert(
        fingerprint="5f3c9a0b12de4477",
        state="open",
        detector=why.detector,
        sources=[source],
        sources_total=1,
        level=why.level,
        text=why.text,
        since=why.since,
        opened=at(2),
        at=at(2),
        value=why.value,
        baseline=why.baseline,
        threshold=why.threshold,
        window=why.window,
        reasons=[why],
        query=why.query,
        query_since=at(0),
        query_until=at(3),
    )
    return msgspec.structs.replace(made, **changes)
