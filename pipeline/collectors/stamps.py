"""Find the time and the level that a line of plain text begins with; pure.

Strategy: each format is one regular expression for the beginning of a line, and the
formats exclude each other, so their order decides only how long the search takes: the
format of the line before is tried first. A level is taken where loggers write one,
after the time or first in the line, never from the words of the message. Only the
first characters are looked at, so that a long line costs what a short one does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final, NamedTuple

from pipeline.civil import read_civil
from pipeline.errors import EntryError
from pipeline.level import level_of_number, parse_level
from pipeline.timestamp import parse_timestamp

HEAD: Final = 256
"""Characters of a line that are looked at: more than any logger writes before text."""


class Stamp(NamedTuple):
    """What the beginning of a line says; None where it says nothing."""

    timestamp: int | None
    level: int | None


# Levels

_WORDS: Final = (
    "trace|debug|info(?:rmation)?|notice|note|warn(?:ing)?|err(?:or)?|severe"
    "|crit(?:ical)?|fatal|alert|emerg(?:ency)?|panic"
)
_UPPER: Final = (
    "TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERR(?:OR)?|SEVERE|CRIT(?:ICAL)?|FATAL|ALERT"
    "|EMERG(?:ENCY)?|PANIC|LOG|SUCCESS|FINE(?:R|ST)?|TRC|DBG|INF|WRN|FTL"
)
_BRACKETED: Final = rf"[\[<(|]\s?(?:[\w.-]{{1,40}}:)?((?i:{_WORDS}))\s{{0,5}}[\]>)|]"
_NAMED: Final = rf"({_UPPER})(?!\w)|{_BRACKETED}|((?i:{_WORDS}))(?::|\t|\s\s)"

# What stands between a time and its level: [thread], {file:line}, (pid), <pid>, 123,
# and at most one bare word, which is a logger's or a host's name. Each piece is atomic:
# it is read in one way only, since a line of 125 dashes took two seconds otherwise.
_ASIDE: Final = (
    r"(?>(?:\[[^\]]{0,80}\]|\{[^}]{0,80}\}|\([^)]{0,80}\)|<[^>]{0,80}>"
    r"|\d{1,20}(?:#\d{1,20})?)[\s|,:-]{0,8})"
)
_BARE: Final = r"(?>[\w.$/@-]{1,80}[\s|,:-]{1,8})"
_BETWEEN: Final = rf"(?:{_ASIDE}){{0,5}}?(?:{_BARE}(?:{_ASIDE}){{0,3}}?)??"
_AFTER: Final = re.compile(rf"[\]\s|,:;)>-]{{0,8}}+{_BETWEEN}(?:{_NAMED})")
_FIRST: Final = re.compile(
    rf"({_UPPER})(?=[\s:|\]-])|{_BRACKETED}|((?i:{_WORDS})):|<([0-7])>"
)


def _named_level(found: re.Match[str] | None) -> int | None:
    return None if found is None else parse_level(found[found.lastindex or 0])


# Times

_MONTH: Final = r"(?P<mo>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DAY: Final = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_CLOCK: Final = r"(?P<h>\d\d):(?P<mi>\d\d):(?P<s>\d\d)(?:[.,](?P<f>\d{1,12}))?"
_ZONE: Final = (
    r"(?: ?(?P<z>Z|UTC|GMT|[+-]\d\d:\d\d|[+-]\d{4}|(?<=\d)[+-]\d\d(?![\d:-]))(?!\w))?"
)
_PRIORITY: Final = r"(?:<(?P<pri>\d{1,3})>(?:\d{1,2} )?)?"
_LEAD: Final = (
    rf"(?:(?P<lead>[A-Z](?=,)|(?:{_UPPER})(?!\w)|\[(?:{_UPPER})\s*\])[\s,:|-]{{0,8}})?"
)
_GROUPS: Final = ("y", "mo", "d", "h", "mi", "s", "f", "z", "pri", "lead", "epoch")


@dataclass(frozen=True, slots=True)
class Format:
    """One way to begin a line; `scan` where a level may follow the time."""

    pattern: re.Pattern[str]
    scan: bool


def _format(pattern: str, *, scan: bool = True) -> Format:
    """Compile a pattern; groups that it lacks are added and never match."""
    missing = (name for name in _GROUPS if f"(?P<{name}>" not in pattern)
    absent = "".join(f"(?P<{name}>(?!))?" for name in missing)
    return Format(re.compile(pattern + absent, re.ASCII), scan)


FORMATS: Final = (
    # 2026-11-22T10:00:00.123+01:00, 2026-11-22 10:00:00,123, 2026/11/22 10:00:00, also
    # in brackets, after a level (Django, Ruby), after a priority (RFC 5424)
    _format(
        rf"{_PRIORITY}{_LEAD}[\[(]?(?P<y>\d{{4}})[-/.](?P<mo>\d\d)[-/.](?P<d>\d\d)"
        rf"(?:T|,? {{1,2}}){_CLOCK}{_ZONE}"
    ),
    # Jun 14 15:16:01, <34>Oct 11 22:14:15, Jun  4 2026 15:16:01: syslog (RFC 3164)
    _format(
        rf"{_PRIORITY}{_MONTH} {{1,2}}(?P<d>\d{{1,2}}) (?:(?P<y>\d{{4}}) )?"
        rf"{_CLOCK}(?=[ :])",
        scan=False,
    ),
    # [Sun Dec 04 04:47:44.123456 2005]: Apache's error log, ctime
    _format(rf"\[?{_DAY} {_MONTH} {{1,2}}(?P<d>\d{{1,2}}) {_CLOCK} (?P<y>\d{{4}})"),
    # 10.0.0.1 - frank [10/Oct/2000:13:55:36 -0700]: access logs of Apache and nginx
    _format(
        rf"\S{{1,100}} \S{{1,64}} \S{{1,64}} \[(?P<d>\d\d)/{_MONTH}/(?P<y>\d{{4}}):"
        rf"{_CLOCK}{_ZONE}\]",
        scan=False,
    ),
    # 17/06/09 20:10:40: Spark
    _format(rf"(?P<y>\d\d)/(?P<mo>\d\d)/(?P<d>\d\d) {_CLOCK}"),
    # 081109 203615 148 INFO: HDFS
    _format(
        r"(?P<y>\d\d)(?P<mo>\d\d)(?P<d>\d\d) (?P<h>\d\d)(?P<mi>\d\d)(?P<s>\d\d)"
        r"(?P<f>(?!))?(?= \d+ [A-Z])"
    ),
    # I0102 15:04:05.000000, I20261122 15:04:05.000000: klog, glog
    _format(
        rf"(?P<lead>[IWEF])(?P<y>\d{{4}})?(?P<mo>\d\d)(?P<d>\d\d) {_CLOCK} ", scan=False
    ),
    # 22 Nov 2026 10:00:00.123, [22-Nov-2026 10:00:00 UTC], 1:M 22 Nov 2026: Redis,
    # Tomcat, PHP, BIND, mail
    _format(
        rf"\[?(?:\d{{1,10}}:[A-Z] )?(?:{_DAY},? )?(?P<d>\d{{1,2}})[ /-]{_MONTH}[ /-]"
        rf"(?P<y>\d{{4}})[ :]{_CLOCK}{_ZONE}"
    ),
    # 1764000000.123, 1764000000123: seconds to nanoseconds since 1970
    _format(
        r"[\[(]?(?P<epoch>\d{10}(?:\.\d{1,9})?|\d{13}|\d{16}|\d{19})(?=[\])]?[\s:|,])"
    ),
)


def read_stamp(line: str, now: int, zone: tzinfo, form: Format) -> Stamp | None:
    """The stamp of a line in this format; None when it is in another.

    A date without a year is the latest that is not after `now`; a time without a zone
    is one of `zone`.
    """
    found = form.pattern.match(line, 0, HEAD)
    if found is None:
        return None
    *civil, fraction, suffix, priority, lead, epoch = found.group(*_GROUPS)
    try:
        if epoch is not None:
            timestamp = parse_timestamp(epoch, now)
        else:
            timestamp = read_civil(civil, fraction, suffix, now, zone)
    except (ValueError, KeyError, OverflowError, EntryError):
        return None
    if priority is not None:
        return Stamp(timestamp, level_of_number(int(priority) & 7))
    if lead is not None:
        return Stamp(timestamp, parse_level(lead.strip("[] ")))
    if not form.scan:
        return Stamp(timestamp, None)
    return Stamp(timestamp, _named_level(_AFTER.match(line, found.end(), HEAD)))


def read_level(line: str) -> int | None:
    """The level that a line without a time begins with, if it does."""
    return _named_level(_FIRST.match(line, 0, HEAD))
