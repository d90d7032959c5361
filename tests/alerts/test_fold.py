"""The events of source `alerts`, oldest first, say what is open and silenced now."""

from __future__ import annotations

import msgspec
import pytest

from pipeline.alerts import (
    Alert,
    Folded,
    Kind,
    Matcher,
    Sample,
    acknowledged,
    fold,
    silenced,
    to_entry,
    undelivered,
    unsilenced,
    with_evidence,
)
from pipeline.entry import Entry
from tests.alerts.made import alert, at, ns

OPENED = to_entry(Kind.OPENED, alert(), ns(2))
RESOLVED = to_entry(
    Kind.RESOLVED, alert(state="resolved", resolved=at(9), at=at(9)), ns(9)
)
ACKNOWLEDGED = acknowledged(alert().fingerprint, "ann", "on it", ns(5))


def _fold(*entries: Entry) -> Folded:
    """As they come back from the store: through JSON."""
    found = [msgspec.json.encode(entry.metadata) for entry in entries]
    return fold(msgspec.json.decode(one) for one in found)


def test_an_alert_comes_back_as_it_was() -> None:
    """Every field of it."""
    assert _fold(OPENED).alerts == [msgspec.structs.replace(alert(), at=at(2))]


def test_the_last_event_says_how_it_stands() -> None:
    """Opened and resolved is one alert, which is over."""
    (only,) = _fold(OPENED, RESOLVED).alerts

    assert (only.state, only.resolved) == ("resolved", at(9))


def test_an_acknowledgement_stays_with_its_incident() -> None:
    """Through updates; the next incident of that name has none."""
    update = to_entry(Kind.UPDATED, alert(at=at(6)), ns(6))
    again = to_entry(Kind.OPENED, alert(opened=at(20), at=at(20)), ns(20))
    newest, oldest = _fold(OPENED, ACKNOWLEDGED, update, RESOLVED, again).alerts

    assert oldest.acknowledged is not None
    assert (oldest.acknowledged.by, oldest.acknowledged.comment) == ("ann", "on it")
    assert newest.acknowledged is None


def test_what_is_over_can_not_be_acknowledged() -> None:
    """Nor what nobody knows."""
    stray = acknowledged("0" * 16, "ann", "", ns(5))

    assert _fold(OPENED, RESOLVED, ACKNOWLEDGED, stray).alerts[0].acknowledged is None


def test_samples_stay_when_an_update_has_none() -> None:
    """The opening brought them."""
    sample = Sample("id", at(0), "web", "ERROR", "failed")
    shown = to_entry(Kind.OPENED, with_evidence(alert(), [sample], []), ns(2))

    assert _fold(shown, RESOLVED).alerts[0].samples == [sample]


def test_a_new_incident_ends_one_that_never_heard_its_end() -> None:
    """Two of one fingerprint are never open at once."""
    again = to_entry(Kind.OPENED, alert(opened=at(20)), ns(20))

    assert [one.state for one in _fold(OPENED, again).alerts] == ["open", "resolved"]


def test_an_opening_that_retention_took_is_not_missed() -> None:
    """Every later event tells the whole alert."""
    assert _fold(RESOLVED).alerts[0].opened == at(2)


def test_a_silence_is_replaced_by_the_next_of_its_matcher() -> None:
    """And ended by its opposite."""
    web, api = Matcher(source="web"), Matcher(detector="latency")
    first = silenced(web, ns(100), "ann", "", ns(1))
    longer = silenced(web, ns(900), "bob", "deploy", ns(2))
    other = silenced(api, ns(100), "ann", "", ns(3))
    ended = unsilenced(api, "ann", "", ns(4))

    (only,) = _fold(first, longer, other, ended).silences
    assert (only.matcher, only.until, only.by) == (web, at(900), "bob")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"version": 1, "event": "exploded", "at": at(0)},
        {"version": 1, "event": "opened", "at": at(0)},
        {"version": 1, "event": "silenced", "at": at(0), "until": at(9)},
        {"version": 1, "event": "silenced", "at": at(0), "matcher": {"source": "a"}},
        {**(OPENED.metadata or {}), "opened": "yesterday"},
        {**(OPENED.metadata or {}), "sources": "web"},
        {**(OPENED.metadata or {}), "sources": []},
        {**(OPENED.metadata or {}), "reasons": []},
    ],
)
def test_what_is_not_of_the_format_is_left_out(fields: dict[str, object]) -> None:
    """And counted: any service may write to that source."""
    found = fold([fields, OPENED.metadata or {}])

    assert (len(found.alerts), found.malformed, found.silences) == (1, 1, [])


def test_a_later_version_is_left_alone() -> None:
    """It may mean anything."""
    found = fold([{**(OPENED.metadata or {}), "version": 2}])

    assert (found.alerts, found.malformed) == ([], 0)


def test_what_was_not_delivered_is_counted() -> None:
    """It changes no alert."""
    told = undelivered("webhook", Kind.OPENED, alert(), "timed out", 5, ns(8))
    found = _fold(OPENED, told)

    assert (found.undelivered, len(found.alerts)) == (1, 1)


@pytest.mark.parametrize(
    ("matcher", "fits"),
    [
        (Matcher(source="web"), True),
        (Matcher(source="we*"), True),
        (Matcher(source="api"), False),
        (Matcher(source="web", detector="latency"), False),
        (Matcher(fingerprint=alert().fingerprint), True),
        (Matcher(), False),
        (Matcher(source="w[e]b"), False),
        (Matcher(source="*"), True),
        (Matcher(source="*e*"), True),
        (Matcher(source="web*web"), False),
        (Matcher(source="*" * 200 + "x"), False),
    ],
)
def test_a_matcher_fits_when_all_it_gives_does(matcher: Matcher, fits: bool) -> None:
    """One that gives nothing fits nothing: it would silence everything."""
    known: Alert = alert()

    assert matcher.matches(known.fingerprint, "error_spike", "web") is fits
