"""`min` and `max`: integers and decimals are kept apart and compared exactly."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from pipeline.query.aggregate.groups import grown
from pipeline.query.aggregate.operator import Part, plain
from pipeline.query.text import Ints
from pipeline.timestamp import format_timestamp

_LIMITS: Final = np.iinfo(np.int64)


class Extreme:
    """The smallest or the largest number of a field."""

    group_bytes = 18
    error = None

    def __init__(self, field: str, *, largest: bool) -> None:
        self._field = field
        self._better = np.maximum if largest else np.minimum
        self._choose = max if largest else min
        self._no_int = int(_LIMITS.min if largest else _LIMITS.max)
        self._no_float = -np.inf if largest else np.inf
        self._ints: Ints = np.full(1, self._no_int, np.int64)
        self._floats = np.full(1, self._no_float, np.float64)
        self._has_int = np.zeros(1, np.bool_)
        self._has_float = np.zeros(1, np.bool_)

    def read(self, part: Part) -> None:
        """The field's numbers."""
        part.numbers(self._field)

    def add(self, part: Part) -> None:
        """Compare the numbers of these rows."""
        numbers, size = part.numbers(self._field), part.size
        self._ints = grown(self._ints, size, self._no_int)
        self._floats = grown(self._floats, size, self._no_float)
        self._has_int = grown(self._has_int, size)
        self._has_float = grown(self._has_float, size)
        groups = part.groups[numbers.int_places]
        self._better.at(self._ints, groups, numbers.ints)
        self._has_int[groups] = True
        groups = part.groups[numbers.float_places]
        self._better.at(self._floats, groups, numbers.floats)
        self._has_float[groups] = True

    def column(self, groups: Ints) -> list[Any]:
        """The numbers; None where there is none."""
        found = []
        for whole, has_int, broken, has_float in zip(
            self._ints[groups].tolist(),
            self._has_int[groups].tolist(),
            self._floats[groups].tolist(),
            self._has_float[groups].tolist(),
            strict=True,
        ):
            both = [whole] * has_int + [broken] * has_float
            found.append(self._choose(both) if both else None)
        if self._field == "timestamp":
            return [None if time is None else format_timestamp(time) for time in found]
        return plain(found)
