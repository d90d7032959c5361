"""The only module that reads the clock; the logic gets the time as an argument."""

from __future__ import annotations

import time


def now_ns() -> int:
    """The time of day: nanoseconds since 1970, UTC; it may jump when it is set."""
    return time.time_ns()


def monotonic() -> float:
    """Seconds since some fixed moment: for waits and ages; it never jumps."""
    return time.monotonic()
