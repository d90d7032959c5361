"""What a fault has shown, and the table of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Figures(NamedTuple):
    """Counts of one fault, over all its runs."""

    fault: str
    runs: int
    entries: int
    lost: int
    doubled: int
    disordered: int
    seconds: float = 0.0
    peak_mb: float = 0.0
    note: str = ""
    unknown: int = 0
    """Entries that nobody logged."""
    is_control: bool = False
    """Whether it shows what goes wrong without the pipeline's protocol."""
    limit_mb: float = 0.0
    """What `peak_mb` must not exceed; 0: it is only told."""

    @property
    def holds(self) -> bool:
        """Whether everything is there, once and in order; a control has to lose."""
        if self.is_control:
            return self.lost > 0
        wrong = self.lost or self.doubled or self.disordered or self.unknown
        return not wrong and (not self.limit_mb or self.peak_mb <= self.limit_mb)


HEADS = ("fault", "runs", "entries", "lost", "double", "disorder", "s", "MB", "")


def cells(figures: Figures) -> list[str]:
    """One row of the table; a time or a size that was not taken is empty."""
    notes = [figures.note]
    if figures.unknown:
        notes.insert(0, f"{figures.unknown:,} unknown")
    if figures.limit_mb:
        notes.insert(0, f"at most {figures.limit_mb:.0f} MB")
    counts = (figures.runs, figures.entries, figures.lost, figures.doubled)
    return [
        figures.fault,
        *(f"{count:,}" for count in (*counts, figures.disordered)),
        f"{figures.seconds:.0f}" if figures.seconds else "",
        f"{figures.peak_mb:.1f}" if figures.peak_mb else "",
        "; ".join(filter(None, notes)),
    ]


def table(found: Sequence[Figures]) -> str:
    """A line for each fault, names to the left and numbers to the right."""
    rows = [list(HEADS), *map(cells, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: list[str], widths: list[int]) -> str:
    name, *numbers, note = row
    right = [
        cell.rjust(width) for cell, width in zip(numbers, widths[1:-1], strict=True)
    ]
    return "  ".join([name.ljust(widths[0]), *right, note]).rstrip()
