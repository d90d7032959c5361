"""Each thing that happens to an alert is one entry that the pipeline takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.alerts import (
    Alert,
    Kind,
    Matcher,
    Pattern,
    Sample,
    acknowledged,
    silenced,
    to_entry,
    undelivered,
    unsilenced,
    with_evidence,
)
from pipeline.alerts.model import SAMPLE_BYTES, SOURCES
from pipeline.entry import Entry, check_metadata
from tests.alerts.made import alert, at, ns, reason

PAGE = Path(__file__).parents[2] / "pipeline" / "analyzer" / "ALERTS.md"
MATCHER = Matcher(source="web")

ENTRIES = [
    to_entry(Kind.OPENED, alert(), ns(2)),
    to_entry(Kind.UPDATED, alert(), ns(3)),
    to_entry(Kind.RESOLVED, alert(), ns(4)),
    acknowledged("5f3c9a0b12de4477", "ann", "on it", ns(5)),
    silenced(MATCHER, ns(3600), "ann", "deploy", ns(6)),
    unsilenced(MATCHER, "ann", "", ns(7)),
    undelivered("webhook", Kind.OPENED, alert(), "timed out", 5, ns(8)),
]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.tags[1])
def test_an_event_is_an_entry(entry: Entry) -> None:
    """Of source `alerts`, tagged with what happened, within the limits."""
    assert entry.metadata is not None
    check_metadata(entry.metadata)

    assert (entry.source, entry.tags) == ("alerts", ["alert", entry.metadata["event"]])
    assert "\n" not in entry.message


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.tags[1])
def test_each_field_stands_on_the_page(entry: Entry) -> None:
    """The format has one page."""
    cells = re.findall(r"^\|([^|]+)\|", PAGE.read_text(), re.M)
    named = set(re.findall(r"`(\w+)`", " ".join(cells)))

    assert set(entry.metadata or ()) - named == set()


def test_levels_tell_how_urgent_an_event_is() -> None:
    """What opens is an ERROR, what needs nobody is INFO."""
    levels = [entry.level for entry in ENTRIES]

    assert levels == [17, 13, 9, 13, 9, 9, 13]


def test_the_largest_alert_fits_into_an_entry() -> None:
    """All its lists full, of the longest names and four-byte characters."""
    name = "\N{FIRE}" * 64
    sample = Sample("a" * 40, at(0), name, "ERROR", "\N{FIRE}" * 1_000_000)
    biggest = with_evidence(
        alert(
            sources=[name] * SOURCES,
            reasons=[reason(name, text=name * 4, query=name * 4)] * 20,
        ),
        [sample] * 9,
        [Pattern("\N{FIRE}" * 1_000_000, 7)] * 9,
    )
    entry = to_entry(Kind.OPENED, biggest, ns(2))
    assert entry.metadata is not None

    check_metadata(entry.metadata)


def test_evidence_is_cut_at_whole_characters() -> None:
    """A sample's message has 500 bytes at most; there are five at most."""
    sample = Sample("id", at(0), "web", "ERROR", "é" * 1000)
    shown: Alert = with_evidence(alert(), [sample] * 9, [Pattern("x <*>", 7)] * 9)

    assert len(shown.samples) == len(shown.patterns) == 5
    assert len(shown.samples[0].message.encode()) <= SAMPLE_BYTES
    assert shown.samples[0].message.endswith("é…")
