"""Fields read out of one text: of a JSON object, of key=value pairs, by a pattern.

Pure. A text that isn't of the form has no fields. What reads as a number in a text is
one, so that it compares and adds up as a number of the metadata does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Set
from itertools import islice
from typing import Any, Final

import msgspec

from pipeline.batch.pack import pack
from pipeline.limits import METADATA_BYTES, METADATA_KEY_BYTES, METADATA_KEYS, NESTING
from pipeline.query.stages import SKIPPED, Extract, Extraction, Json, Logfmt
from pipeline.query.values import values_at

Fields = dict[str, Any]
Reader = Callable[[str], Fields]

_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d{0,17})(?P<rest>\.\d+)?", re.ASCII)
"""Not 007, 1e9 or a number of 19 digits: names of things look like these."""

_PAIR: Final = re.compile(
    r'(?<!\S)(?P<key>[^\s="]+)='
    r'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"(?!\S)|(?P<bare>\S*))',
    re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_MEANT: Final = {"n": "\n", "t": "\t", "r": "\r"}

_INT64: Final = 1 << 63
_WHOLE: Final = range(-_INT64, _INT64 << 1)

_SHORT: Final = METADATA_BYTES // 16
"""Characters of a text none of whose values can be longer than METADATA_BYTES."""

_decode = msgspec.json.Decoder().decode


def reader_of(stage: Extraction, keys: Set[str] | None = None) -> Reader:
    """What reads the fields of one text; with `keys` only those, if they are there."""
    match stage:
        case Json():
            return _named(stage, _read_object, keys)
        case Logfmt():
            return _named(stage, _read_pairs, keys)
        case Extract():
            return _pattern_reader(stage, keys)


def _named(stage: Json | Logfmt, read: Reader, keys: Set[str] | None) -> Reader:
    """The wanted ones of the fields that the text names, under their prefix."""
    prefix, names = stage.prefix, stage.names
    if names and keys is not None:
        names = tuple(name for name in names if prefix + name in keys)

    def fields(text: str) -> Fields:
        found = read(text)
        pairs: Iterable[tuple[str, Any]] = found.items()
        if stage.names:
            pairs = _chosen(found, names)
        elif keys is not None and not prefix:
            return _kept({key: found[key] for key in keys & found.keys()}, text)
        elif keys is not None:
            pairs = ((key, value) for key, value in pairs if prefix + key in keys)
        return _kept({prefix + key: value for key, value in pairs}, text)

    return fields


def _chosen(found: Fields, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
    for name in names:
        inside = values_at(found, name)
        if inside:
            yield name, inside[0]


def _read_object(text: str) -> Fields:
    """The members of a JSON object, the first METADATA_KEYS of them."""
    if not text.lstrip(" \t\n\r").startswith("{"):
        return {}  # most texts that are none are told at once
    try:
        found = _decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {}
    if type(found) is not dict or not _is_flat(text, found):
        return {}
    if _has_long(found.values()):
        try:
            found = _stored(found)
        except OverflowError:
            return {}
    return found if len(found) <= METADATA_KEYS else _first(found.items())


def _is_flat(text: str, found: object) -> bool:
    """Whether no more than NESTING maps and lists stand in one another."""
    return text.count("{") + text.count("[") <= NESTING or _depth(found) <= NESTING


def _depth(value: object) -> int:
    inner: Iterable[object] = ()
    if isinstance(value, dict):
        inner = value.values()
    elif isinstance(value, list):
        inner = value
    else:
        return 0
    return 1 + max(map(_depth, inner), default=0)


def _has_long(values: Iterable[Any]) -> bool:
    """Whether a whole number has more than 64 bits.

    Looking for its digits in the text instead made `json | stats` over 262,144
    messages of 200 bytes take 3.1 s of CPU, and not 2.4.
    """
    for value in values:
        kind = type(value)
        if kind is int and value not in _WHOLE:
            return True
        if kind is dict and _has_long(value.values()):
            return True
        if kind is list and _has_long(value):
            return True
    return False


def _stored(value: Any) -> Any:
    """With whole numbers beyond 64 bits as floats, as entries have them."""
    if type(value) is int and value not in _WHOLE:
        return float(value)
    if type(value) is dict:
        return {key: _stored(inner) for key, inner in value.items()}
    if type(value) is list:
        return list(map(_stored, value))
    return value


def _read_pairs(text: str) -> Fields:
    """key=value and key="quoted value"; words without `=` are passed over."""
    if "=" not in text:
        return {}
    pairs: dict[str, Any] = {}
    for found in _PAIR.finditer(text):
        quoted = found["quoted"]
        bare = found["bare"]
        if len(pairs) < METADATA_KEYS or found["key"] in pairs:
            pairs[found["key"]] = (
                typed(bare) if quoted is None else _ESCAPE.sub(_unescape, quoted)
            )
    return pairs


def _unescape(found: re.Match[str]) -> str:
    return _MEANT.get(found[1], found[1])


def typed(text: str) -> str | int | float:
    """The number that a text reads as, or the text itself."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return text
    number = int(text) if found["rest"] is None else float(text)
    return number if math.isfinite(number) else text


def _pattern_reader(stage: Extract, keys: Set[str] | None) -> Reader:
    first, *rest = stage.parts
    names = rest[::2]
    literals = rest[1::2]
    wanted = [name != SKIPPED and (keys is None or name in keys) for name in names]

    def fields(text: str) -> Fields:
        at = text.find(first)
        if at < 0:
            return {}
        at += len(first)
        found: Fields = {}
        for name, literal, is_wanted in zip(names, literals, wanted, strict=True):
            # without a text behind it a name takes all that is left
            end = text.find(literal, at) if literal else len(text)
            if end < 0:
                return {}
            if is_wanted:
                found[name] = typed(text[at:end])
            at = end + len(literal)
        return _kept(found, text)

    return fields


def _first(pairs: Iterable[tuple[str, Any]]) -> Fields:
    return dict(islice(pairs, METADATA_KEYS))


def _kept(found: Fields, text: str) -> Fields:
    """Without what an entry's metadata can't have: long keys and long values."""
    if max(map(len, found), default=0) * 4 > METADATA_KEY_BYTES:
        found = {
            key: value
            for key, value in found.items()
            if len(key.encode()) <= METADATA_KEY_BYTES
        }
    if len(text) <= _SHORT:
        return found
    return {key: value for key, value in found.items() if _is_short(value)}


def _is_short(value: Any) -> bool:
    """Whether the value is short enough."""
    data = value.encode() if isinstance(value, str) else pack(value)
    return len(data) <= METADATA_BYTES
