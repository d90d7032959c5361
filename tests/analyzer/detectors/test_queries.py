"""The filters of findings find what they are of, in the language itself."""

from __future__ import annotations

import re

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analyzer.detectors.queries import (
    of_path,
    of_source,
    of_template,
)
from pipeline.analyzer.findings import EVERYWHERE
from pipeline.entry import Level
from pipeline.query.parser import parse

TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40
)


def test_levels_and_sources() -> None:
    """At a level and above, or at it alone; everywhere names no source."""
    assert of_source("api", Level.ERROR) == 'source:"api" level:>=ERROR'
    assert of_source("api", Level.WARN, only=True) == 'source:"api" level:WARN'
    assert of_source(EVERYWHERE, Level.ERROR) == "level:>=ERROR"
    assert of_source(EVERYWHERE) == "*"


@given(TEXT)
def test_any_text_makes_a_query(text: str) -> None:
    """Names, templates and paths are whatever others log."""
    for query in (of_source(text), of_template(text), of_path(text)):
        parse(query)


@pytest.mark.parametrize(
    ("template", "query"),
    [
        ("disk <*> is full", r"message:/^disk [\w[:^ascii:]]+ is full$/"),
        ("GET /a (b)", r"message:/^GET \/a \(b\)$/"),
        ("<*>", r"message:/^[\w[:^ascii:]]+$/"),
    ],
)
def test_a_template_is_a_pattern(template: str, query: str) -> None:
    """Of the whole message, with a token for each variable."""
    assert of_template(template) == query


@given(st.lists(st.text("ab12_é가 ./*()[]{}|+-^$\\?\n", max_size=12)))
def test_a_template_finds_its_messages(words: list[str]) -> None:
    """Whatever is in them, and in their variables."""
    message = " ".join(words)
    tokens = re.compile(r"[0-9A-Za-z_\u0080-\U0010ffff]+")
    template = tokens.sub(
        lambda found: "<*>" if re.search("[0-9]", found[0]) else found[0], message
    )
    pattern = of_template(template).removeprefix("message:/").removesuffix("/")

    assert re2.search(pattern, message)


def test_a_long_template_is_cut() -> None:
    """Never within a variable, and then it is a beginning."""
    query = of_template("x" * 299 + "<*> and more")

    assert query == f"message:/^{'x' * 299}/"


def test_paths_with_ids() -> None:
    """A plain one is itself, one with a variable segment is a pattern."""
    assert of_path("/api/users") == 'metadata.path:="/api/users"'
    assert of_path("/users/*/x") == r"metadata.path:/^\/users\/[^\/?]+\/x(\?.*)?$/"
