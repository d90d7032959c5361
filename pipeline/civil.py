"""Times as people write them: without a zone, without a year, with a month's name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Final

from pipeline.timestamp import (
    SECOND,
    check_range,
    civil_to_ns,
    parse_offset,
    zone_offset,
)


class LocalZone(tzinfo):
    """The zone of this process, with the rules that held at the time in question."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        """Offset of a local time, as the C library knows it."""
        if moment is None:
            return None
        return moment.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, _: datetime | None) -> None:
        """Not known apart from the offset."""

    def tzname(self, _: datetime | None) -> str:
        """A fixed name; the real one changes with the season."""
        return "local"


LOCAL: Final = LocalZone()

_MONTHS: Final = {
    **{f"{number:02d}": number for number in range(1, 13)},
    "Jan": 1,
    "Feb": 2,
    "Mar": 3,
    "Apr": 4,
    "May": 5,
    "Jun": 6,
    "Jul": 7,
    "Aug": 8,
    "Sep": 9,
    "Oct": 10,
    "Nov": 11,
    "Dec": 12,
}
_PIVOT: Final = 69
"""Two digits of a year: 69 to 99 are the last century's, as POSIX strptime has it."""

_LEAP_GAP: Final = 9
"""Years to look back for a date without one: 29 February can be eight years away."""


@lru_cache(maxsize=4096)
def _minute(  # lines of one minute share this
    year: int, month: str, day: str, hour: str, minute: str, suffix: str, zone: tzinfo
) -> int:
    """Nanoseconds at which a written minute begins; raises ValueError if none does."""
    hours, minutes = int(hour), int(minute)
    moment = datetime(year, _MONTHS[month], int(day), hours, minutes)  # noqa: DTZ001
    offset = parse_offset(suffix) if suffix else zone_offset(zone, moment)
    elapsed = hours * 3600 + minutes * 60
    return civil_to_ns(year, moment.month, moment.day, elapsed, None, offset)


@lru_cache(maxsize=16)
def _year_of_day(day: int) -> int:
    return (date(1970, 1, 1) + timedelta(days=day)).year


def read_civil(
    civil: Sequence[str | Any],
    fraction: str | None,
    suffix: str | None,
    now: int,
    zone: tzinfo,
) -> int:
    """Nanoseconds of a written (year, month, day, hour, minute, second).

    Without a year it is the latest that is not after `now`; without a suffix (Z,
    +0530) it is a time of `zone`. Raises ValueError, KeyError, OverflowError or
    EntryError when there is no such time.
    """
    year, month, day, hour, minute, second = civil
    if int(second) > 60:
        raise ValueError(second)
    within = int(second) * SECOND
    if fraction is not None:
        within += int(fraction[:9].ljust(9, "0"))
    clock = (month, day, hour, minute, suffix or "", zone)
    if year is not None:
        return check_range(_minute(_full_year(year), *clock) + within)
    # the zone can be in the next year already
    latest = _year_of_day(now // (86_400 * SECOND)) + 1
    for candidate in range(latest, latest - _LEAP_GAP - 1, -1):
        try:
            timestamp = _minute(candidate, *clock) + within
        except ValueError:  # 29 February
            continue
        if timestamp <= now:
            return timestamp
    raise ValueError(day)


def _full_year(text: str) -> int:
    if len(text) == len("2026"):
        return int(text)
    year = int(text)
    return 1900 + year if year >= _PIVOT else 2000 + year
