"""When to try again: exponential back-off with jitter, and what the other side said.

Pure: chance is an argument. The jitter is half of the wait, so that the lanes of many
machines, which failed at the same moment, do not all come back at the same moment.
"""

from __future__ import annotations

from typing import Final

FIRST_SECONDS: Final = 1.0
MOST_SECONDS: Final = 60.0
"""So long an outage is noticed to be over after it is."""

RETRY_AFTER_MOST: Final = 300.0
"""Of what the other side may ask for: a day would be a refusal."""


def wait_seconds(failures: int, chance: float, after: float | None) -> float:
    """After so many failures in a row; `chance` is from 0 to 1."""
    whole = min(MOST_SECONDS, FIRST_SECONDS * 2.0 ** min(failures - 1, 30))
    wait = whole * (0.5 + chance / 2)
    return wait if after is None else max(wait, min(after, RETRY_AFTER_MOST))
