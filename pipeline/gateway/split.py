"""JSON text cut at its first level, without decoding anything inside.

msgspec refuses a whole body for one lone surrogate, NaN or too deep value in it. Then
this cuts the body into its members instead, so that the flaw costs only the member
that holds it: each piece is decoded, or refused, by itself.

The grammar is JSON's, read without recursion. What passes here and fails later, when
its piece is decoded: NaN and infinities, anything inside a string, any depth.
"""

from __future__ import annotations

import re
from typing import Final

_SPACE = rb"[ \t\r\n]*+"
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
# one that isn't closed runs to the end, so that no second try starts inside it
_OPEN_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
_SCALAR = (
    rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
    rb"|true|false|null|NaN|-?Infinity"
)
_TOKEN: Final = re.compile(
    rb"%b(?:([\[\]{},:])|(%b)|(%b)|\Z)" % (_SPACE, _OPEN_STRING, _SCALAR), re.DOTALL
)


def _containers(value: bytes) -> bytes:
    """A pattern of lists and maps whose members match `value`."""
    between = rb"%b,%b" % (_SPACE, _SPACE)
    pair = rb"%b%b:%b(?>%b)" % (_STRING, _SPACE, _SPACE, value)
    return rb"\[%b(?:(?>%b)(?:%b(?>%b))*+)?+%b\]|\{%b(?:%b(?:%b%b)*+)?+%b\}" % (
        *(_SPACE, value, between, value, _SPACE),
        *(_SPACE, pair, between, pair, _SPACE),
    )


_PLAIN = rb"%b|%b" % (_STRING, _SCALAR)
_SHALLOW = rb"%b|%b" % (_PLAIN, _containers(_PLAIN))
_WHOLE: Final = re.compile(rb"%b(%b)" % (_SPACE, _containers(_SHALLOW)), re.DOTALL)
"""Most entries have two levels: they are passed over at once. 8 MB of them with one NaN
take 0.1 s, a token at a time 1.5 s."""

_VALUE: Final = "a value"
_VALUE_OR_END: Final = "a value or ]"
_VALUE_OF_KEY: Final = "a value for the key"
_KEY: Final = "a key"
_KEY_OR_END: Final = "a key or }"
_COLON: Final = ":"
_COMMA_OR_END: Final = ", or the end of the list or map"
_NOTHING: Final = "nothing more"

_VALUES: Final = (_VALUE, _VALUE_OR_END, _VALUE_OF_KEY)
TOKENS_MAX: Final = 1_000_000
"""A token takes 1 us: a hostile body is given up after a second."""

_CLOSES: Final = {b"]": b"[", b"}": b"{"}


class MalformedError(ValueError):
    """Text that isn't JSON, with the byte where that shows."""

    def __init__(self, position: int, expected: str) -> None:
        super().__init__(f"malformed at byte {position}; expected {expected}")


class _Splitter:
    """State of one walk over the text: open brackets, what may come, pieces so far."""

    def __init__(self) -> None:
        self.open: list[bytes] = []
        self.expect = _VALUE
        self.start = 0
        self.keys: list[tuple[int, int]] = []
        self.values: list[tuple[int, int]] = []

    def take(self, token: bytes, begin: int, end: int) -> None:
        """Go on by one token; raises MalformedError if it can't stand here."""
        if token in (b"[", b"{"):
            self._open(token, begin)
        elif token in _CLOSES:
            self._close(token, begin, end)
        elif token in (b",", b":"):
            self._separate(token, begin)
        elif self.expect in (_KEY, _KEY_OR_END):
            self._key(token, begin, end)
        else:
            self._need(begin, *_VALUES)
            self._begin(begin)
            self._finish(end)

    def _open(self, token: bytes, begin: int) -> None:
        self._need(begin, *_VALUES)
        self._begin(begin)
        self.open.append(token)
        self.expect = _VALUE_OR_END if token == b"[" else _KEY_OR_END

    def _close(self, token: bytes, begin: int, end: int) -> None:
        empty = _VALUE_OR_END if token == b"]" else _KEY_OR_END
        self._need(begin, _COMMA_OR_END, empty)
        if self.open.pop() != _CLOSES[token]:
            raise MalformedError(begin, self.expect)
        self._finish(end)

    def _separate(self, token: bytes, begin: int) -> None:
        self._need(begin, _COLON if token == b":" else _COMMA_OR_END)
        if token == b":":
            self.expect = _VALUE_OF_KEY
        else:
            self.expect = _KEY if self.open[-1] == b"{" else _VALUE

    def _key(self, token: bytes, begin: int, end: int) -> None:
        if not token.startswith(b'"'):
            raise MalformedError(begin, self.expect)
        if len(self.open) == 1:
            self.keys.append((begin, end))
        self.expect = _COLON

    def _begin(self, begin: int) -> None:
        if len(self.open) == 1:
            self.start = begin

    def _finish(self, end: int) -> None:
        if len(self.open) == 1:
            self.values.append((self.start, end))
        self.expect = _COMMA_OR_END if self.open else _NOTHING

    def _need(self, begin: int, *allowed: str) -> None:
        if self.expect not in allowed:
            raise MalformedError(begin, self.expect)

    def take_whole(self, begin: int, end: int) -> None:
        """Go on by a complete list or map."""
        self._begin(begin)
        self._finish(end)


def _walk(text: bytes) -> _Splitter:
    splitter = _Splitter()
    position = 0
    for _ in range(TOKENS_MAX):
        if splitter.open and splitter.expect in _VALUES:
            whole = _WHOLE.match(text, position)
            if whole is not None:
                position = whole.end()
                splitter.take_whole(whole.start(1), position)
                continue
        found = _TOKEN.match(text, position)
        if found is None:
            raise MalformedError(position, splitter.expect)
        if found.lastindex is None:
            break
        position = found.end()
        token = found[found.lastindex]
        if token.startswith(b'"') and not _is_closed(token):
            raise MalformedError(len(text), 'the closing "')
        splitter.take(token, found.start(found.lastindex), position)
    if splitter.expect != _NOTHING:
        raise MalformedError(position, splitter.expect)
    return splitter


def _is_closed(string: bytes) -> bool:
    """Whether a string token ends in its own quote, not at the end of the text."""
    backslashes = len(string) - 1 - len(string[:-1].rstrip(b"\\"))
    return len(string) > 1 and string.endswith(b'"') and backslashes % 2 == 0


def split_list(text: bytes) -> list[bytes]:
    """The elements of a JSON list, each as it is written; raises MalformedError."""
    splitter = _walk(text)
    return [text[begin:end] for begin, end in splitter.values]


def split_map(text: bytes) -> list[tuple[bytes, bytes]]:
    """Keys (in quotes) and values of a JSON map as written; raises MalformedError."""
    splitter = _walk(text)
    return [
        (text[key[0] : key[1]], text[value[0] : value[1]])
        for key, value in zip(splitter.keys, splitter.values, strict=True)
    ]
