"""The blob of a block's patterns: counted without opening the block."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import FrameError
from pipeline.store.patterns import (
    BlockPatterns,
    no_patterns,
    pack_patterns,
    parse_patterns,
)
from tests.wire.test_fuzz import changed


def patterns(count: int) -> BlockPatterns:
    """So many templates, of ever fewer rows."""
    numbers = np.arange(1, count + 1)
    ids = numbers.astype(np.uint64) << np.uint64(60)
    return BlockPatterns(ids | np.uint64(7), numbers[::-1], -numbers, numbers * 9, 3)


def lists(found: BlockPatterns) -> list[object]:
    """To be compared."""
    return [*(column.tolist() for column in found[:4]), found.rest]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 300))
def test_patterns_come_back(count: int) -> None:
    """Compressed where that is smaller."""
    assert lists(parse_patterns(pack_patterns(patterns(count)))) == lists(
        patterns(count)
    )


def test_a_block_may_have_none() -> None:
    """All its rows are then without a template."""
    assert parse_patterns(pack_patterns(no_patterns(9))).rest == 9


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 40), st.binary(max_size=60), st.data())
def test_damaged_patterns_are_refused(
    count: int, noise: bytes, data: st.DataObject
) -> None:
    """By FrameError, or they are numbers."""
    for damaged in (noise, changed(data, pack_patterns(patterns(count)))):
        with suppress(FrameError):
            parse_patterns(damaged)


@pytest.mark.parametrize("counts", [[0, 2], [-1, 3], [70_000, 1], [1, 2**62]])
def test_counts_that_no_block_has_are_refused(counts: list[int]) -> None:
    """Each template has a row, and all together no more than a block."""
    wrong = patterns(2)._replace(counts=np.array(counts))

    with pytest.raises(FrameError):
        parse_patterns(pack_patterns(wrong))


def test_patterns_never_change() -> None:
    """They are stored."""
    assert pack_patterns(patterns(1)).hex() == (
        "013a00000028b52ffd203a450100e001000000030000000a070010010100"
        "01ff0001090000000000000000040020639004d7f0b13b02"
    )
