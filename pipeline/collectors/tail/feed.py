"""One stream of a file on its way: bytes in, numbered batches held until durable.

No I/O: the bytes come from whoever reads the file, the batches go to whoever sends.  A
batch covers the file from the end of the one before to the beginning of an entry, so
that numbers are bytes and none is left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from pipeline.batch.encode import Row, encode_rows
from pipeline.collectors.admission import admit
from pipeline.collectors.lines import LineParser
from pipeline.collectors.tail.cutter import Cutter, Piece
from pipeline.compression import compress
from pipeline.delivery.window import Window
from pipeline.errors import EntryError
from pipeline.redaction import Redactor
from pipeline.wire.frame import TAIL_BYTES, Codec, file_tail

BATCH_ROWS: Final = 2000
BATCH_BYTES: Final = 1 << 20
"""Of one batch, before it is encoded; a line beyond is a batch of its own."""

_CHECKPOINTS: Final = 32


class Checkpoint(NamedTuple):
    """What the file held before a place that was sent."""

    offset: int
    tail: int


class Feed:
    """The stream of one producer from an offset on."""

    def __init__(
        self,
        window: Window,
        before: bytes,
        parser: LineParser,
        redactor: Redactor | None = None,
        *,
        joins: bool,
    ) -> None:
        """`before` are the bytes that end where the window begins."""
        start = window.last
        self.window = window
        self.cutter = Cutter(start, joins=joins)
        self.before = before[-TAIL_BYTES:]
        """The last bytes that were fed; the file must still have them."""

        self.checkpoints = deque(
            [Checkpoint(start, file_tail(before))] if before else [],
            maxlen=_CHECKPOINTS,
        )
        self.hurries = False
        """Whether others wait for the first batch to be durable."""

        self.entries = 0
        self.rejected = 0
        self._parser = parser
        self._redactor = redactor
        self._line_start = (start, self.before)
        self._opened = (-1, 0)
        """Where the entry begins that may go on, and when it was read."""

    @property
    def memory(self) -> int:
        """Bytes held."""
        return self.window.bytes + self.cutter.held

    @property
    def parser_counts(self) -> dict[str, int]:
        """Lines that could not be kept as they were, by what was wrong."""
        parser = self._parser
        return {"cut": parser.truncated, "not UTF-8": parser.undecodable}

    @property
    def is_done(self) -> bool:
        """Whether all that was fed is durable, but for a line without an end."""
        return self.window.is_empty and not self.cutter.is_open

    def feed(self, chunk: bytes, now: int) -> None:
        """Take in the next bytes of the file."""
        begun = self.cutter.position - len(self.before)
        recent = self.before + chunk
        pieces = self.cutter.feed(chunk)
        self._add(pieces, self.cutter.settled, now, begun, recent)
        self._note_opened(now)
        line = self.cutter.line_start
        if line != self._line_start[0]:
            self._line_start = (line, recent[: line - begun][-TAIL_BYTES:])
        self.before = recent[-TAIL_BYTES:]

    def close(self, now: int) -> None:
        """Send the entry that could still go on."""
        self._end(self.cutter.close(), now)

    def finish(self, now: int) -> None:
        """Send all that is left; the last line gets no end any more."""
        self._end(self.cutter.finish(), now)
        self._line_start = (self.cutter.line_start, self.before)

    def skip(self, end: int, before: bytes) -> None:
        """Send nothing of the file up to `end`, and have that remembered."""
        tail = file_tail(before)
        span = end - self.window.last
        self.window.add(b"", 0, Codec(0), span=span, flush=True, tail=tail)
        joins = self.cutter.joins
        self.cutter = Cutter(end, joins=joins)
        self.before = before[-TAIL_BYTES:]
        self._line_start = (end, self.before)
        self.checkpoints.append(Checkpoint(end, tail))

    def rewind(self) -> None:
        """Forget what was fed and not sent: it will be read again."""
        end, before = self._line_start
        if self.cutter.settled == end:
            self.cutter = Cutter(end, joins=self.cutter.joins)
            self.before = before

    def _end(self, pieces: list[Piece], now: int) -> None:
        begun = self.cutter.position - len(self.before)
        self._add(pieces, self.cutter.settled, now, begun, self.before)
        self._note_opened(now)

    def _note_opened(self, now: int) -> None:
        """An entry arrives with its first line, whenever its last one does."""
        start = self.cutter.opened
        if start != self._opened[0]:
            self._opened = (start, now)

    def _add(
        self, pieces: list[Piece], settled: int, now: int, begun: int, recent: bytes
    ) -> None:
        """Make batches of entries; `recent` are the file's bytes from `begun` on."""
        for batch, end in _batches(pieces, settled):
            line, before = self._line_start
            if end != line:
                before = recent[max(0, end - begun - TAIL_BYTES) : end - begun]
            self._send(batch, end, file_tail(before), now)

    def _send(self, pieces: Sequence[Piece], end: int, tail: int, now: int) -> None:
        first = self.window.last
        opened, then = self._opened
        rows = [
            self._parser.entry(piece.line, then if piece.start == opened else now)
            for piece in pieces
        ]
        places = [piece.start - first for piece in pieces]
        payload, count = self._encode(rows, places)
        flush = self.hurries and not self.window.durable
        span = end - first
        self.window.add(payload, count, Codec(0), span=span, flush=flush, tail=tail)
        self.checkpoints.append(Checkpoint(end, tail))
        self.entries += count

    def _encode(self, rows: Sequence[Row], places: list[int]) -> tuple[bytes, int]:
        """The payload and its rows; without those that can't be stored."""
        redactor = self._redactor
        try:
            return encode_rows(rows, places, compress, redactor), len(rows)
        except (TypeError, AttributeError, ValueError):
            pass  # what was masked before it failed is counted again: it is rare
        kept: list[Row] = []
        numbers: list[int] = []
        for row, place in zip(rows, places, strict=True):
            try:
                entry: Row = admit(row)
                if redactor is not None:
                    entry = redactor.row(entry)
                encode_rows([entry])
            except (EntryError, ValueError):
                self.rejected += 1
                continue
            kept.append(entry)
            numbers.append(place)
        payload = encode_rows(kept, numbers, compress) if kept else b""
        return payload, len(kept)


def _batches(
    pieces: Sequence[Piece], settled: int
) -> Iterator[tuple[Sequence[Piece], int]]:
    """Entries in groups within the limits, each with the offset behind it."""
    first = size = 0
    for place, piece in enumerate(pieces):
        size += len(piece.line.raw)
        if place > first and (size > BATCH_BYTES or place - first >= BATCH_ROWS):
            yield pieces[first:place], piece.start
            first, size = place, len(piece.line.raw)
    if first < len(pieces):
        yield pieces[first:], settled
