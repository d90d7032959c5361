"""Templates: which tokens are variables, and ids that never change."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batch.read import Texts
from pipeline.store.templates import (
    find_templates,
    pattern_id,
    show,
    text_ids,
)

VARIABLE = re.compile(rb"[A-Za-z_\x80-\xfd]*+[0-9\xfe\xff][0-9A-Za-z_\x80-\xff]*+")


def templates_of(messages: list[bytes]) -> list[bytes]:
    """Of each message."""
    lengths = np.array(list(map(len, messages)), np.int64)
    found = find_templates(b"".join(m + b"\n" for m in messages), lengths)
    return [found.templates[code] for code in found.codes.tolist()]


@pytest.mark.parametrize(
    ("message", "template"),
    [
        (b"", b""),
        (b"plain words, all static", b"plain words, all static"),
        (b"7", b"\xff"),
        (b"took 12.5 ms", b"took \xff.\xff ms"),
        (b"user_7 and 8x", b"\xff and \xff"),
        (
            "na\u00efve1 \u00e9".encode(),
            "\xff \u00e9".encode().replace(b"\xc3\xbf", b"\xff"),
        ),
        (b"a\n1\nb", b"a\n\xff\nb"),
        (b"[10.0.0.1:80]", b"[\xff.\xff.\xff.\xff:\xff]"),
        (b"bad \xff byte \xfe", b"bad \xff byte \xff"),
    ],
)
def test_tokens_with_a_digit_are_variables(message: bytes, template: bytes) -> None:
    """Each whole token is one 0xFF."""
    assert templates_of([message]) == [template]


@settings(max_examples=500, deadline=None)
@given(st.lists(st.binary(max_size=30), min_size=1, max_size=20))
def test_templates_are_those_of_the_rule(messages: list[bytes]) -> None:
    """As a regular expression says it."""
    assert templates_of(messages) == [VARIABLE.sub(b"\xff", each) for each in messages]


def test_columns_longer_than_a_piece_have_the_templates_of_the_rule() -> None:
    """They are looked at in pieces of whole rows, of which one may be long."""
    messages = [b"word " * (n % 90) + b"%d x" % n for n in range(3_000)]
    messages[7] = b"long 1 " * 100_000

    assert templates_of(messages) == [VARIABLE.sub(b"\xff", each) for each in messages]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (b"", 0xB4B2797457A0A6E4),
        (b"job \xff done", 0xA8E20309E97406FA),
        (b"GET /api/\xff/orders/\xff \xff \xff.\xffms \xff", 0xF0796A5FC0C99A74),
    ],
)
def test_ids_never_change(template: bytes, expected: int) -> None:
    """They are stored."""
    assert pattern_id(template) == expected


def test_each_text_has_the_id_of_its_template() -> None:
    """Whatever stands beside it."""
    messages = [b"job 1 done", b"free", b"job 22 done"]
    lengths = np.array(list(map(len, messages)), np.int64)

    ids = text_ids(Texts(lengths, b"\n".join(messages) + b"\n")).tolist()

    job, free = pattern_id(b"job \xff done"), pattern_id(b"free")
    assert ids == [job, free, job]


def test_a_template_is_shown_with_a_mark_for_each_variable() -> None:
    """As people read it."""
    assert show("job \u00e9 ".encode() + b"\xff.\xff") == "job é <*>.<*>"
