"""Any valid entry comes back as it went in: RPC, wire, store, query."""

from __future__ import annotations

import math
import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.entry import format_timestamp

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(
    allow_nan=False, allow_infinity=False
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(NAME, inner, max_size=4)
    ),
    max_leaves=12,
)
ENTRIES = st.fixed_dictionaries(
    {
        "message": TEXT,
        "level": st.sampled_from(["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]),
        "metadata": st.dictionaries(NAME, VALUES, max_size=8),
        "tags": st.lists(NAME, max_size=4),
        "trace_id": st.none() | NAME | st.from_regex(re.compile(r"\A[0-9a-f]{32}\Z")),
        "timestamp": st.integers(-(2**63), 2**63 - 1).map(format_timestamp),
    }
)


def same(left, right):
    """Equal in value and kind: True is not 1, and 0.0 is not -0.0."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(
            same(value, right[key]) for key, value in left.items()
        )
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and isinstance(right, float):
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    return type(left) is type(right) and left == right


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(ENTRIES, min_size=1, max_size=12))
def test_any_valid_entry_comes_back(pipeline, entries):
    """By `log_batch` and `query`, in the order of their times."""
    source = f"round-trip-{test_any_valid_entry_comes_back.number}"
    test_any_valid_entry_comes_back.number += 1
    given_entries = [{**entry, "source": source} for entry in entries]
    result = pipeline.result("log_batch", logs=given_entries)
    assert result == {"accepted": len(entries), "rejected": []}

    stored = pipeline.logs(sources=[source])
    key = "timestamp"
    # years before 1970 and after 9999 don't sort as text; the ids tell the order
    assert [one["id"] for one in stored] == sorted(one["id"] for one in stored)
    for entry in stored:
        del entry["id"]
    unmatched = list(stored)
    for entry in given_entries:
        found = next((one for one in unmatched if same(entry, one)), None)
        assert found is not None, (entry, [o for o in stored if o[key] == entry[key]])
        unmatched.remove(found)


test_any_valid_entry_comes_back.number = 0
