"""One column: its place in a payload's directory, and its values when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.batch.layout import Codec, Kind
from pipeline.batch.read import (
    Ints,
    Texts,
    bad,
    decode_text,
    decode_values,
    ends_of,
    read_dictionary,
    read_fixed,
    read_floats,
    read_integers,
    read_texts,
    slices,
    unpack,
)
from pipeline.compression import Bytes, decompress

KINDS: Final = {int(kind): kind for kind in Kind}

_OBJECT_BYTES: Final = 120
"""Of a Python value: a text, or an array of a shape."""


class Field(NamedTuple):
    """One row of the directory."""

    name: str
    kind: int
    codec: int
    present: int
    raw: int
    stored: int


class Column:
    """The values of one column, decoded when first asked for.

    Results are kept by hand: functools.cached_property takes a lock each time, which
    was a fifth of the cost of checking a batch.
    """

    __slots__ = (
        "_data",
        "_dictionary",
        "_ends",
        "_kind",
        "_numbers",
        "_parts",
        "_raw",
        "_starts",
        "_stored",
        "_texts",
        "codec",
        "count",
        "name",
    )

    def __init__(self, field: Field, stored: Bytes) -> None:
        self.name, kind, self.codec, self.count, self._raw, _ = field
        self._kind: Kind | None = KINDS[kind]
        self._stored = stored
        self._data: Bytes | None = None
        self._numbers: npt.NDArray[Any] | None = None
        self._parts: tuple[npt.NDArray[Any], int, Texts] | None = None
        self._dictionary: list[Any] | None = None
        self._texts: Texts | None = None
        self._ends: Ints | None = None
        self._starts: Ints | None = None

    @property
    def kind(self) -> Kind:
        """What the column holds."""
        assert self._kind is not None
        return self._kind

    @property
    def data(self) -> Bytes:
        """The column's bytes, decompressed."""
        if self.codec == Codec.PLAIN:
            return self._stored
        if self._data is None:
            content = decompress(self._stored, self._raw)
            if len(content) != self._raw:
                raise bad(f"{self.name}: {len(content)} bytes; declared {self._raw}")
            self._data = content
        return self._data

    @property
    def numbers(self) -> npt.NDArray[Any]:
        """INT64, FLOAT64, BOOL or U8 values."""
        if self._numbers is None:
            self._numbers = self._read_numbers()
        return self._numbers

    def _read_numbers(self) -> npt.NDArray[Any]:
        if self.kind is Kind.INT64:
            return read_integers(self.data, self.count)
        if self.kind is Kind.FLOAT64:
            return read_floats(self.data, self.count)
        if self.kind is Kind.BOOL:
            return read_fixed(self.data, self.count, "u1").astype(np.bool_)
        if self.kind is Kind.U8:
            return read_fixed(self.data, self.count, "u1")
        raise TypeError(f"{self.name} is {self.kind.name}, which has no numbers")

    @property
    def raw(self) -> npt.NDArray[np.uint8]:
        """BYTES16 values, an array of shape (count, 16)."""
        return read_fixed(self.data, self.count * 16, "u1").reshape(self.count, 16)

    @property
    def dictionary_parts(self) -> tuple[npt.NDArray[Any], int, Texts]:
        """DICT and SHAPE: codes, the kind of the distinct values, and these."""
        if self._parts is None:
            self._parts = read_dictionary(self.data, self.count)
        return self._parts

    @property
    def codes(self) -> npt.NDArray[Any]:
        """DICT and SHAPE: which distinct value each row has."""
        return self.dictionary_parts[0]

    @property
    def dictionary(self) -> list[Any]:
        """DICT and SHAPE: the distinct values (SHAPE: arrays of u16)."""
        if self._dictionary is None:
            _, kind, texts = self.dictionary_parts
            if self.kind is Kind.SHAPE:
                parts = slices(texts, 0)
                self._dictionary = [np.frombuffer(part, "<u2") for part in parts]
            else:
                self._dictionary = decode_values(kind, texts)
        return self._dictionary

    @property
    def texts(self) -> Texts:
        """TEXT and PACKED: lengths and bytes."""
        if self._texts is None:
            terminated = self.kind is Kind.TEXT
            self._texts = read_texts(self.data, self.count, terminated=terminated)
            if self.codec == Codec.ZSTD:
                self._data = None  # the texts are a copy of it
        return self._texts

    @property
    def text(self) -> bytes:
        """TEXT: all values, each followed by a newline."""
        return self.texts.data

    @property
    def ends(self) -> Ints:
        """TEXT: where each value's newline stands; PACKED: where each value ends."""
        if self._ends is None:
            self._ends = ends_of(self.texts.lengths, int(self.kind is Kind.TEXT))
        return self._ends

    @property
    def starts(self) -> Ints:
        """TEXT and PACKED: where each value begins."""
        if self._starts is None:
            self._starts = self.ends - self.texts.lengths
        return self._starts

    def values(self, indices: Ints | None = None) -> list[Any]:
        """Python values, of all rows that have one or of the given places."""
        if self.kind in (Kind.DICT, Kind.SHAPE):
            codes = self.codes if indices is None else self.codes[indices]
            return list(map(self.dictionary.__getitem__, codes.tolist()))
        if self.kind is Kind.BYTES16:
            raw = self.raw if indices is None else self.raw[indices]
            digits = raw.tobytes().hex()
            return [digits[at : at + 32] for at in range(0, len(digits), 32)]
        if self.kind in (Kind.TEXT, Kind.PACKED):
            return self._variable(indices)
        chosen = self.numbers if indices is None else self.numbers[indices]
        return list(chosen.tolist())

    def _variable(self, indices: Ints | None) -> list[Any]:
        if indices is None:
            return decode_values(self.kind, self.texts)
        places = zip(
            self.starts[indices].tolist(), self.ends[indices].tolist(), strict=True
        )
        data = self.texts.data
        read = decode_text if self.kind is Kind.TEXT else unpack
        return [read(data[start:end]) for start, end in places]

    @property
    def held_bytes(self) -> int:
        """Memory that its decoded values take, about."""
        total = 0 if self._data is None else len(self._data)
        for numbers in (self._numbers, self._ends, self._starts):
            total += 0 if numbers is None else numbers.nbytes
        for texts in (self._texts, self._parts and self._parts[2]):
            total += 0 if texts is None else texts.lengths.nbytes + len(texts.data)
        return total + (_OBJECT_BYTES * len(self._dictionary or ()))

    @property
    def parts(self) -> Sequence[Column]:
        """The columns that it stands for, itself if it is no joined one."""
        return (self,)

    def forget(self) -> None:
        """Drop what can be decoded again: a small batch's columns take many times what
        came for them."""
        self._data = self._numbers = self._parts = self._dictionary = None
        self._texts = self._ends = self._starts = None
