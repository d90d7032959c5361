"""One column's values as bytes, in the narrowest kind that gives each back as it was.

With the standard library and msgpack only: runs in every service.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from pipeline.batch.layout import DICT_HEAD, Kind, Numbers
from pipeline.batch.pack import pack
from pipeline.limits import METADATA_BYTES, TAG_BYTES, TRACE_ID_BYTES
from pipeline.limits import TAGS as TAGS_MAX

if TYPE_CHECKING:
    from pipeline.redaction import Redactor

Data = tuple[Kind, bytes]
Encode = Callable[[Any, "Redactor | None"], Data]

_WIDTHS: Final = ((1, "B", 1 << 8), (2, "H", 1 << 16), (4, "I", 1 << 32))
_DICT_SHARE: Final = 3
"""A text column is a DICT when its distinct values are at most a third of all."""

_PLAIN: Final = bytes([Numbers.PLAIN])
_SAMPLE: Final = 64
"""Values looked at first: mostly distinct ones are not worth a dictionary."""


def encode_values(values: Sequence[Any], redactor: Redactor | None = None) -> Data:
    """The narrowest kind that gives every value back as it was.

    With a `redactor`, values of mixed and nested kinds lose their secrets; for those
    that are all text see `text_of`.
    """
    types = set(map(type, values))
    if len(types) == 1:
        encode = _BY_TYPE.get(types.pop())
        if encode is not None:
            return encode(values)
    return encode_packed(values, redactor)


def encode_integers(values: Sequence[int]) -> Data:
    """Beyond 64 bits as msgpack."""
    try:
        return Kind.INT64, _PLAIN + array("q", values).tobytes()
    except OverflowError:
        return encode_packed(values)


def _floats(values: Sequence[float]) -> Data:
    return Kind.FLOAT64, _PLAIN + array("d", values).tobytes()


def _booleans(values: Sequence[bool]) -> Data:
    return Kind.BOOL, bytes(values)


def _strings(values: Sequence[str]) -> Data:
    if len(set(values[:_SAMPLE])) * _DICT_SHARE > 2 * _SAMPLE:
        return encode_text(values)
    distinct = dict.fromkeys(values)
    if len(distinct) * _DICT_SHARE <= len(values):
        return encode_dictionary(values, distinct)
    return encode_text(values)


def encode_dictionary(
    values: Sequence[str],
    distinct: Iterable[str] | None = None,
    limit: int = METADATA_BYTES,
) -> Data:
    """A number for each value, and the distinct values; `limit` is one of bytes."""
    codes = {
        value: code for code, value in enumerate(distinct or dict.fromkeys(values))
    }
    head = DICT_HEAD.pack(Kind.TEXT, code_width(len(codes)), len(codes))
    numbers = encode_codes(map(codes.__getitem__, values), len(codes))
    return Kind.DICT, head + numbers + encode_text(list(codes), limit)[1]


def encode_tags(values: Sequence[Sequence[str]], redactor: Redactor | None) -> Data:
    """A number for each list, and the distinct lists; raises ValueError."""
    lists = list(map(tuple, values))
    distinct = dict.fromkeys(lists)
    if redactor is not None:
        texts = list(dict.fromkeys(chain.from_iterable(distinct)))
        if not redactor.are_clean(texts):
            lists = [tuple(redactor.texts(tags)) for tags in lists]
            distinct = dict.fromkeys(lists)
    codes = {value: code for code, value in enumerate(distinct)}
    for tags in codes:
        if len(tags) > TAGS_MAX or any(len(tag.encode()) > TAG_BYTES for tag in tags):
            raise ValueError(
                f"more than {TAGS_MAX} tags, or one over {TAG_BYTES} bytes"
            )
    head = DICT_HEAD.pack(Kind.PACKED, code_width(len(codes)), len(codes))
    numbers = encode_codes(map(codes.__getitem__, lists), len(codes))
    return Kind.DICT, head + numbers + encode_packed(list(codes))[1]


def encode_traces(values: Sequence[str], _: Redactor | None) -> Data:
    """32 lower-case hex digits are stored as the 16 bytes that they stand for."""
    if set(map(len, values)) == {32}:
        joined = "".join(values)
        with suppress(ValueError):
            raw = bytes.fromhex(joined)
            if raw.hex() == joined:
                return Kind.BYTES16, raw
    return encode_text(values, TRACE_ID_BYTES)


def encode_text(values: Sequence[str], limit: int = METADATA_BYTES) -> Data:
    """Lengths, then the texts; raises ValueError for one beyond the limit of bytes."""
    joined = "\n".join(values)
    if joined.isascii():
        lengths = _lengths(list(map(len, values)), limit)
        return Kind.TEXT, lengths + joined.encode() + b"\n"
    parts = [value.encode() for value in values]
    lengths = _lengths(list(map(len, parts)), limit)
    return Kind.TEXT, lengths + b"\n".join(parts) + b"\n"


def text_of(kind: Kind, data: bytes, count: int) -> memoryview | None:
    """The texts of a column of so many values, one a line; None if it has another kind.

    What comes before them are lengths and numbers, which look like digits at times.
    """
    view = memoryview(data)
    if kind is Kind.DICT:
        inner, width, distinct = DICT_HEAD.unpack_from(view)
        if inner != Kind.TEXT:
            return None
        view, count = view[DICT_HEAD.size + width * count :], distinct
    elif kind is not Kind.TEXT:
        return None
    return view[1 + view[0] * count :]


def encode_packed(values: Sequence[object], redactor: Redactor | None = None) -> Data:
    """Each as msgpack; raises ValueError."""
    if redactor is not None:
        values = redactor.values(values)
    return Kind.PACKED, framed(list(map(pack, values)))


def framed(parts: Sequence[bytes]) -> bytes:
    """Lengths, then the parts; raises ValueError."""
    return _lengths(list(map(len, parts)), METADATA_BYTES) + b"".join(parts)


def _lengths(values: Sequence[int], limit: int) -> bytes:
    largest = max(values, default=0)
    if largest > limit:
        raise ValueError(f"a value has {largest} bytes; mustn't exceed {limit}")
    width, code, _ = next(row for row in _WIDTHS if largest < row[2])
    return bytes([width]) + array(code, values).tobytes()


def code_width(distinct: int) -> int:
    """Bytes of a number of one of so many values."""
    return 1 if distinct <= 1 << 8 else 2


def encode_codes(values: Iterable[int], distinct: int) -> bytes:
    """Numbers of so many distinct values."""
    if distinct <= 1 << 8:
        return bytes(values)
    return array("H", values).tobytes()


_BY_TYPE: Final[dict[type, Callable[[Any], Data]]] = {
    str: _strings,
    int: encode_integers,
    float: _floats,
    bool: _booleans,
}
