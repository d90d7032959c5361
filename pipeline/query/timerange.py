"""The times of a question become a window of nanoseconds; pure: `now` is given."""

from __future__ import annotations

import re
from datetime import UTC
from typing import Final

from pipeline.errors import EntryError
from pipeline.query.requests import FieldError
from pipeline.timestamp import SECOND, TIMESTAMP_MAX, TIMESTAMP_MIN, parse_timestamp

Moment = str | int | float
Window = tuple[int | None, int | None]
"""The first nanosecond that counts and the first that no longer does; None = no bound.
"""

_UNITS: Final = {
    "ms": SECOND // 1000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
    "d": 86_400 * SECOND,
    "w": 7 * 86_400 * SECOND,
}
_AGE: Final = re.compile(r"(?:\d{1,12}(?:ms|[smhdw]))+", re.ASCII)
_PART: Final = re.compile(r"(\d+)(ms|[smhdw])", re.ASCII)
_NOW: Final = re.compile(r"now\s*(?:([+-])\s*(\S+))?", re.IGNORECASE)

_MOMENT_HINT: Final = (
    "write an age such as 30s, 5m, 1h30m, 2d or 1w, now-1h, ISO 8601 such as "
    "2026-11-22T10:00:00Z, or a number of seconds since 1970"
)
_RANGE_HINT: Final = "write an age such as 30s, 5m, 1h, 2d or 1w, or FROM/TO"


def resolve_window(
    since: Moment | None, until: Moment | None, timerange: str | None, now: int
) -> Window:
    """From `since` on and before `until`, or what `timerange` says instead of them.

    A timerange is an age, which reaches from then to now (and includes this very
    nanosecond), or `FROM/TO`, either of which may be empty. Raises FieldError, which
    names the parameter.
    """
    if timerange is None:
        return _window(since, until, now, "since", "until")
    if since is not None or until is not None:
        beside = "since" if since is not None else "until"
        raise FieldError("timerange", f"given beside {beside}", hint="leave one out")
    text = timerange.strip()
    if "/" in text:
        start, _, end = (part.strip() for part in text.partition("/"))
        return _window(start or None, end or None, now, "timerange", "timerange")
    age = parse_age(text)
    if age is None:
        raise FieldError(
            "timerange", f"{text[:64]!r} is no timerange", hint=_RANGE_HINT
        )
    return _clamp(now - age), min(now + 1, TIMESTAMP_MAX + 1)


def resolve_moment(field: str, value: Moment, now: int) -> int:
    """Nanoseconds of one moment; text without a zone is UTC.

    An age is that long before now; a number is of the unit that its size tells.
    """
    if isinstance(value, str):
        text = value.strip()
        age = parse_age(text.removeprefix("-"))
        if age is not None:
            return _clamp(now - age)
        relative = _NOW.fullmatch(text)
        if relative is not None:
            return _clamp(now + _shift(field, *relative.groups()))
    try:
        return parse_timestamp(value, now, UTC)
    except EntryError as error:
        raise FieldError(field, error.problem, hint=_MOMENT_HINT) from None


def parse_age(text: str) -> int | None:
    """Nanoseconds of `90s`, `5m` or `1h30m`; None when the text is no age."""
    if not _AGE.fullmatch(text):
        return None
    parts = _PART.findall(text)
    return sum(int(count) * _UNITS[unit] for count, unit in parts)


def _window(
    since: Moment | None,
    until: Moment | None,
    now: int,
    since_field: str,
    until_field: str,
) -> Window:
    low = None if since is None else resolve_moment(since_field, since, now)
    high = None if until is None else resolve_moment(until_field, until, now)
    if low is not None and high is not None and low > high:
        problem = f"begins at {since}, after its end at {until}"
        raise FieldError(since_field, problem, hint="exchange the two")
    return low, high


def _shift(field: str, sign: str | None, text: str | None) -> int:
    if sign is None or text is None:
        return 0
    age = parse_age(text)
    if age is None:
        problem = f"{text[:64]!r} is no length of time"
        raise FieldError(field, problem, hint=_MOMENT_HINT)
    return -age if sign == "-" else age


def _clamp(moment: int) -> int:
    """Ages reach further back than time does; nothing is there."""
    return max(TIMESTAMP_MIN, min(TIMESTAMP_MAX, moment))
