"""Anybody may write to source `alerts`: no event of theirs ends the analyzer."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.alerts import Kind, Matcher, acknowledged, fold, silenced, to_entry
from pipeline.analyzer.book import Book
from pipeline.analyzer.channels.payload import payload
from pipeline.analyzer.channels.webhook import discord, slack
from pipeline.analyzer.channels.wording import lines, title
from tests.alerts.made import T0, alert, at, ns

EVENTS = [
    to_entry(Kind.OPENED, alert(), ns(2)),
    to_entry(Kind.RESOLVED, alert(state="resolved", resolved=at(9)), ns(9)),
    silenced(Matcher(source="web"), ns(99), "ann", "", ns(3)),
    acknowledged(alert().fingerprint, "ann", "", ns(3)),
]
VALUES = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats()),
        *(st.text(max_size=9), st.sampled_from([at(0), "1677-09-22", "2262-04-11"])),
        st.sampled_from(["open", "resolved", "group", "opened", "*" * 99]),
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def _changed(draw: st.DrawFn) -> dict[str, Any]:
    """An event, some fields of which are anything."""
    fields = dict(draw(st.sampled_from(EVENTS)).metadata or {})
    for name in draw(st.lists(st.sampled_from(sorted(fields)), max_size=3)):
        fields[name] = draw(VALUES)
    reasons = fields.get("reasons")
    shaped = reasons and isinstance(reasons, list) and isinstance(reasons[0], dict)
    if shaped and reasons[0] and draw(st.booleans()):
        first = dict(reasons[0])
        first[draw(st.sampled_from(sorted(first)))] = draw(VALUES)
        fields["reasons"] = [first]
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(fields))
    return found


@settings(max_examples=300, deadline=None)
@given(st.lists(_changed(), max_size=5))
def test_whatever_is_stored_a_book_goes_on_from_it(events: list[dict[str, Any]]):
    """What it tells can be stored and sent; in the end all of it is over."""
    folded = fold(events)
    book = Book()
    book.restore(folded.alerts, T0)
    book.silence(folded.silences)
    told = [one for second in (0, 130, 131) for one in book.tick(T0 + second)]

    assert book.alerts(T0 + 131) == []
    for notice in told:
        entry = to_entry(notice.kind, notice.alert, ns(notice.at - T0))
        assert fold([entry.metadata or {}]).malformed == 0
        for make in (payload, slack, discord):
            msgspec.json.decode(make(notice))
        assert title(notice).isprintable()
        assert lines(notice)
