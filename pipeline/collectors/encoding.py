"""Rows to payloads; what can't be stored is refused and keeps its number.

Pure but for what `str` of a caller's objects does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from pipeline.batch.encode import Compress, Row, encode_rows, unpacked_bytes
from pipeline.collectors.admission import admit
from pipeline.errors import EntryError
from pipeline.limits import FRAME_BYTES
from pipeline.redaction import Redactor

PAYLOAD_BYTES: Final = FRAME_BYTES // 4
"""Of a batch before compression, at most, unless it is one row: a frame beyond its
limit would be refused for ever, with everything behind it."""

Numbered = tuple[int, Row]
"""A row and its place among those that it came with."""


class Encoded(NamedTuple):
    """A batch: so many rows of `span` numbers; without rows the payload is empty."""

    payload: bytes
    rows: int
    span: int


class Encoder:
    """Makes batches of rows, and tells what it had to refuse."""

    def __init__(
        self,
        compress: Compress | None,
        refuse: Callable[[EntryError], None],
        redactor: Redactor | None = None,
    ) -> None:
        self._compress = compress
        self._refuse = refuse
        self.redactor = redactor
        self.bytes = 0
        """Of all payloads before compression."""

    def encode(self, rows: Sequence[Row]) -> Iterator[Encoded]:
        """One batch, or more if it would be too large; `span` covers all rows."""
        redactor = self.redactor
        before = None if redactor is None else redactor.counts.copy()
        payload = self._payload(rows)
        if payload is not None:
            size = unpacked_bytes(payload)
            if size <= PAYLOAD_BYTES or len(rows) == 1:
                self.bytes += size
                yield Encoded(payload, len(rows), len(rows))
                return
        if redactor is not None and before is not None:
            redactor.counts = before  # what is masked once more counts once
        if payload is not None:
            kept = list(enumerate(map(redactor.row, rows) if redactor else rows))
        else:
            kept = list(self._admitted(rows))
        yield from self._cut(kept, 0, len(rows))

    def _cut(self, kept: list[Numbered], first: int, end: int) -> Iterator[Encoded]:
        """Batches of the numbers from `first` on, of which these rows are left."""
        if not kept:
            yield Encoded(b"", 0, end - first)
            return
        rows = [row for _, row in kept]
        complete = len(rows) == end - first
        offsets = None if complete else [place - first for place, _ in kept]
        payload = encode_rows(rows, offsets, compress=self._compress)
        size = unpacked_bytes(payload)
        if size > PAYLOAD_BYTES and len(rows) == 1 and not list(self._admitted(rows)):
            yield Encoded(b"", 0, end - first)
            return
        if size > PAYLOAD_BYTES and len(rows) > 1:
            middle = len(rows) // 2
            border = kept[middle][0]
            yield from self._cut(kept[:middle], first, border)
            yield from self._cut(kept[middle:], border, end)
            return
        self.bytes += size
        yield Encoded(payload, len(rows), end - first)

    def _payload(self, rows: Sequence[Row]) -> bytes | None:
        """All rows at once; None when one of them stands in the way."""
        try:
            payload = encode_rows(rows, None, self._compress, self.redactor)
        except Exception:  # noqa: BLE001 - `str` of a caller's object may raise anything
            return None
        # Many values, each within its limit: `admit` says what is too much.
        too_large = len(rows) == 1 and unpacked_bytes(payload) > PAYLOAD_BYTES
        return None if too_large else payload

    def _admitted(self, rows: Sequence[Row]) -> Iterator[Numbered]:
        for place, row in enumerate(rows):
            try:
                entry: Row = admit(row)
                if self.redactor is not None:
                    entry = self.redactor.row(entry)
                encode_rows([entry])
            except EntryError as error:
                self._refuse(error)
            except Exception as error:  # noqa: BLE001 - as above; it costs this row only
                self._refuse(
                    EntryError("entry", repr(error), "values that have a text")
                )
            else:
                yield place, entry
