"""One level of JSON at a time: strict and fast, or piece by piece where that fails.

`elements` and `members` give the parts of a list or map undecoded. Where msgspec
refuses the whole because of a flaw inside a part, `split` cuts it instead, and the
flaw shows when that part is decoded; `find_flaw` then says where it is and what.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import Raw

from pipeline.gateway.split import MalformedError, split_list, split_map

FLAWS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for text that isn't (quite) JSON or doesn't fit a type."""

LOCATE_BYTES: Final = 256 << 10
"""A flaw is looked for in pieces up to this size: it takes up to 1 us a byte."""

_LIST: Final = msgspec.json.Decoder(list[Raw])
_MAP: Final = msgspec.json.Decoder(dict[str, Raw])
_STRINGS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NO_NUMBER: Final = re.compile(rb"NaN|-?Infinity")
_SURROGATE: Final = re.compile(
    rb"(?<!\\)(?:\\\\)*+(?:"
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?:\\u[dD][c-fC-F][0-9a-fA-F]{2}()|)"
    rb"|(\\u[dD][c-fC-F][0-9a-fA-F]{2}))"
)


def first_byte(text: bytes | Raw) -> bytes:
    """The first byte that isn't white space: what kind of value this is."""
    return bytes(memoryview(text)[:64]).lstrip()[:1] or bytes(text).lstrip()[:1]


def elements(text: bytes | Raw) -> list[Raw]:
    """The elements of a JSON list; raises MalformedError."""
    try:
        return _LIST.decode(text)
    except FLAWS:
        return [Raw(piece) for piece in split_list(bytes(text))]


def members(text: bytes | Raw) -> dict[str, Raw]:
    """The members of a JSON map, the last of equal keys; raises MalformedError."""
    try:
        return _MAP.decode(text)
    except FLAWS:
        return {_key(key): Raw(value) for key, value in split_map(bytes(text))}


def find_flaw(text: bytes | Raw) -> tuple[str, str, str]:
    """Where in a piece that can't be decoded the flaw is, what it is, what to do.

    The first is a path such as `metadata.a`, empty for the piece itself.
    """
    path: list[str] = []
    while len(memoryview(text)) <= LOCATE_BYTES and len(path) < 8:
        inside = _flawed_part(text)
        if inside is None:
            break
        name, text, error = inside
        path.append(name)
        if isinstance(error, RecursionError) and first_byte(text) == b"[":
            # its places would all be 0, and tell nothing
            break
    problem, expected = _explain(bytes(text))
    return ".".join(path), problem, expected


def _key(written: bytes) -> str:
    try:
        return msgspec.json.decode(written, type=str)
    except FLAWS:
        return written[1:-1].decode("utf-8", "backslashreplace")


def _flawed_part(text: bytes | Raw) -> tuple[str, Raw, Exception] | None:
    """Name, text and error of the first part of a list or map that can't be decoded."""
    kind = first_byte(text)
    if kind not in (b"{", b"["):
        return None
    try:
        parts = (
            members(text)
            if kind == b"{"
            else {str(index): part for index, part in enumerate(elements(text))}
        )
    except MalformedError:
        return None
    for name, part in parts.items():
        try:
            msgspec.json.decode(part)
        except FLAWS as error:
            return name, part, error
    return None


def _explain(text: bytes) -> tuple[str, str]:
    """What is wrong with this text, and what would be right."""
    try:
        msgspec.json.decode(text)
    except RecursionError:
        return "nested too deep", "at most 32 levels"
    except UnicodeDecodeError as error:
        return f"invalid UTF-8 at byte {error.start}", "UTF-8"
    except msgspec.DecodeError as error:
        message = str(error)
    else:
        return "a key that can't be read", "keys of valid text"
    return _explain_syntax(text, message)


def _explain_syntax(text: bytes, message: str) -> tuple[str, str]:
    literal = _NO_NUMBER.search(_STRINGS.sub(b'""', text))
    if literal is not None:
        name = literal.group().decode()
        return f"{name} is no JSON", f'a number, null, or the text "{name}"'
    if any(found[1] is None for found in _SURROGATE.finditer(text)):
        return "a lone surrogate", "text that UTF-8 can hold"
    if "out of range" in message:
        return "a number out of range", "a number that 64 bits hold"
    return message.replace("JSON is malformed: ", ""), "JSON"
