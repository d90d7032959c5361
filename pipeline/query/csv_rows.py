"""Entries as lines of a CSV file, RFC 4180: CRLF, quotes where they are needed."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any, Final

import msgspec
from msgspec import Raw

from pipeline.batch.layout import METADATA, METADATA_PREFIX
from pipeline.query.values import values_at

_Fields = dict[str, Raw]
_read: Final = msgspec.json.Decoder(_Fields).decode
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula when a cell begins with it (OWASP)."""


class CsvRows:
    """Makes lines of entries; the columns are the fields, in their order."""

    def __init__(self, fields: Sequence[str], *, spreadsheet: bool) -> None:
        self._fields = fields
        self._keys = [
            name[len(METADATA_PREFIX) :]
            for name in fields
            if name.startswith(METADATA_PREFIX)
        ]
        self._spreadsheet = spreadsheet

    def header(self) -> str:
        """The first line."""
        return _lines([self._fields])

    def lines(self, entries: Iterable[bytes]) -> str:
        """The entries, each as JSON, one a line (quoted ones may hold line breaks)."""
        return _lines(map(self._cells, entries))

    def _cells(self, entry: bytes) -> list[str]:
        shown = _read(entry)
        for key, raw in self._values(shown):
            shown[METADATA_PREFIX + key] = raw
        cells = [_cell(shown.get(name)) for name in self._fields]
        return list(map(_harmless, cells)) if self._spreadsheet else cells

    def _values(self, shown: _Fields) -> Iterable[tuple[str, Raw]]:
        if not self._keys or METADATA not in shown:
            return
        metadata: dict[str, Any] = msgspec.json.decode(shown[METADATA])
        for key in self._keys:
            # fields without the whole metadata come with the asked keys as they are
            found = [metadata[key]] if key in metadata else values_at(metadata, key)
            if found:
                yield key, Raw(msgspec.json.encode(found[0]))


def _cell(raw: Raw | None) -> str:
    """Text as it is, nothing for null, all else as JSON."""
    if raw is None:
        return ""
    text = bytes(raw)
    if text[:1] == b'"':
        return msgspec.json.decode(text, type=str)
    return "" if text == b"null" else text.decode()


def _harmless(cell: str) -> str:
    return "'" + cell if cell.startswith(_FORMULA) else cell


def _lines(rows: Iterable[Sequence[str]]) -> str:
    out = StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()
