"""Sets of numbers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.batch.distinct import difference, distinct, union

numbers = st.lists(st.integers(-3, 5) | st.integers(-(2**63), 2**63 - 1))


@given(numbers, numbers)
def test_as_python_has_them(one: list[int], other: list[int]) -> None:
    """Each value once, ascending."""
    a, b = np.array(one, np.int64), np.array(other, np.int64)

    assert distinct(a).tolist() == sorted(set(one))
    assert union(a, b).tolist() == sorted({*one, *other})
    assert difference(a, b).tolist() == sorted(set(one) - set(other))


def test_masked_arrays_are_not_loaded() -> None:
    """They would cost each process 16 ms and memory."""
    code = (
        "import sys, numpy as np; from pipeline.batch.distinct import distinct, union;"
        "from pipeline.batch.distinct import difference as d; a = np.arange(3);"
        "distinct(a), union(a, a), d(a, a); sys.exit('numpy.ma' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
