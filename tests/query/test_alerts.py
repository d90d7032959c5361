"""get_alerts: what is stored of source `alerts` comes to alerts and silences."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.alerts import (
    Alert,
    Kind,
    Matcher,
    Sample,
    acknowledged,
    silenced,
    to_entry,
    unsilenced,
    with_evidence,
)
from pipeline.entry import Entry
from pipeline.query.requests import FieldError
from tests.alerts.made import alert, at, ns
from tests.query.stores import Asker, append

Ask = Callable[..., Any]
SAMPLE = Sample("aDda", at(0), "web", "ERROR", "failed")


def named(name: str, opened: float, ended: float | None = None) -> list[Entry]:
    """The events of an alert of that source."""
    made = with_evidence(alert(name, fingerprint=name, opened=at(opened)), [SAMPLE], [])
    entries = [to_entry(Kind.OPENED, made, ns(opened))]
    if ended is not None:
        over: Alert = alert(
            name,
            fingerprint=name,
            opened=at(opened),
            state="resolved",
            resolved=at(ended),
        )
        entries.append(to_entry(Kind.RESOLVED, over, ns(ended)))
    return entries


def asking(path: Path) -> Ask:
    """Asks that store, 100 s after T0."""
    return partial(Asker(path).ask, now=ns(100))


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Two alerts among other entries, in blocks that are not in order of time."""
    other = Entry(ns(1), "web", 17, "failed", {"event": "opened"}, ["alert"], None)
    lifted = [
        silenced(Matcher(source="old"), ns(9_999), "ann", "", ns(3)),
        unsilenced(Matcher(source="old"), "ann", "", ns(4)),
    ]
    path = tmp_path / "a.db"
    append(path, [[(0, named("api", 10, 60))], [(1, [other, *lifted])]])
    held = silenced(Matcher(source="w*"), ns(500), "ann", "deploy", ns(30))
    past = silenced(Matcher(source="z"), ns(90), "ann", "", ns(31))
    seen = acknowledged("web", "ann", "on it", ns(40))
    append(path, [[(2, [seen, held, past])], [(0, named("web", 5))]], first=9)
    return asking(path)


def _names(reply: dict[str, Any]) -> list[str]:
    return [one["fingerprint"] for one in reply["alerts"]]


def test_open_alerts_are_what_is_asked_for(ask: Ask) -> None:
    """Without a word about the state; each with its samples and who has seen it."""
    reply = ask("get_alerts")
    (web,) = reply["alerts"]

    assert (web["fingerprint"], web["state"]) == ("web", "open")
    assert web["samples"][0]["message"] == "failed"
    assert web["acknowledged"] == {"by": "ann", "comment": "on it", "at": at(40)}


def test_silences_that_hold_are_told(ask: Ask) -> None:
    """Not those that ended, or were ended."""
    (held,) = ask("get_alerts")["silences"]

    assert (held["matcher"]["source"], held["until"]) == ("w*", at(500))


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"state": "all"}, ["api", "web"]),
        ({"state": "resolved"}, ["api"]),
        ({"state": "all", "source": "web"}, ["web"]),
        ({"state": "all", "since": at(60)}, ["api", "web"]),
        ({"state": "all", "since": at(61)}, ["web"]),
        ({"state": "all", "since": "39s"}, ["web"]),
    ],
)
def test_alerts_are_chosen(ask: Ask, params: dict[str, Any], names: list[str]) -> None:
    """By their state, their source, and when they were open; newest first."""
    assert _names(ask("get_alerts", **params)) == names


def test_the_limit_keeps_the_newest(ask: Ask) -> None:
    """And says that there are more."""
    reply = ask("get_alerts", state="all", limit=1)

    assert _names(reply) == ["api"]
    assert (reply["count"], reply["returned"], reply["truncated"]) == (2, 1, True)


def test_other_entries_of_that_source_are_counted(tmp_path: Path) -> None:
    """Any service may write to it."""
    stray = Entry(ns(1), "alerts", 17, "hello", {"version": 1}, [], None)
    append(tmp_path / "a.db", [[(0, [stray, *named("web", 5)])]])
    reply = asking(tmp_path / "a.db")("get_alerts")

    assert (_names(reply), reply["malformed"]) == (["web"], 1)


def test_more_events_than_a_page_holds(tmp_path: Path) -> None:
    """All of them are folded, in order."""
    rows = [entry for n in range(1_200) for entry in named(f"s{n}", n, n + 0.5)]
    append(tmp_path / "a.db", [[(0, rows)], [(1, named("web", 5))]])
    ask = asking(tmp_path / "a.db")

    assert _names(ask("get_alerts")) == ["web"]
    assert ask("get_alerts", state="all")["count"] == 1_201


@pytest.mark.parametrize(
    ("params", "field"), [({"state": "closed"}, "state"), ({"since": "x"}, "since")]
)
def test_what_can_not_be_asked(ask: Ask, params: dict[str, Any], field: str) -> None:
    """The parameter is named."""
    with pytest.raises(FieldError) as raised:
        ask("get_alerts", **params)

    assert raised.value.field == field
