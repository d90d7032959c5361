"""Levels of a payload, for who gives it up."""

from collections import Counter

import pytest

from pipeline.batch.encode import Compress, encode_rows
from pipeline.batch.levels import levels_of
from pipeline.compression import compress
from tests.wire.messages import entry


@pytest.mark.parametrize("packed", [None, compress])
def test_levels_are_counted_without_decoding_the_rest(packed: Compress | None) -> None:
    """Compressed or not, with other columns before and behind."""
    levels = [9] * 100 + [17] * 3 + [5]
    rows = [
        entry(str(level), metadata={"n": 1})._replace(level=level) for level in levels
    ]

    assert levels_of(encode_rows(rows, compress=packed)) == Counter(levels)


def test_a_batch_of_refused_rows_has_none() -> None:
    """Its payload is empty."""
    assert levels_of(b"") == Counter()
