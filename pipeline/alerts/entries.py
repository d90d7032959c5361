"""The entries that say what happens to alerts; nothing else keeps them. Pure.

`now` is in nanoseconds, and becomes the entry's own time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pipeline.alerts.model import (
    SOURCE,
    TAG,
    TEXT_BYTES,
    VERSION,
    Alert,
    Kind,
    Matcher,
    cut,
)
from pipeline.entry import Entry
from pipeline.level import Level
from pipeline.timestamp import format_timestamp

LEVELS: Final = {
    Kind.OPENED: Level.ERROR,
    Kind.UPDATED: Level.WARN,
    Kind.RESOLVED: Level.INFO,
    Kind.ACKNOWLEDGED: Level.WARN,
    Kind.SILENCED: Level.INFO,
    Kind.UNSILENCED: Level.INFO,
    Kind.UNDELIVERED: Level.WARN,
}
"""Of the entry; never FATAL, which is for what the entries themselves say."""


def to_entry(kind: Kind, alert: Alert, now: int) -> Entry:
    """The entry of what happened to an alert; `now` is in nanoseconds."""
    names = {Kind.UPDATED: "update: ", Kind.RESOLVED: "resolved: "}
    fields = msgspec.to_builtins(alert)
    return _entry(kind, names.get(kind, "") + alert.text, now, fields)


def acknowledged(fingerprint: str, by: str, comment: str, now: int) -> Entry:
    """The entry by which somebody has seen an alert."""
    said = f"{fingerprint} acknowledged by {by}" + (f": {comment}" if comment else "")
    fields = {"fingerprint": fingerprint, **_who(by, comment)}
    return _entry(Kind.ACKNOWLEDGED, said, now, fields)


def silenced(matcher: Matcher, until: int, by: str, comment: str, now: int) -> Entry:
    """The entry that silences what fits until then, in nanoseconds."""
    end = format_timestamp(until)
    said = f"{_words(matcher)} silenced until {end} by {by}"
    fields = {"until": end, **_ordered(matcher, by, comment)}
    said += f": {comment}" if comment else ""
    return _entry(Kind.SILENCED, said, now, fields)


def unsilenced(matcher: Matcher, by: str, comment: str, now: int) -> Entry:
    """The entry that ends a silence early."""
    said = f"{_words(matcher)} no longer silenced, by {by}"
    return _entry(Kind.UNSILENCED, said, now, _ordered(matcher, by, comment))


def undelivered(
    channel: str, kind: Kind, alert: Alert, problem: str, attempts: int, now: int
) -> Entry:
    """The entry that a channel could not say what happened; `problem` has no secret."""
    said = f"{channel} was not told that {alert.fingerprint} {kind}: {problem}"
    fields = {
        "fingerprint": alert.fingerprint,
        "channel": channel,
        "of": str(kind),
        "problem": cut(problem, TEXT_BYTES),
        "attempts": attempts,
    }
    return _entry(Kind.UNDELIVERED, said, now, fields)


def _entry(kind: Kind, said: str, now: int, fields: Mapping[str, Any]) -> Entry:
    head = {"version": VERSION, "event": str(kind), "at": format_timestamp(now)}
    tags = [TAG, str(kind)]
    message = cut(" ".join(said.splitlines()), TEXT_BYTES)
    return Entry(
        now, SOURCE, int(LEVELS[kind]), message, {**fields, **head}, tags, None
    )


def _ordered(matcher: Matcher, by: str, comment: str) -> dict[str, Any]:
    given = _given(matcher)
    return {"id": matcher.id, "matcher": given, **_who(by, comment)}


def _who(by: str, comment: str) -> dict[str, str]:
    return {"by": cut(by, TEXT_BYTES), "comment": cut(comment, TEXT_BYTES)}


def _given(matcher: Matcher) -> dict[str, str]:
    found = msgspec.to_builtins(matcher)
    return {name: value for name, value in found.items() if value is not None}


def _words(matcher: Matcher) -> str:
    return ", ".join(f"{name} {value}" for name, value in _given(matcher).items())
