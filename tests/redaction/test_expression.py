"""Expressions of the settings: what is safe is taken, the rest is refused in words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.redaction import DEFAULT, MASK, Redactor, chosen
from pipeline.redaction.expression import ExpressionError, read_expression


@pytest.mark.parametrize(
    "text",
    [
        r"\bCUST-[0-9]{6,12}",
        r"(ticket=)[A-Z0-9]{8,32}",
        r"(?:\d{1,3}\.){3}\d{1,3}",
        r"id [^\s,;]+",
        r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}",
        r"a|bc|(?:de)+",
    ],
)
def test_usual_expressions_are_taken(text):
    """As long as every repeat ends, but the last."""
    assert read_expression(text).compile().pattern == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("(a+)+b", "follows a repeat without end"),
        ("(?:a|a)*", "a repeat within a repeat"),
        ("[0-9]+x", "follows a repeat without end"),
        ("(?:a?){30}x", "501 ways"),
        ("a{1,300}b{1,300}", "501 ways"),
        ("(a|b){1,60}c", "501 ways"),
        ("(?=x)y", "look-arounds"),
        (r"(x)\1", "not known here"),
        ("x(y)", "stands first"),
        ("x$", r"\$ differs"),
        ("a{,3}", "no repeat"),
        ("a++", "repeat of a repeat"),
        ("[z-a]", "bad character range"),
        ("[[a]]", "no class"),
        ("[a--b]", "-- in a class"),
        ("a?", "the empty text"),
        ("(?i)a", "flags"),
        ("(a", "not closed"),
        ("a)", "nothing opens"),
        ("x" * 501, "501 characters"),
    ],
)
def test_what_could_hold_a_service_or_differ_is_refused(text, problem):
    """In words that say what would be right."""
    with pytest.raises(ExpressionError, match=problem):
        read_expression(text)


@settings(max_examples=400, deadline=None)
@given(st.text(r"ab(?:)[]{1,2}*+|\dws.^$-", max_size=14))
def test_nothing_but_an_expression_error_comes_of_any_text(text):
    """What is taken compiles, and never matches the empty text."""
    try:
        found = read_expression(text)
    except ExpressionError:
        return

    assert found.compile().fullmatch("") is None


@pytest.mark.parametrize("tail", ["", "!", " x", "é"])
@pytest.mark.parametrize(
    "piece",
    [
        *("a", "1-", "4 ", "token=", "eyJ", "eyJ.", "://a:", "=", "cookie=;", "-----"),
        *("-----BEGIN PRIVATE KEY-----", "sk-", "ghp_", "bearer ", "secret='", '\\"'),
        *("AKIA", "password ", "cookie=a;b", "Authorization: Basic "),
    ],
)
def test_no_text_holds_the_rules_of_the_table(piece, tail):
    """A text twice as long takes about twice as many steps, not four times.

    Steps can't be counted, so the square would show as minutes: pytest's own limit.
    """
    text = piece * (400_000 // len(piece)) + tail

    assert isinstance(DEFAULT.masked(text), str)


@pytest.mark.parametrize("form", [r"\d{1,200}x", r"(?:a{1,9}b?){2}c", r"[ab]{1,450}!"])
def test_no_text_holds_a_rule_that_was_taken(form):
    """The worst text for it."""
    read = read_expression(form)

    assert read.compile().search("1" * 50_000 + "ab" * 50_000 + "a" * 50_000) is None


def test_a_program_gives_the_section_as_a_map():
    """Own keys, forms and exceptions; what a group holds stays."""
    rules = chosen(
        {
            "fields": ["iban"],
            "patterns": [{"name": "ticket", "expression": "(ticket=)[A-Z]{4}"}],
            "except_rules": ["card"],
        },
        {},
    )
    assert rules is not None
    redactor = Redactor(rules)

    (text,) = redactor.texts(["ticket=ABCD 4111111111111111"])

    assert text == f"ticket={MASK} 4111111111111111"
    assert redactor.counts == {"ticket": 1}


@pytest.mark.parametrize(
    ("given_map", "problem"),
    [
        ({"field": []}, "redaction.field: unknown key"),
        ({"fields": "iban"}, "redaction.fields"),
        ({"except_rules": ["cards"]}, "'cards' is no rule"),
        ({"patterns": [{"name": "x"}]}, re.escape("redaction.patterns[0]")),
        (
            {"patterns": [{"name": "x", "expression": "a+b"}]},
            re.escape("redaction.patterns[0].expression: something follows"),
        ),
    ],
)
def test_a_wrong_map_is_refused_with_its_key(given_map, problem):
    """When the collector is made, not when something is logged."""
    with pytest.raises(ConfigError, match=problem):
        chosen(given_map, {})


def test_the_environment_says_what_a_program_leaves_open():
    """Lists with commas; what a program gives wins."""
    environ = {
        "PIPELINE_REDACTION__FIELDS": "iban, *pin",
        "PIPELINE_REDACTION__EXCEPT_RULES": "card",
    }
    rules = chosen(DEFAULT, environ)

    assert rules is not None
    assert [rules.hides(key) for key in ("iban", "card_pin", "x")] == [
        *("iban", "pin"),
        None,
    ]
    assert "card" not in [pattern.name for pattern in rules.patterns]
    assert chosen(DEFAULT, {"PIPELINE_REDACTION__ENABLED": "false"}) is None
    assert chosen(DEFAULT, {}) is DEFAULT
    assert chosen(None, environ) is None
