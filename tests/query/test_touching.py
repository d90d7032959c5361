"""What slots may have rules templates out only where no message of theirs matches."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.query.matchers import Tokens
from pipeline.query.text import Needle, as_column
from pipeline.query.touching import Slotted, find_touching
from pipeline.store.slots import Held
from tests.store.test_messages import column_of, encode

PARTS = st.sampled_from(["to", "A7to", "0to", "failed", "12", "0af3", "é1", "x_9", "7"])
MESSAGES = st.lists(st.lists(PARTS, min_size=1, max_size=4).map(" ".join), min_size=1)


@settings(max_examples=300, deadline=None)
@given(MESSAGES, st.lists(PARTS, min_size=1, max_size=2), st.booleans(), st.booleans())
def test_a_template_with_a_match_is_possible(
    messages: list[str], wanted: list[str], bordered: bool, exact: bool
) -> None:
    """Whatever the text, with borders or without, in its case or in any."""
    raw = [message.encode() for message in messages * 2]
    column = column_of(encode(raw))
    text = " ".join(wanted)
    matcher = Tokens(Needle(text, left=bordered, right=bordered, exact=exact))
    found = find_touching(matcher, *as_column(column.templates))
    if found is None:
        return
    places = np.arange(column.template_count, dtype=np.uint32)
    possible = found.possible(Slotted(places, column.first_slots, column.held()))
    for code, message in zip(column.codes.tolist(), raw, strict=True):
        assert not code or possible[code - 1] or not matcher.in_text(message)


def test_digits_are_no_letters_and_sizes_are_known() -> None:
    """A slot of numbers holds no word, one of eight hex digits none of three."""
    column = column_of(encode([b"a 17 0af31b2c", b"a 28 1bc31d2e"]))
    held: Held = column.held()
    assert held.may_hold(b"7", whole=False).tolist() == [True, True]
    assert held.may_hold(b"to", whole=False).tolist() == [False, False]
    assert held.may_hold(b"af3", whole=False).tolist() == [False, True]
    assert held.may_hold(b"af3", whole=True).tolist() == [False, False]


def test_texts_are_read_for_a_run_that_their_bytes_allow() -> None:
    """Words of the bytes `o` and `t` have no `to`, unless one has it somewhere."""
    column = column_of(encode([b"a o1t", b"a t22o"]))
    assert column.lacking(b"to").tolist() == [True]
    assert column.lacking(b"t2").tolist() == [False]
    other = column_of(encode([b"a 1To2", b"a t22o"]))
    assert other.lacking(b"to").tolist() == [False]


def test_texts_that_begin_alike_are_not_judged_by_their_rest() -> None:
    """What all values of a slot begin with stands elsewhere."""
    column = column_of(encode([b"a to1t", b"a to22o"]))
    assert column.lacking(b"to").tolist() == [False]


def test_what_is_lacking_decides_templates() -> None:
    """A slot that could hold a run by its bytes holds it in no text."""
    column = column_of(encode([b"a o1t x", b"a t22o x"] * 2))
    matcher = Tokens(Needle("to", left=False, right=False))
    found = find_touching(matcher, *as_column(column.templates))
    assert found is not None
    places = np.arange(column.template_count, dtype=np.uint32)
    block = Slotted(places, column.first_slots, column.held())
    assert found.possible(block).all()
    assert found.decides(block._replace(lacking=column.lacking))
    assert not found.possible(block._replace(lacking=column.lacking)).any()


def test_texts_that_have_a_run_decide_nothing() -> None:
    """The texts are not asked again for each template."""
    column = column_of(encode([b"a to1t x", b"a t2to x"] * 2))
    matcher = Tokens(Needle("to", left=False, right=False))
    found = find_touching(matcher, *as_column(column.templates))
    assert found is not None
    places = np.arange(column.template_count, dtype=np.uint32)
    block = Slotted(places, column.first_slots, column.held())
    assert found.decides(block)
    assert not found.decides(block._replace(lacking=column.lacking))
