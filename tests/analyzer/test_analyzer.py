"""The analyzer but for its sockets: commits in, notices out, the store scripted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgpack
import pytest

from pipeline.alerts import Alert, Kind
from pipeline.analyzer.analyzer import ATTEMPTS, Analyzer
from pipeline.analyzer.book import Notice
from pipeline.entry import Entry
from pipeline.errors import ConfigError
from pipeline.settings.alerts import Alerts, Rule

NOW = 1_795_341_600
BOOT = b"b" * 16
EMPTY: dict[str, Any] = {
    "get_alerts": {
        "alerts": [],
        "count": 0,
        "returned": 0,
        "truncated": False,
        "silences": [],
        "undelivered": 0,
        "malformed": 0,
        "newest_commit": 0,
        "took_ms": 1.0,
    },
    "counts": {"commit": 0, "sources": [], "rows": []},
    "events": {"commit": 0, "groups": [], "truncated": False},
    "aggregate": {"table": {"rows": []}},
    "query": {"logs": []},
    "patterns": {"patterns": []},
    "get_stats": {"total_logs": 0, "error_rate": 0.0},
}
SETTINGS = Alerts(error_spike_threshold=20, group_wait_seconds=0.0)


class World:
    """The store, which answers at once, the channels, and what is stored."""

    def __init__(self, settings: Alerts = SETTINGS) -> None:
        self.answers: dict[str, Any] = dict(EMPTY)
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.stored: list[Entry] = []
        self.sent: list[Notice] = []
        self.resumed: list[Alert] = []
        self.said: list[str] = []
        self.analyzer = Analyzer(settings, self, self._store, self, self.said.append)

    def ask(
        self,
        method: str,
        params: Mapping[str, Any],
        take: Callable[[bytes | None, str], None],
        seconds: float = 1.0,
    ) -> bool:
        del seconds
        self.asked.append((method, params))
        answer = self.answers[method]
        body = None if answer is None else json.dumps(answer).encode()
        take(body, "the worker is lost")
        return True

    def send(self, notice: Notice) -> None:
        self.sent.append(notice)

    def resume(self, alerts: list[Alert]) -> None:
        self.resumed = alerts

    def _store(self, entry: Entry) -> bool:
        self.stored.append(entry)
        return True

    def methods(self) -> list[str]:
        """What was asked since the last time."""
        asked, self.asked = self.asked, []
        return [method for method, _ in asked]

    def summary(self, block: int, *counts: tuple[int, str, int, int]) -> None:
        """One summary arrives, and everything is looked at."""
        body = msgpack.packb({"boot": BOOT, "block": block, "counts": counts})
        self.analyzer.take_summary(body, NOW)
        self.analyzer.evaluate(NOW)

    def kinds(self) -> list[Kind]:
        """What was sent."""
        return [notice.kind for notice in self.sent]


def started(settings: Alerts = SETTINGS) -> World:
    world = World(settings)
    world.analyzer.start(NOW)
    world.methods()
    return world


def test_twenty_errors_are_told_once() -> None:
    """To the channels, and to the store."""
    world = started()
    world.summary(1, (NOW, "api", 17, 19))
    assert world.sent == []
    world.summary(2, (NOW, "api", 17, 1))
    world.summary(3, (NOW, "api", 9, 100))

    assert world.kinds() == [Kind.OPENED]
    assert [entry.source for entry in world.stored] == ["alerts"]
    assert (world.stored[0].metadata or {})["fingerprint"] == (
        world.sent[0].alert.fingerprint
    )


def test_evidence_comes_with_the_opening() -> None:
    """Samples and patterns of the very query that replays it."""
    world = started()
    sample = {"id": "a", "timestamp": "t", "source": "api", "level": "ERROR"}
    world.answers["query"] = {"logs": [{**sample, "message": "failed"}]}
    world.answers["patterns"] = {"patterns": [{"pattern": "failed", "count": 20}]}
    world.summary(1, (NOW, "api", 17, 20))
    alert = world.sent[0].alert

    assert [one.message for one in alert.samples] == ["failed"]
    assert [one.count for one in alert.patterns] == [20]
    assert [params["q"] for _, params in world.asked] == [alert.query] * 2


def test_without_an_answer_an_alert_is_told_as_it_is() -> None:
    """A store that can't be read is no reason to say nothing."""
    world = started()
    world.answers |= {"query": None, "patterns": None}
    world.summary(1, (NOW, "api", 17, 20))

    assert world.kinds() == [Kind.OPENED]
    assert world.sent[0].alert.samples == []


def test_missed_summaries_are_asked_for() -> None:
    """Exactly the commits that did not come; what they had counts."""
    world = started()
    world.summary(1, (NOW, "api", 17, 5))
    world.answers["counts"] = {
        "commit": 9,
        "sources": ["api"],
        "rows": [[NOW - 3, 0, 17, 14]],
    }
    world.summary(4, (NOW, "api", 17, 1))
    world.analyzer.evaluate(NOW)

    asked = [params for method, params in world.asked if method == "counts"]
    assert [(one["after"], one["up_to"]) for one in asked] == [(1, 3)]
    assert world.kinds() == [Kind.OPENED]
    assert world.sent[0].alert.value == 20


def test_a_process_that_stood_still_asks_how_far_the_store_is() -> None:
    """The last summaries were dropped, and no other has come to tell."""
    world = started()
    world.summary(1, (NOW, "api", 17, 5))
    rows = [[NOW - 3, 0, 17, 15]]
    world.answers["counts"] = {"commit": 4, "sources": ["api"], "rows": rows}
    world.analyzer.wake(NOW)
    for _ in range(3):
        world.analyzer.evaluate(NOW)
    world.summary(4, (NOW, "api", 17, 15))

    assert world.analyzer.stats()["summaries_repaired"] == 3
    assert [notice.alert.value for notice in world.sent] == [20]


def test_what_the_store_does_not_tell_is_asked_again() -> None:
    """A few times, then it is said and counted."""
    world = started()
    world.summary(1)
    world.answers["counts"] = None
    world.summary(3)
    for second in range(60):
        world.analyzer.evaluate(NOW + second)

    asked = [params for method, params in world.asked if method == "counts"]
    assert len(asked) == ATTEMPTS
    assert world.analyzer.stats()["commits_unseen"] == 1
    assert "are lost" in world.said[-1]


def test_the_windows_are_replayed_at_the_start() -> None:
    """What broke while nobody looked is told; what the snapshot has counts once."""
    world = World()
    rows = [[NOW - 9, 0, 17, 12], [NOW - 5, 0, 17, 8]]
    world.answers["counts"] = {"commit": 7, "sources": ["api"], "rows": rows}
    world.analyzer.start(NOW)
    world.summary(7, (NOW - 5, "api", 17, 8))

    assert world.kinds() == [Kind.OPENED]
    assert world.sent[0].alert.value == 20


def test_an_open_alert_goes_on_after_a_restart() -> None:
    """It is neither told again nor lost; its end is told."""
    before = started()
    before.summary(1, (NOW, "api", 17, 20))
    alert = json.loads(json.dumps(dict(before.stored[0].metadata or {})))
    world = World()
    world.answers["get_alerts"] = {**EMPTY["get_alerts"], "alerts": [alert]}
    world.answers["counts"] = {
        "commit": 7,
        "sources": ["api"],
        "rows": [[NOW, 0, 17, 20]],
    }
    world.analyzer.start(NOW + 1)
    world.analyzer.evaluate(NOW + 1)

    assert world.sent == []
    assert [one.fingerprint for one in world.resumed] == [alert["fingerprint"]]
    world.analyzer.evaluate(NOW + 301)
    assert world.kinds() == [Kind.RESOLVED]


def test_nothing_is_judged_before_the_store_has_told() -> None:
    """It is asked again; without a store the summaries alone have to do."""
    world = World()
    world.answers["counts"] = None
    world.analyzer.start(NOW)
    world.summary(1, (NOW, "api", 17, 20))
    assert not world.analyzer.is_ready
    for second in range(30):
        world.analyzer.evaluate(NOW + second)

    assert world.analyzer.is_ready
    world.summary(2, (NOW, "api", 17, 20))
    assert world.kinds() == [Kind.OPENED]


def test_events_that_others_write_are_read() -> None:
    """An acknowledgement or a silence; its own events are no news."""
    world = started()
    world.summary(1, (NOW, "api", 17, 20))
    world.methods()
    world.summary(2, (NOW, "alerts", 17, 1))
    assert world.methods() == []

    world.summary(3, (NOW, "alerts", 13, 1))
    assert world.methods() == ["get_alerts"]


def test_a_silenced_alert_is_stored_and_not_sent() -> None:
    """`send` of its notice says so."""
    world = started()
    silence = {
        "id": "x",
        "matcher": {"source": "api"},
        "by": "ann",
        "comment": "",
        "until": "2099-01-01T00:00:00Z",
        "at": "2026-01-01T00:00:00Z",
    }
    world.answers["get_alerts"] = {**EMPTY["get_alerts"], "silences": [silence]}
    world.summary(1, (NOW, "alerts", 9, 1))
    world.analyzer.evaluate(NOW)
    world.summary(2, (NOW, "api", 17, 20))

    assert [notice.send for notice in world.sent] == [False]
    assert len(world.stored) == 1


def test_a_rule_is_asked_and_judged() -> None:
    """Of the store, in its window."""
    rule = Rule(name="5xx", query="status:>=500", when="count > 50", window=60)
    world = started(replace(SETTINGS, rules=(rule,)))
    world.answers["get_stats"] = {"total_logs": 51, "error_rate": 0.0}
    world.analyzer.evaluate(NOW)
    world.analyzer.evaluate(NOW)

    assert world.asked[0][1]["q"] == "status:>=500"
    assert world.kinds() == [Kind.OPENED]
    assert "5xx" in world.sent[0].alert.text


def test_a_reload_changes_the_threshold() -> None:
    """The counts of the window stay: no entry is unseen."""
    world = started()
    world.summary(1, (NOW, "api", 17, 15))
    world.analyzer.reload(replace(SETTINGS, error_spike_threshold=10), world)
    world.analyzer.evaluate(NOW)

    assert world.kinds() == [Kind.OPENED]


def test_a_reload_changes_the_window() -> None:
    """Its counts come from the store; what no longer holds is over."""
    world = started()
    world.summary(1, (NOW, "api", 17, 20))
    world.answers["counts"] = {
        "commit": 1,
        "sources": ["api"],
        "rows": [[NOW, 0, 17, 20]],
    }
    world.analyzer.reload(replace(SETTINGS, error_spike_window=60), world)
    world.analyzer.evaluate(NOW)
    assert world.kinds() == [Kind.OPENED]

    world.analyzer.evaluate(NOW + 61)
    assert world.kinds() == [Kind.OPENED, Kind.RESOLVED]


class Slow(World):
    """A store that takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Callable[[], object]] = []

    def ask(
        self,
        method: str,
        params: Mapping[str, Any],
        take: Callable[[bytes | None, str], None],
        seconds: float = 1.0,
    ) -> bool:
        # up to no commit there is nothing
        answers = EMPTY if params.get("up_to") == 0 else self.answers
        body = json.dumps(answers[method]).encode()
        self.waiting.append(lambda: take(body, ""))
        return True

    def answer_all(self) -> None:
        """And what is asked then."""
        while self.waiting:
            self.waiting.pop(0)()


@pytest.mark.parametrize("windows", [(60,), (60, 120)])
def test_a_reload_while_the_store_tells_fills_the_new_window(
    windows: tuple[int, ...],
) -> None:
    """What came before the start is in it, once."""
    world = Slow()
    world.answers["counts"] = {
        "commit": 1,
        "sources": ["api"],
        "rows": [[NOW, 0, 17, 19]],
    }
    world.analyzer.start(NOW)
    for window in windows:
        world.analyzer.reload(replace(SETTINGS, error_spike_window=window), world)
    world.answer_all()
    assert world.sent == []

    world.summary(2, (NOW, "api", 17, 1))
    world.answer_all()
    assert world.kinds() == [Kind.OPENED]


def test_a_reload_with_a_wrong_rule_changes_nothing() -> None:
    """It names the rule."""
    world = started()
    wrong = replace(
        SETTINGS,
        error_spike_threshold=1,
        rules=(Rule(name="broken", query="a AND (", when="count > 1"),),
    )
    with pytest.raises(ConfigError, match="broken"):
        world.analyzer.reload(wrong, world)
    world.summary(1, (NOW, "api", 17, 5))

    assert world.sent == []


def test_a_rule_that_goes_ends_its_alert() -> None:
    """By a reload without it."""
    rule = Rule(name="5xx", query="status:>=500", when="count > 50", window=60)
    world = started(replace(SETTINGS, rules=(rule,)))
    world.answers["get_stats"] = {"total_logs": 51, "error_rate": 0.0}
    world.analyzer.evaluate(NOW)
    world.analyzer.evaluate(NOW)
    world.analyzer.reload(SETTINGS, world)
    world.analyzer.evaluate(NOW + 1)

    assert world.kinds() == [Kind.OPENED, Kind.RESOLVED]


def test_bad_summaries_are_said_and_counted() -> None:
    """They change nothing else."""
    world = started()
    world.analyzer.take_summary(b"\xc1", NOW)
    world.analyzer.evaluate(NOW)

    assert world.analyzer.stats()["summaries_malformed"] == 1
    assert "summary" in world.said[0]
