"""Bytes of a file become entries with their places in it, however the bytes arrive.

Pure.  A line ends with LF or CR LF; a blank one is no entry.  Places are offsets from
the beginning of the file.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from pipeline.collectors.lines import LINE_BYTES, Line
from pipeline.collectors.multiline import (
    BYTES_MAX,
    CANDIDATE,
    LINES_MAX,
    State,
    begin,
    follow,
    is_trace,
    is_whole,
)

BOM: Final = b"\xef\xbb\xbf"
"""Of UTF-8; at the beginning of a file it is no part of the text."""


class Piece(NamedTuple):
    """An entry's text, and where it begins."""

    start: int
    line: Line


class _Open:
    """An entry that may go on."""

    __slots__ = ("blanks", "bytes", "cut", "lines", "start", "state")

    def __init__(self, start: int, raw: bytes, cut: int, state: State) -> None:
        self.start = start
        self.lines = [raw]
        self.bytes = len(raw)
        self.cut = cut
        self.state = state
        self.blanks = 0

    def piece(self) -> Piece:
        if len(self.lines) == 1:
            return Piece(self.start, Line(self.lines[0], self.cut))
        failed = is_trace(self.state)
        return Piece(self.start, Line(b"\n".join(self.lines), self.cut, failed))


class Cutter:
    """One file from an offset on; `joins` makes one entry of a stack trace."""

    def __init__(self, start: int, *, joins: bool = True) -> None:
        self.position = start
        """How far the file was fed."""

        self.line_start = start
        """Where the line begins whose end has not come yet."""

        self.joins = joins
        self._open: _Open | None = None
        self._parts: list[bytes] = []
        self._held = 0
        self._cut = 0

    @property
    def settled(self) -> int:
        """All before it was given out, or is blank."""
        return self.line_start if self._open is None else self._open.start

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return self._held + (0 if self._open is None else self._open.bytes)

    @property
    def is_open(self) -> bool:
        """Whether an entry waits for more lines."""
        return self._open is not None

    @property
    def opened(self) -> int:
        """Where that entry begins; -1: none does."""
        return -1 if self._open is None else self._open.start

    @property
    def is_within_line(self) -> bool:
        """Whether a line was begun."""
        return self.position > self.line_start

    def feed(self, chunk: bytes) -> list[Piece]:
        """The entries that this chunk completes."""
        out: list[Piece] = []
        first = chunk.find(b"\n")
        if first < 0:
            self._hold(chunk)
            self.position += len(chunk)
            return out
        last = chunk.rfind(b"\n")
        self._hold(chunk[:first])
        begun, self.line_start = self.line_start, self.position + first + 1
        self._line(begun, *self._unfinished(), out)
        if first < last:
            self._lines(chunk[first : last + 1], out)
        self.position += len(chunk)
        self._hold(chunk[last + 1 :])
        return out

    def close(self) -> list[Piece]:
        """The entry that could still go on: nothing has come for a while."""
        opened, self._open = self._open, None
        return [] if opened is None else [opened.piece()]

    def finish(self) -> list[Piece]:
        """All that is left, when the last line will get no end."""
        out: list[Piece] = []
        if self.is_within_line:
            begun, self.line_start = self.line_start, self.position
            self._line(begun, *self._unfinished(), out)
        return out + self.close()

    def _hold(self, part: bytes) -> None:
        room = LINE_BYTES - self._held
        self._cut += max(0, len(part) - room)
        if part and room > 0:
            self._parts.append(part[:room])
            self._held += min(len(part), room)

    def _unfinished(self) -> tuple[bytes, int]:
        """The line that was held, without its end, and how much of it was cut."""
        raw, cut = b"".join(self._parts), self._cut
        self._parts.clear()
        self._held = self._cut = 0
        return raw.removesuffix(b"\r"), cut

    def _lines(self, text: bytes, out: list[Piece]) -> None:
        """Whole lines, behind the end of one and with their own."""
        start = self.line_start
        self.line_start += len(text) - 1
        lines = text[1:-1].split(b"\n")
        traced = self._open is not None and self._open.state is not State.TEXT
        if self.joins and (traced or CANDIDATE.search(text)):
            for raw in lines:
                self._line(start, raw.removesuffix(b"\r"), 0, out)
                start += len(raw) + 1
            return
        # None of them goes on, so that only the last one may be gone on with.
        last = len(lines) - 1
        while last and _is_blank(lines[last]):
            last -= 1
        for raw in lines[:last]:
            if not _is_blank(raw):
                if self._open is not None:
                    out += self.close()
                out.append(Piece(start, Line(raw.removesuffix(b"\r"), 0)))
            elif self._open is not None:
                self._open.blanks += 1
            start += len(raw) + 1
        for raw in lines[last:]:
            self._line(start, raw.removesuffix(b"\r"), 0, out)
            start += len(raw) + 1

    def _line(self, start: int, raw: bytes, cut: int, out: list[Piece]) -> None:
        """One whole line: it goes on with the open entry, or begins one."""
        if start == 0:
            raw = raw.removeprefix(BOM)
        opened = self._open
        if _is_blank(raw):
            if opened is not None:
                opened.blanks += 1
            return
        state = begin(raw) if self.joins else State.TEXT
        if opened is not None:
            joins, state = follow(opened.state, opened.lines[0], raw)
            lines = len(opened.lines) + opened.blanks
            if joins and lines < LINES_MAX and opened.bytes + len(raw) <= BYTES_MAX:
                self._join(opened, raw, cut, state)
                return
            out.append(opened.piece())
        self._open = _Open(start, raw, cut, state)
        if not self.joins or is_whole(raw):
            out += self.close()

    def _join(self, opened: _Open, raw: bytes, cut: int, state: State) -> None:
        opened.lines += [b""] * opened.blanks
        opened.blanks = 0
        opened.lines.append(raw)
        opened.bytes += len(raw) + 1
        opened.cut += cut
        opened.state = state


def _is_blank(line: bytes) -> bool:
    return not line or line.isspace()
