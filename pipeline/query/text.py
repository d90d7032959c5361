"""Words and phrases over whole columns of text: bytes in, masks of values out.

What matches: the text itself, with A-Z and a-z alike, as whole tokens. A token is a run
of ASCII letters, digits, underscores and bytes of 0x80 and above; the border is asked
only where the word itself ends in a token character. A word with a character outside
ASCII is looked for as a substring (in Korean and others particles join their nouns), as
is such a word at either end of a phrase.

Strategy: two rare bytes of the word are compared at all places at once by numpy, in
pieces that stay in the cache, and only the places where both stand are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.compression import Bytes as Buffer

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_CASE: Final = 0x20
_PIECE: Final = 1 << 18
"""Bytes compared at a time. 65,536 messages of 5.8 MB, one word: 0.9 ms where it is
absent and 3.8 where every row has it; in one piece 2.5 to 6.8 (fresh pages are zeroed
for each mask), `bytes.lower` and `find` 4.3 and 18, `re` with IGNORECASE 30 and 50."""

_SMALL: Final = 1 << 16
"""Bytes that are folded and searched as fast as numpy is called (50 us)."""

_SAMPLE: Final = 8192
"""Bytes of the column that tell how frequent a byte is."""

_SPARSE: Final = 3000
"""One value alone takes as long as this many bytes of a whole column (1 us)."""

_TOKEN_RUN: Final = re.compile(rb"[0-9A-Za-z_\x80-\xff]+")
_WIDE: Final = re.compile(rb"[\x80-\xff]")
DIGIT: Final = re.compile(rb"[0-9]")


def _fold_table() -> Bytes:
    table = np.arange(256, dtype=np.uint8)
    table[ord("A") : ord("Z") + 1] += _CASE
    return table


def _token_table() -> Mask:
    table = np.zeros(256, np.bool_)
    table[0x80:] = True
    for first, last in (b"09", b"AZ", b"az", b"__"):
        table[first : last + 1] = True
    return table


_FOLD: Final = _fold_table()
_TOKEN: Final = _token_table()
_IS_TOKEN: Final = bytes(_TOKEN.tolist())

_folded: Final = np.empty(_PIECE, np.uint8)
_first: Final = np.empty(_PIECE, np.bool_)
_second: Final = np.empty(_PIECE, np.bool_)


class Needle:
    """A text (not empty) to look for: a word or phrase, or with open ends.

    `left` and `right` ask for the borders of tokens there, `exact` for the case too.
    """

    def __init__(
        self, text: str, *, left: bool = True, right: bool = True, exact: bool = False
    ) -> None:
        self.text = text
        self.exact = exact
        self.folded = text.encode().lower()
        self._written = text.encode() if exact else self.folded
        runs = list(_TOKEN_RUN.finditer(self.folded))
        starts = bool(runs) and runs[0].start() == 0
        ends = bool(runs) and runs[-1].end() == len(self.folded)
        self.left = left and starts and _is_ascii(runs[0])
        self.right = right and ends and _is_ascii(runs[-1])
        open_runs = {0} if starts and not self.left else set()
        open_runs |= {len(runs) - 1} if ends and not self.right else set()
        self.tokens = [
            run.group() for place, run in enumerate(runs) if place not in open_runs
        ]
        """Tokens, folded, that a text must have as a whole to have this one."""

        self._open = {runs[place].start() for place in open_runs}
        self.key = self._written, self.left, self.right, exact

    @property
    def in_template(self) -> re.Pattern[bytes]:
        """What a template, folded, has wherever this text could touch a variable.

        A token is a variable of templates exactly when it has a digit; what has an
        open end may be a part of one. Each of `in_variables` is a group.
        """
        parts, at = [], 0
        for run in _TOKEN_RUN.finditer(self._written):
            parts.append(re.escape(self._written[at : run.start()]))
            token = re.escape(run.group())
            if DIGIT.search(run.group()):
                token = b"(\xff)"
            elif run.start() in self._open:
                token = b"(%b|\xff)" % token
            parts.append(token)
            at = run.end()
        parts.append(re.escape(self._written[at:]))
        return re.compile(b"".join(parts))

    @property
    def everywhere(self) -> re.Pattern[bytes]:
        """As `in_template`, also where one begins within another."""
        return re.compile(b"(?=%b)" % self.in_template.pattern)

    @property
    def is_run(self) -> bool:
        """Whether it is one run of token characters that may be in a variable."""
        inside = _TOKEN_RUN.fullmatch(self.folded)
        return inside is not None and bool(self.in_variables)

    @property
    def in_variables(self) -> list[tuple[bytes, bool]]:
        """(folded, as a whole) of the tokens that could be in variables."""
        return [
            (run.group(), run.start() not in self._open)
            for run in _TOKEN_RUN.finditer(self.folded)
            if run.start() in self._open or DIGIT.search(run.group())
        ]

    def found_in(self, value: bytes) -> bool:
        """Whether one value has it."""
        folded = value if self.exact else value.lower()
        at = folded.find(self._written)
        while at >= 0:
            end = at + len(self._written)
            left = self.left and at > 0 and _IS_TOKEN[folded[at - 1]]
            right = self.right and end < len(folded) and _IS_TOKEN[folded[end]]
            if not left and not right:
                return True
            at = folded.find(self._written, at + 1)
        return False

    def may_be_in(self, data: Buffer) -> bool:
        """Whether some bytes may have it; a cheap no for those of a small column.

        Blocks of a slow stream have a hundred columns of some hundred bytes, where the
        calls of numpy cost more than the bytes: a word over 1,001 blocks of 50 entries
        took 2.8 s of CPU without this look and 0.44 with it.
        """
        return len(data) > _SMALL or self.folded in bytes(data).lower()

    def match(self, data: bytes, ends: Ints, among: Mask | None = None) -> Mask:
        """Which values have it; `ends` are the places of the newlines behind each.

        Values outside `among` count as not having it.
        """
        if among is not None:
            chosen = np.flatnonzero(among)
            if len(chosen) * _SPARSE < len(data):
                return self._match_few(data, ends, chosen)
        places = find_folded(data, self.folded)
        if self.exact:
            places = _as_written(data, places, self._written)
        mask = self._values_at(np.frombuffer(data, np.uint8), ends, places)
        return mask if among is None else mask & among

    def _match_few(self, data: bytes, ends: Ints, chosen: Ints) -> Mask:
        mask = np.zeros(len(ends), np.bool_)
        starts = np.where(chosen > 0, ends[chosen - 1] + 1, 0)
        pairs = zip(starts.tolist(), ends[chosen].tolist(), strict=True)
        mask[chosen] = [self.found_in(data[start:end]) for start, end in pairs]
        return mask

    def _values_at(self, data: Bytes, ends: Ints, places: Ints) -> Mask:
        """The values with a place that lies within them and between borders."""
        size = len(self.folded)
        if self.left:
            # before the first byte stands, cyclically, the last newline
            places = places[~_TOKEN[data[places - 1]]]
        if self.right:
            after = np.minimum(places + size, len(data) - 1)
            places = places[~_TOKEN[data[after]]]
        mask: Mask = np.zeros(len(ends), np.bool_)
        if b"\n" in self.folded:
            values = np.searchsorted(ends, places)
            mask[values[places + size <= ends[values]]] = True
        elif len(places) > len(ends):
            # a place can't span two values: count those before each value's end
            mask[:] = np.diff(np.searchsorted(places, ends), prepend=0) > 0
        elif len(places):
            mask[np.searchsorted(ends, places)] = True
        return mask


def _is_ascii(run: re.Match[bytes]) -> bool:
    return _WIDE.search(run.group()) is None


def find_folded(data: bytes, folded: bytes) -> Ints:
    """All places of a folded text in the data, whatever the case of ASCII letters."""
    count = len(data) - len(folded) + 1
    if count <= 0:
        return np.empty(0, np.int64)
    view = np.frombuffer(data, np.uint8)
    order = _rarest_first(view, folded)
    places = _candidates(view, folded, order[:2], count)
    for offset in order[2:]:
        if not len(places):
            break
        places = places[_FOLD[view[places + offset]] == folded[offset]]
    return places


def _as_written(data: bytes, places: Ints, text: bytes) -> Ints:
    """The places where the text stands in its own case."""
    view = np.frombuffer(data, np.uint8)
    for offset, byte in enumerate(text):
        if bytes([byte]).isalpha():
            places = places[view[places + offset] == byte]
    return places


def _rarest_first(view: Bytes, folded: bytes) -> list[int]:
    """Offsets of the word's bytes, those first that the data have least."""
    frequency = np.bincount(_FOLD[view[:_SAMPLE]], minlength=256)
    return sorted(range(len(folded)), key=lambda at: int(frequency[folded[at]]))


def _candidates(view: Bytes, folded: bytes, offsets: list[int], count: int) -> Ints:
    """Where the bytes at the (one or two) offsets are right."""
    parts = []
    for start in range(0, count, _PIECE):
        size = min(_PIECE, count - start)
        mask = _equal(view, start + offsets[0], size, folded[offsets[0]], _first)
        if len(offsets) > 1:
            at = start + offsets[1]
            mask &= _equal(view, at, size, folded[offsets[1]], _second)
        places = np.flatnonzero(mask)
        if len(places):
            places += start
            parts.append(places)
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _equal(view: Bytes, start: int, size: int, byte: int, out: Mask) -> Mask:
    """Where a folded byte stands in a piece; a letter in either case."""
    piece = view[start : start + size]
    if ord("a") <= byte <= ord("z"):
        # setting the bit of the case maps only the two forms of a letter to it
        piece = np.bitwise_or(piece, _CASE, out=_folded[:size])
    return np.equal(piece, byte, out=out[:size])


def equal_values(data: bytes, ends: Ints, lengths: Ints, value: bytes) -> Mask:
    """Which values are exactly this one."""
    view = np.frombuffer(data, np.uint8)
    chosen = np.flatnonzero(lengths == len(value))
    starts = ends[chosen] - len(value)
    for offset, byte in enumerate(value):
        keep = view[starts + offset] == byte
        chosen, starts = chosen[keep], starts[keep]
        if not len(chosen):
            break
    mask: Mask = np.zeros(len(ends), np.bool_)
    mask[chosen] = True
    return mask


def as_column(texts: Sequence[bytes]) -> tuple[bytes, Ints]:
    """Texts one after another, each before a newline, and the newlines' places."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    return b"".join([text + b"\n" for text in texts]), np.cumsum(lengths + 1) - 1


def values_at(data: bytes, ends: Ints, chosen: Ints) -> tuple[bytes, Ints]:
    """Some values (of increasing places) as a column of their own."""
    stops = ends[chosen] + 1
    starts = np.where(chosen > 0, ends[chosen - 1] + 1, 0)
    places = map(slice, starts.tolist(), stops.tolist())
    return b"".join(map(data.__getitem__, places)), np.cumsum(stops - starts) - 1


def having(data: bytes, ends: Ints, byte: bytes) -> Mask:
    """Which values have this byte."""
    places = np.flatnonzero(np.frombuffer(data, np.uint8) == byte[0])
    mask: Mask = np.zeros(len(ends), np.bool_)
    mask[np.searchsorted(ends, places)] = True
    return mask
