"""The token filter: it may say yes to what is not there, never no to what is."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.store.bloom import PARTITIONS, build, may_hold, partition_of
from pipeline.store.tokens import hash_token

HASH = st.integers(1, (1 << 64) - 1)


def holds(pieces: list[bytes], token_hash: int) -> bool:
    """As a reader asks: one piece only."""
    return may_hold(pieces[partition_of(token_hash)], token_hash)


@settings(max_examples=300, deadline=None)
@given(st.lists(HASH, max_size=50))
def test_what_is_there_is_never_ruled_out(hashes: list[int]) -> None:
    """Whatever the hashes are."""
    pieces = build(np.array(hashes, np.uint64))

    assert len(pieces) == PARTITIONS
    assert all(holds(pieces, each) for each in hashes)


def test_at_most_one_in_a_hundred_is_a_false_yes() -> None:
    """Of tokens that aren't there, in the filter of a block of usual size."""
    pieces = build(np.array([hash_token(b"in%d" % n) for n in range(100_000)], "<u8"))

    absent = [hash_token(b"out%d" % number) for number in range(20_000)]
    wrong = sum(holds(pieces, each) for each in absent)

    assert wrong <= 0.0105 * len(absent)
    assert sum(map(len, pieces)) <= 1.26 * 100_000


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 60), HASH, st.integers())
def test_repeats_and_order_change_nothing(shift: int, low: int, seed: int) -> None:
    """However alike the hashes are, a filter is of the distinct ones."""
    chance = Random(seed)
    hashes = [low ^ number << shift & (1 << 64) - 1 for number in range(3_000)]
    repeated = hashes + chance.choices(hashes, k=5_000)
    chance.shuffle(repeated)

    distinct = np.unique(np.array(hashes, np.uint64))
    assert build(np.array(repeated, np.uint64)) == build(distinct)


@settings(max_examples=300, deadline=None)
@given(HASH, st.binary(max_size=40), st.integers(0, 7), st.integers(0, 40))
def test_a_damaged_piece_rules_nothing_out(
    token_hash: int, noise: bytes, bit: int, place: int
) -> None:
    """Nor does one of an unknown version."""
    piece = bytearray(build(np.arange(1, 40, dtype=np.uint64) << np.uint64(32))[0])
    piece[place % len(piece)] ^= 1 << bit

    assert may_hold(bytes(piece), token_hash)
    assert may_hold(noise, token_hash)


def test_tokens_in_no_filter_may_be_anywhere() -> None:
    """Their hash is 0."""
    assert holds(build(np.array([0, 5], np.uint64)), 0)


def test_an_empty_piece_holds_nothing() -> None:
    """It is complete: a block without tokens is ruled out."""
    assert not holds(build(np.empty(0, np.uint64)), 77)


def test_filters_never_change() -> None:
    """They are stored."""
    pieces = build(np.array([hash_token(b"splitbrain"), 1], np.uint64))

    assert pieces[0].hex() == "648298e7010100"
    assert pieces[15].hex() == "35c95d32012649"
