"""How long questions are expected to take: as long as those of the same shape took.

A shape is the method, which parameters there are, and the text with its words taken
out: `level:error timeout` and `level:warn refused` are one.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Any, Final

from msgspec import Struct

LONG_SECONDS: Final = 0.1
"""From here on others notice that they wait."""

_KEPT: Final = 8
"""The last ones of a shape, of which the second longest counts: one of them may have
been long because the machine was busy, or short because its answer was remembered."""

_SHAPES: Final = 512
_CHARACTERS: Final = 200
_TEXTS: Final = frozenset({"q", "query"})
_SPANS: Final = frozenset({"timerange", "count"})
_WORD: Final = re.compile(r"\w+")


class Durations:
    """What the last questions of each shape took, in seconds."""

    def __init__(self) -> None:
        self._taken: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def learn(self, shape: Hashable, seconds: float) -> None:
        """One took so long; the shape that was not asked for longest is forgotten."""
        taken = self._taken.setdefault(shape, deque(maxlen=_KEPT))
        taken.append(seconds)
        self._taken.move_to_end(shape)
        while len(self._taken) > _SHAPES:
            self._taken.popitem(last=False)

    def is_long(self, shape: Hashable) -> bool:
        """Whether another one is expected to be; not of a shape that is new."""
        taken = sorted(self._taken.get(shape, ()))
        return bool(taken) and taken[max(len(taken) - 2, 0)] >= LONG_SECONDS


def shape_of(method: str, params: Struct) -> Hashable:
    """The shape of a question."""
    parts: list[Hashable] = [method]
    for name in params.__struct_fields__:
        value = getattr(params, name)
        if value or type(value) is bool:
            parts.append((name, _form(name, value)))
    return tuple(parts)


def _form(name: str, value: Any) -> Hashable:
    if isinstance(value, str):
        if name in _TEXTS:
            return _WORD.sub("w", value[:_CHARACTERS])
        return value[:_CHARACTERS] if name in _SPANS else None
    if isinstance(value, bool):
        return value
    # a page of 10 and one of 10,000 are not alike
    return value.bit_length() if isinstance(value, int) else None
