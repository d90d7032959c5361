"""Entries of replies, as lines for people or as JSON, and tables that a query makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.cli.output import Output
from pipeline.cli.printable import as_json
from pipeline.cli.rendering import EntryLines
from pipeline.cli.tables import Table, aligned, separated, with_bars

if TYPE_CHECKING:
    from msgspec import Raw


class Entries:
    """Shows entries as they come, page by page."""

    def __init__(
        self,
        out: Output,
        *,
        json: bool,
        fields: Sequence[str] = (),
        marked: bool = False,
    ) -> None:
        self.count = 0
        """Entries shown so far."""
        self._out = out
        self._json = json
        self._lines = EntryLines(colour=out.colour, fields=fields, marked=marked)

    def show(self, logs: Raw) -> None:
        """A list of entries."""
        import msgspec

        if self._json:
            lines = msgspec.json.decode(logs, type=list[msgspec.Raw])
            self.count += len(lines)
            for line in lines:
                self._out.raw(as_json(bytes(line)))
        else:
            self.show_values(msgspec.json.decode(logs))
        self._out.flush()

    def show_values(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """The same of decoded ones, as lines."""
        self.count += len(entries)
        self._lines.see(entries)
        for entry in entries:
            self._out.line(self._lines.text(entry))


def show_table(
    out: Output, table: Table, *, json: bool, bars: int | None = None
) -> None:
    """Aligned on a terminal, else with tabs or as JSON, a row a line.

    `bars` is the column that a terminal also gets as bars.
    """
    if json:
        import msgspec

        for row in table.rows:
            cells = dict(zip(table.columns, row, strict=True))
            out.raw(as_json(msgspec.json.encode(cells)))
        return
    if not out.is_terminal:
        lines = separated(table)
    elif bars is None:
        lines = aligned(table)
    else:
        lines = with_bars(table, bars, out.columns)
    for line in lines:
        out.line(line)
