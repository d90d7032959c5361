"""The write-ahead log as it lies on disk: which of its frames hold, and what is wrong.

SQLite believes a WAL up to the first frame whose checksum is wrong and says nothing of
the rest: one flipped bit would take acknowledged commits with it.  Three things end a
WAL early, and only the last is damage:

1. A process was killed, or a write failed, in the middle of a transaction: behind the
   last commit are frames without a commit frame, or stale ones of other salts.
2. The power went before a transaction was synced: any of its frames may be missing, but
   nothing of a later transaction is there, because that begins after the sync.
3. A frame was changed after it was written: it differs by one bit, which the checksum
   tells (it is linear), or later transactions go on behind it.

The checksum of a frame goes on from the one before: (a, b) becomes (a + b + x, a + 2b +
x + y) for each two words x, y.  Over a whole frame this is a matrix times (a, b), plus
a sum of the words with fixed factors, which numpy does at once.
https://www.sqlite.org/fileformat2.html#the_write_ahead_log
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.store.schema import PAGE_BYTES

Read = Callable[[int, int], bytes]
"""(offset, size) => bytes of the WAL, fewer at its end"""

Sum = tuple[int, int]
Words = npt.NDArray[np.uint32]

_HEADER: Final = struct.Struct(">6I2I")
"""magic, version, page size, checkpoint, salts (2), checksum (2) => u32"""

_FRAME: Final = struct.Struct(">II2I2I")
"""page, pages of the database after a commit, salts (2), checksum (2) => u32"""

_MAGIC: Final = 0x377F0682
_BIG_ENDIAN: Final = 1
_FRAME_BYTES: Final = _FRAME.size + PAGE_BYTES
_SUMMED: Final = 2 + PAGE_BYTES // 4
"""Words of a frame under its checksum: page number, size, and the page."""

_AT_ONCE: Final = 64
_MASK: Final = 0xFFFFFFFF


class Frame(NamedTuple):
    """A version of a page."""

    page: int
    size: int
    """Pages of the database if a transaction ends here, else 0."""

    offset: int
    """Of the page's bytes in the WAL."""

    is_sound: bool = True
    flip: tuple[int, int] | None = None
    """(byte, mask) that puts the page right again."""

    other_page: int | None = None
    """Where the frame may belong instead: its page number may be what is wrong."""

    def mend(self, page: bytes) -> bytes:
        """The page as it was written."""
        if self.flip is None:
            return page
        at, mask = self.flip
        return page[:at] + bytes([page[at] ^ mask]) + page[at + 1 :]


@dataclass(slots=True)
class Wal:
    """What a WAL holds up to its last commit, and what is wrong with it."""

    frames: list[Frame] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)


class _Raw(NamedTuple):
    place: int
    page: int
    size: int
    salts: Sum
    stored: Sum
    share: Sum
    """What the frame adds to the checksum."""

    words: Words


class _Factors(NamedTuple):
    """Of a stretch of words: their factors in both sums, and the matrix."""

    first: Words
    second: Words
    matrix: tuple[int, int, int, int]


def _factors(words: int) -> _Factors:
    """From the last pair back: what a pair adds grows as Fibonacci's numbers."""
    a, b, c, d = 1, 0, 0, 1
    columns = []
    for _ in range(words // 2):
        # the words x, y of a pair come in as (x, x + y)
        columns.append((a + b, b, c + d, d))
        a, b, c, d = ((a + b) & _MASK, (a + 2 * b), (c + d) & _MASK, (c + 2 * d))
        b, d = b & _MASK, d & _MASK
    table = np.array(columns[::-1], np.uint64).astype(np.uint32)
    first = np.ascontiguousarray(table[:, 0:2]).reshape(-1)
    second = np.ascontiguousarray(table[:, 2:4]).reshape(-1)
    return _Factors(first, second, (a, b, c, d))


def _share(factors: _Factors, words: Words) -> Sum:
    return (
        int((factors.first * words).sum(dtype=np.uint32)),
        int((factors.second * words).sum(dtype=np.uint32)),
    )


def _follow(factors: _Factors, before: Sum, share: Sum) -> Sum:
    a, b, c, d = factors.matrix
    x, y = before
    return (a * x + b * y + share[0]) & _MASK, (c * x + d * y + share[1]) & _MASK


def scan(read: Read, size: int, *, synced: bool = True) -> Wal:
    """What of a WAL of `size` bytes holds.

    Unless each commit was `synced`, a power cut may leave out any frame: then only
    flipped bits are damage.
    """
    wal = Wal()
    if size < _HEADER.size + _FRAME_BYTES:
        return wal
    first = read(_HEADER.size, _FRAME.size)
    head = _mended_header(read(0, _HEADER.size), first[8:16], wal)
    order = ">u4" if head is not None and head[0] & _BIG_ENDIAN else "<u4"
    scanner = _Scanner(wal, head, synced=synced)
    for raw in _frames(read, size, order, scanner.factors):
        scanner.add(raw)
    scanner.end()
    return wal


def _mended_header(data: bytes, first_salts: bytes, wal: Wal) -> tuple[int, ...] | None:
    """The header's fields, one flipped bit put right; None when it can't be."""
    factors = _factors(6)
    if _header_holds(data, factors):
        return _HEADER.unpack(data)
    if not any(data):
        # made, and not written before the power went: nothing was committed to it
        return None
    wal.flaws.append("the WAL's header is damaged")
    for bit in range(8 * len(data)):
        tried = bytearray(data)
        tried[bit // 8] ^= 1 << bit % 8
        if _header_holds(bytes(tried), factors) and tried[16:24] == first_salts:
            return _HEADER.unpack(bytes(tried))
    return None


def _header_holds(data: bytes, factors: _Factors) -> bool:
    magic, *_, first, second = _HEADER.unpack(data)
    if magic & ~_BIG_ENDIAN != _MAGIC:
        return False
    order = ">u4" if magic & _BIG_ENDIAN else "<u4"
    words = np.frombuffer(data, order, 6).astype(np.uint32)
    return _share(factors, words) == (first, second)


def _frames(read: Read, size: int, order: str, factors: _Factors) -> Iterator[_Raw]:
    index = 0
    while (offset := _HEADER.size + index * _FRAME_BYTES) + _FRAME_BYTES <= size:
        data = read(offset, min(_AT_ONCE * _FRAME_BYTES, size - offset))
        for at in range(0, len(data) - _FRAME_BYTES + 1, _FRAME_BYTES):
            page, pages, *rest = _FRAME.unpack_from(data, at)
            all_words = np.frombuffer(data, order, _FRAME_BYTES // 4, at)
            words = np.concatenate([all_words[:2], all_words[6:]]).astype(np.uint32)
            salts, stored = (rest[0], rest[1]), (rest[2], rest[3])
            share = _share(factors, words)
            yield _Raw(index, page, pages, salts, stored, share, words)
            index += 1
        if len(data) < _FRAME_BYTES:
            return


class _Scanner:
    """Follows the chain of checksums, and over a break looks whether it goes on."""

    def __init__(self, wal: Wal, head: tuple[int, ...] | None, *, synced: bool) -> None:
        self._synced = synced
        self.factors = _factors(_SUMMED)
        self._wal = wal
        self._salts: Sum | None = (head[4], head[5]) if head is not None else None
        self._before: set[Sum] = {(head[6], head[7]) if head is not None else (0, 0)}
        """The checksum so far; either of two after a frame with a flipped bit."""

        self._flawed: list[tuple[int, str]] = [(0, flaw) for flaw in wal.flaws]
        self._whole = 0
        """Frames up to the last commit of the unbroken chain."""

        self._break: int | None = None
        self._beyond = 0
        """Frames up to the last commit behind the break."""

        self._proven = False
        self._is_behind_commit = False

    def add(self, raw: _Raw) -> None:
        """The next frame."""
        if self._salts is None:
            self._salts = raw.salts
        expected = [_follow(self.factors, sum_, raw.share) for sum_ in self._before]
        is_ours, is_linked = raw.salts == self._salts, raw.stored in expected
        if self._break is not None:
            if is_ours:
                self._go_on(raw, is_linked)
        elif is_ours and is_linked:
            self._keep(Frame(raw.page, raw.size, _place(raw)), raw.stored)
        elif (found := self._explain(raw, expected[0])) is not None:
            self._flawed.append((raw.place, f"frame {raw.place + 1} of the WAL"))
            self._keep(found, raw.stored, expected[0])
        elif is_ours:
            self._break = raw.place
            self._go_on(raw, is_linked=False)

    def _keep(self, frame: Frame, *sums: Sum) -> None:
        self._wal.frames.append(frame)
        self._before = set(sums)
        if frame.size:
            self._whole = len(self._wal.frames)

    def _go_on(self, raw: _Raw, is_linked: bool) -> None:
        """Behind the break: a commit that another transaction follows was synced."""
        self._wal.frames.append(Frame(raw.page, raw.size, _place(raw), is_linked))
        self._before = {raw.stored}
        self._proven |= self._synced and is_linked and self._is_behind_commit
        is_break = raw.place == self._break
        self._is_behind_commit = raw.size > 0 and (is_linked or is_break)
        if self._is_behind_commit:
            self._beyond = len(self._wal.frames)

    def end(self) -> None:
        """Cut off what was never committed."""
        count = self._beyond if self._proven else self._whole
        if self._proven and self._break is not None:
            self._flawed.append((0, f"frame {self._break + 1} of the WAL"))
        del self._wal.frames[count:]
        self._wal.flaws[:] = [text for index, text in self._flawed if index < count]

    def _explain(self, raw: _Raw, expected: Sum) -> Frame | None:
        """The frame, if one flipped bit explains why its checksum is another."""
        assert self._salts is not None
        frame = Frame(raw.page, raw.size, _place(raw))
        strange = _bits(raw.salts, self._salts)
        if strange:
            return frame if strange == 1 and raw.stored == expected else None
        flips = _flips(self.factors, raw, expected)
        if _bits(raw.stored, expected) == 1:
            return frame._replace(is_sound=not flips)
        if len(flips) == 1:
            return _mended(frame, *flips[0])
        # of the high bits several words can be it: the blocks' own CRCs will tell
        pages = [_swapped(raw.page, mask) for word, mask in flips if word == 0]
        sizes = [_swapped(raw.size, mask) for word, mask in flips if word == 1]
        doubtful = frame._replace(
            is_sound=False,
            size=max([raw.size, *sizes]),
            other_page=pages[0] if pages else None,
        )
        return doubtful if flips else None


def _mended(frame: Frame, word: int, mask: int) -> Frame:
    if word == 0:
        return frame._replace(page=_swapped(frame.page, mask))
    if word == 1:
        return frame._replace(size=_swapped(frame.size, mask))
    bit = mask.bit_length() - 1
    return frame._replace(flip=(4 * (word - 2) + bit // 8, 1 << bit % 8))


def _place(raw: _Raw) -> int:
    return _HEADER.size + raw.place * _FRAME_BYTES + _FRAME.size


def _swapped(value: int, mask: int) -> int:
    """The field is big-endian, the word that was summed little-endian."""
    return value ^ int.from_bytes(mask.to_bytes(4, "little"), "big")


def _bits(left: Sum, right: Sum) -> int:
    return sum((a ^ b).bit_count() for a, b in zip(left, right, strict=True))


def _flips(factors: _Factors, raw: _Raw, expected: Sum) -> list[tuple[int, int]]:
    """Each (word, mask) of one bit whose change makes up for the difference.

    Of a word's bit b only the low 32 - b bits of its factors count, so that for the
    highest ten bits there is more than one.
    """
    first = np.uint32((raw.stored[0] - expected[0]) & _MASK)
    second = np.uint32((raw.stored[1] - expected[1]) & _MASK)
    found = []
    for bit in range(32):
        mask = np.uint32(1 << bit)
        # a bit that is 0 now was 1 and is missing from the sum; one that is 1 is extra
        signs = np.where(raw.words & mask, np.uint32(_MASK), np.uint32(1))
        change = signs * mask
        fits = (factors.first * change == first) & (factors.second * change == second)
        found += [(place, 1 << bit) for place in np.flatnonzero(fits).tolist()]
    return found
