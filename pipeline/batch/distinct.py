"""Each value of an array once, ascending; in place of `np.unique` without options.

That one loads numpy.ma when it is first called: 16 ms of a worker's first question.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Number = TypeVar("Number", bound=np.generic)


def distinct(values: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """The values sorted, each once; numbers only, without NaN."""
    ordered = np.sort(values, axis=None)
    first = np.empty(len(ordered), np.bool_)
    first[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


def union(one: npt.NDArray[Number], other: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """What either has."""
    both: npt.NDArray[Any] = np.concatenate([one, other])
    return distinct(both)


def difference(
    one: npt.NDArray[Number], other: npt.NDArray[Number]
) -> npt.NDArray[Number]:
    """What only the first has."""
    mine = distinct(one)
    # `other` may repeat: only what stands behind one of `mine` is looked at
    return mine[~np.isin(mine, other, assume_unique=True)]
