"""The only module that reads the clock; the logic gets the time as an argument."""

from __future__ import annotations

import time

now_ns = time.time_ns
"""The time of day: nanoseconds since 1970, UTC; it may jump when it is set.

The function itself, not one around it: a log call is a microsecond."""

monotonic = time.monotonic
"""Seconds since some fixed moment: for waits and ages; it never jumps."""

monotonic_ns = time.monotonic_ns
"""The same in nanoseconds."""
