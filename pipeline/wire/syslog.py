"""One line of syslog, RFC 5424 or RFC 3164, as rsyslog's omczmq sends it; pure.

    <34>1 2026-11-22T10:00:00.003Z host su 42 ID47 [id@1 k="v"] 'su root' failed
    <34>Nov 22 10:00:00 host su[42]: 'su root' failed
    <34>2026-11-22T10:00:00.003+01:00 host su[42]: 'su root' failed

The last is what rsyslog forwards by default: RFC 3164 with a time that says more. RFC
3164 describes what is there rather than what must be, so that only PRI is required of
such a line: what isn't understood stays in the message. A line of version 1 is held to
RFC 5424, though, and a FrameError names what is wrong with it.
"""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import Any, Final

from pipeline.civil import LOCAL, read_civil
from pipeline.entry import Entry, cut_message, entry_from_map
from pipeline.errors import EntryError, FrameError
from pipeline.level import Level, level_of_number
from pipeline.limits import METADATA_BYTES, SOURCE_BYTES
from pipeline.timestamp import SECOND, parse_timestamp

FACILITIES: Final = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news"),
    *("uucp", "cron", "authpriv", "ftp", "ntp", "audit", "alert", "clock"),
    *("local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"),
)
"""By number: PRI is facility * 8 + severity."""

SEVERITIES: Final = (
    *("emerg", "alert", "crit", "err"),
    *("warning", "notice", "info", "debug"),
)
"""By number; several of them have the same level."""

PRIORITY_MAX: Final = 8 * len(FACILITIES) - 1

UNNAMED: Final = "syslog"
"""Source of a line that names neither program nor host."""

_AHEAD: Final = 86_400 * SECOND
"""A time without a year may lie so far ahead, by a clock or a zone that is not ours."""

_MARKS: Final = {0xDC00 + byte: f"\\x{byte:02x}" for byte in range(0x80, 0x100)}
"""What stands for a byte that is no UTF-8, which "surrogateescape" has marked."""

_START: Final = re.compile(rb"<\d{1,3}>")
_PRIORITY: Final = re.compile(r"<(\d{1,3})>")

# Text that is no word of this form is no line of RFC 5424: "<13>1 item is left"
_STRICT: Final = re.compile(r"1 (?=-|\d{4}-)")
_HEADER: Final = (
    ("timestamp", re.compile(r"(-|\d{4}-\d\d-\d\dT\S{1,40})(?: |$)")),
    ("hostname", re.compile(r"([!-~\x80-\U0010ffff]{1,255})(?: |$)")),
    ("app-name", re.compile(r"([!-~\x80-\U0010ffff]{1,64})(?: |$)")),
    ("procid", re.compile(r"([!-~\x80-\U0010ffff]{1,128})(?: |$)")),
    ("msgid", re.compile(r"([!-~\x80-\U0010ffff]{1,64})(?: |$)")),
)
"""In their order. Names may be longer than the RFC has it, and not only ASCII."""

_NAME: Final = r'[^\s="\]\x00-\x1f]{1,128}'
_ELEMENT: Final = re.compile(rf"\[({_NAME})")
_PARAMETER: Final = re.compile(rf' ({_NAME})="([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_ESCAPED: Final = re.compile(r'\\(["\\\]])')

_MONTHS: Final = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_CIVIL: Final = re.compile(
    rf"({_MONTHS}) {{1,2}}(\d{{1,2}}) (?:(\d{{4}}) )?"
    r"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?::? |$)",
    re.ASCII,
)
_ISO: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S{0,16})(?: |$)", re.ASCII)

# `name: `, `name[42]: ` or `name[42] `; after a host also what rsyslog cuts to 32
_TAG: Final = re.compile(r"([^\s:\[\]]{1,64})(?:\[([^\s\]]{0,128})\]:?|:)(?: |$)")
_CUT_TAG: Final = re.compile(
    r"(?=\S{32}(?: |$))([^\s:\[\]]{1,32})(?:\[([^\s\]]{0,31})\]?)?(?: |$)"
)
_HOST: Final = re.compile(r"(\S{1,255})(?: |$)")


def is_syslog(message: bytes | bytearray | memoryview) -> bool:
    """Whether a frame begins as a line of syslog does.

    No entry in msgpack can: 0x3C, which `<` is, is the number 60.
    """
    return message[:1] == b"<" and _START.match(message) is not None


def parse_syslog(
    message: bytes | bytearray | memoryview,
    now: int,
    source: str | None = None,
    zone: tzinfo = LOCAL,
) -> Entry:
    """The entry that a line is; `source` names it when it names no program.

    A time without a zone is one of `zone`. Raises FrameError when PRI is none, or a
    line of RFC 5424 is malformed.
    """
    text, wrong = _decode(bytes(message))
    start = _PRIORITY.match(text)
    if start is None or int(start[1]) > PRIORITY_MAX:
        found = "no PRI" if start is None else f"PRI {start[1]}"
        raise FrameError("bad_syslog", f"{found}; must be 0 to {PRIORITY_MAX}")
    priority = int(start[1])
    fields: dict[str, Any] = {
        "facility": FACILITIES[priority // 8],
        "severity": SEVERITIES[priority % 8],
    }
    if wrong:
        fields["undecoded_bytes"] = wrong
    strict = _STRICT.match(text, start.end())
    try:
        if strict is not None:
            timestamp, rest = _read_strict(text, strict.end(), now, fields)
        else:
            timestamp, rest = _read_loose(text, start.end(), now, zone, fields)
        return _entry(priority, timestamp, rest, fields, source)
    except EntryError as error:
        raise FrameError("bad_syslog", str(error)) from None


def _decode(line: bytes) -> tuple[str, int]:
    r"""Its text, and how many bytes were no UTF-8: each stands there as \xff does."""
    line = line.rstrip(b"\r\n\0")
    try:
        return line.decode(), 0
    except UnicodeDecodeError:
        found = line.decode(errors="surrogateescape")
        text = found.translate(_MARKS)
        return text, (len(text) - len(found)) // 3


def _entry(
    priority: int,
    timestamp: int,
    message: str,
    metadata: dict[str, Any],
    source: str | None,
) -> Entry:
    program = metadata.pop("app-name", None)
    names = (program, source, metadata.get("hostname"), UNNAMED)
    message, gone = cut_message(message)
    if gone:
        metadata["truncated_bytes"] = gone
    checked = {
        "source": next(name for name in names if name and _is_short(name)),
        "level": Level(level_of_number(priority % 8) or Level.INFO),
        "message": message,
        "metadata": metadata,
    }
    return entry_from_map(checked, timestamp)


def _is_short(name: str) -> bool:
    return len(name.encode()) <= SOURCE_BYTES


def _read_strict(
    text: str, place: int, now: int, fields: dict[str, Any]
) -> tuple[int, str]:
    """Time and message of RFC 5424; what stands between them goes to `fields`."""
    for name, pattern in _HEADER:
        found = pattern.match(text, place)
        if found is None:
            at = text[place : place + 40]
            raise EntryError(name, f"got {at!r}", "as RFC 5424 has it, or -")
        place = found.end()
        if found[1] != "-":
            fields[name] = found[1]
    timestamp = parse_timestamp(fields.pop("timestamp", None), now)
    place = _read_structured(text, place, fields)
    if text[place : place + 1] not in ("", " "):
        at = text[place : place + 40]
        raise EntryError("structured data", f"{at!r} behind it", "a space")
    # rsyslog's own template puts two before MSG; a byte order mark says "UTF-8"
    return timestamp, text[place + 1 :].removeprefix(" ").removeprefix("\ufeff")


def _read_structured(text: str, place: int, fields: dict[str, Any]) -> int:
    """Where structured data ends; its elements go to `fields`, by their SD-ID."""
    if text[place : place + 1] == "-":
        return place + 1
    elements: dict[str, dict[str, Any]] = {}
    end = place + METADATA_BYTES  # what is longer can't be stored
    while (element := _ELEMENT.match(text, place, end)) is not None:
        values = elements.setdefault(element[1], {})
        place = element.end()
        while (parameter := _PARAMETER.match(text, place, end)) is not None:
            _add(values, parameter[1], _ESCAPED.sub(r"\1", parameter[2]))
            place = parameter.end()
        if text[place : place + 1] != "]":
            raise _malformed(text, place, end, 'name="value" or ]')
        place += 1
    if not elements or text[place : place + 1] == "[":
        raise _malformed(text, place, end, "[id ...] or -")
    fields["structured_data"] = elements
    return place


def _malformed(text: str, place: int, end: int, expected: str) -> EntryError:
    found = f"got {text[place : place + 40]!r}"
    if len(text) > end:
        expected += f" within {METADATA_BYTES:,} characters"
    return EntryError("structured data", found, expected)


def _add(values: dict[str, Any], name: str, value: str) -> None:
    """A parameter may be there more than once: then its values are a list."""
    if name not in values:
        values[name] = value
    elif isinstance(values[name], list):
        values[name].append(value)
    else:
        values[name] = [values[name], value]


def _read_loose(
    text: str, place: int, now: int, zone: tzinfo, fields: dict[str, Any]
) -> tuple[int, str]:
    """Time and message of RFC 3164, with host and tag if they are there."""
    timestamp, after = _read_time(text, place, now, zone)
    tag = _TAG.match(text, after)
    if tag is None and after > place:
        host = _HOST.match(text, after)
        if host is not None and host.end() < len(text):
            fields["hostname"] = host[1]
            after = host.end()
            tag = _TAG.match(text, after) or _CUT_TAG.match(text, after)
    if tag is not None:
        after = tag.end()
        fields["app-name"] = tag[1]
        if tag[2]:
            fields["procid"] = tag[2]
    return timestamp, text[after:]


def _read_time(text: str, place: int, now: int, zone: tzinfo) -> tuple[int, int]:
    """The time at a place and where it ends; without one, `now` and the place."""
    try:
        if (iso := _ISO.match(text, place)) is not None:
            return parse_timestamp(iso[1], now, zone), iso.end()
        if (found := _CIVIL.match(text, place)) is not None:
            month, day, year, *clock, fraction = found.groups()
            civil = (year, month, day, *clock)
            return read_civil(civil, fraction, None, now + _AHEAD, zone), found.end()
    except (ValueError, OverflowError, EntryError):
        pass  # 31 February is a part of the message
    return now, place
