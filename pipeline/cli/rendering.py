"""Entries as lines for people: time, level, source, message, and what else there is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from zlib import crc32

from pipeline.cli.printable import cut, on_lines, on_one_line, padded, width

Entry = Mapping[str, Any]

RESET: Final = "\x1b[0m"
DIM: Final = "\x1b[2m"
LEVELS: Final = {
    "TRACE": DIM,
    "DEBUG": "\x1b[36m",
    "INFO": "\x1b[32m",
    "WARN": "\x1b[33m",
    "ERROR": "\x1b[31m",
    "FATAL": "\x1b[1;37;41m",
}
SOURCES: Final = tuple(f"\x1b[{code}m" for code in (36, 35, 34, 96, 95, 94))

INDENT: Final = "    "
"""Before each further line of a message, so that none can look like an entry."""

SOURCE_COLUMNS: Final = 24
_METADATA: Final = "metadata."


class Painter:
    """Puts colours around texts, or leaves them as they are."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour

    def __call__(self, style: str, text: str) -> str:
        """The text in that style."""
        return f"{style}{text}{RESET}" if self._colour and text and style else text

    def level(self, name: str) -> str:
        """The name of a level, five columns wide."""
        return self(LEVELS.get(name, ""), padded(cut(on_one_line(name), 5), 5))

    def source(self, name: str, columns: int) -> str:
        """A source; always in the same colour."""
        style = SOURCES[crc32(name.encode("utf-8", "replace")) % len(SOURCES)]
        return self(style, padded(cut(on_one_line(name), columns), columns))


class EntryLines:
    """Makes lines of entries; sources are aligned as far as they have been seen.

    With `fields` only these, in their order; with `marked` a `>` tells hits from the
    entries around them.
    """

    def __init__(
        self, *, colour: bool, fields: Sequence[str] = (), marked: bool = False
    ) -> None:
        self._paint = Painter(colour=colour)
        self._fields = fields
        self._marked = marked
        self._columns = 0

    def see(self, entries: Sequence[Entry]) -> None:
        """Make room for the sources of a page before its first line."""
        for entry in entries:
            columns = width(on_one_line(str(entry.get("source", ""))))
            self._columns = max(self._columns, min(columns, SOURCE_COLUMNS))

    def text(self, entry: Entry, before: str = "") -> str:
        """The entry; `before` stands in front of its time."""
        if self._fields:
            return "\t".join(_cell(entry, name) for name in self._fields)
        if self._marked:
            before = ("  " if entry.get("context") else "> ") + before
        return "\n".join(self._lines(entry, before))

    def _lines(self, entry: Entry, before: str) -> Iterator[str]:
        source = str(entry.get("source", ""))
        self.see([entry])
        first, *more = on_lines(str(entry.get("message", ""))).split("\n")
        rest = self._rest(entry)
        is_near = bool(entry.get("context"))
        message = self._paint(DIM, first) if is_near else first
        yield "  ".join(
            part
            for part in (
                before + self._paint(DIM, short_time(entry.get("timestamp"))),
                self._paint.level(str(entry.get("level", ""))),
                self._paint.source(source, self._columns),
                message,
                "" if more else rest,
            )
            if part
        )
        for line in more:
            yield INDENT + (self._paint(DIM, line) if is_near else line)
        if more and rest:
            yield INDENT + rest

    def _rest(self, entry: Entry) -> str:
        parts = [_pair(*pair) for pair in (entry.get("metadata") or {}).items()]
        if entry.get("trace_id") is not None:
            parts.append(_pair("trace_id", entry["trace_id"]))
        parts += [f"#{on_one_line(str(tag))}" for tag in entry.get("tags") or ()]
        return self._paint(DIM, " ".join(parts))


def short_time(timestamp: object) -> str:
    """An entry's time in milliseconds, as `--since` takes it."""
    text = on_one_line(str(timestamp or ""))
    return text[:23] + "Z" if len(text) == 30 else text


def value_text(value: object) -> str:
    """A value of metadata: text as it is if it is one word, all else as JSON."""
    if isinstance(value, str):
        plain = value and value.isprintable() and not set(value) & set(" \"'=")
        return value if plain else on_one_line(json.dumps(value, ensure_ascii=False))
    return on_one_line(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _pair(key: str, value: object) -> str:
    return f"{on_one_line(key)}={value_text(value)}"


def _cell(entry: Entry, name: str) -> str:
    """A field on one line; nothing where it is null."""
    if name.startswith(_METADATA):
        value = (entry.get("metadata") or {}).get(name[len(_METADATA) :])
    else:
        value = entry.get(name)
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return on_one_line(text)
