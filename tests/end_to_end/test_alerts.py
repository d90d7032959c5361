"""Alerts on real processes: from entries to console, webhook and store, and back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest

from tests.end_to_end.alerting import WINDOW, Hook, Watched
from tests.end_to_end.running import PYTHON


@pytest.fixture
def hook():
    """A webhook."""
    hook = Hook()
    yield hook
    hook.close()


@pytest.fixture
def watched(hook):
    """Ingester, gateway and analyzer."""
    pipeline = Watched(hook)
    try:
        yield pipeline.start_all()
    finally:
        pipeline.close()


def test_a_burst_is_told_once_everywhere(watched, hook):
    """One line, one POST, one entry; its query replays the 20; then it is over."""
    logged = watched.errors(20)
    watched.until(lambda: hook.posts, "POST")
    (opened,) = watched.until(lambda: watched.events("opened"), "entry")
    at, posted = hook.posts[0]
    replayed = watched.logs(
        q=opened["query"], since=opened["query_since"], until=opened["query_until"]
    )

    assert at - logged <= WINDOW + 2
    assert posted["fingerprint"] == opened["fingerprint"]
    assert opened["value"] == opened["threshold"] == 20
    assert [entry["message"] for entry in replayed] == ["request 7 failed"] * 20
    assert {one["id"] for one in opened["samples"]} < {one["id"] for one in replayed}
    assert len(opened["samples"]) == 5
    assert opened["patterns"] == [{"pattern": "request <*> failed", "count": 20}]
    (line,) = watched.until(watched.lines, "line")
    assert "20 errors of api" in line

    watched.until(lambda: watched.events("resolved"), "end")
    watched.until(lambda: len(hook.posts) == 2, "second POST")
    watched.until(lambda: len(watched.lines()) == 2, "second line")
    time.sleep(1)
    assert watched.kinds() == hook.events() == ["opened", "resolved"]
    assert len(watched.lines()) == 2


def test_nineteen_are_none(watched, hook):
    """Nor are 19 twice, a window apart."""
    watched.errors(19)
    time.sleep(WINDOW + 1)
    watched.errors(19)
    time.sleep(WINDOW + 1)

    assert watched.events() == hook.posts == watched.lines() == []


def test_health_and_rpc_tell_of_it(watched):
    """What is open, by whom it was seen, and what is silenced."""
    watched.errors(20)
    watched.until(lambda: watched.events("opened"), "alert")
    watched.until(lambda: watched.result("health")["alerts"]["open"] == 1, "health")
    (alert,) = watched.result("get_alerts")["alerts"]
    name = alert["fingerprint"]

    watched.result("acknowledge_alert", fingerprint=name, by="ann", comment="mine")
    (alert,) = watched.result("get_alerts", state="all")["alerts"]
    assert alert["acknowledged"]["by"] == "ann"
    wrong = watched.error("acknowledge_alert", fingerprint="nonsense", by="ann")
    assert wrong["data"]["field"] == "fingerprint"


def test_a_silence_holds_back_what_is_sent(watched, hook):
    """Not what is stored; without it the next one is told."""
    given = {"matcher": {"source": "api"}, "by": "ann"}
    watched.result("silence", **given, **{"for": "1h"})
    (silence,) = watched.result("get_alerts")["silences"]
    assert silence["matcher"]["source"] == "api"
    time.sleep(1)
    watched.errors(20)
    watched.until(lambda: watched.events("resolved"), "end of a silenced alert")
    assert hook.posts == watched.lines() == []

    watched.result("unsilence", **given)
    time.sleep(1)
    watched.errors(20)
    watched.until(lambda: hook.posts, "POST")
    assert watched.result("get_alerts")["silences"] == []


@pytest.mark.parametrize(
    "params",
    [
        {"matcher": {}, "for": "1h", "by": "ann"},
        {"matcher": {"source": "api"}, "by": "ann"},
        {"matcher": {"source": "api"}, "for": "soon", "by": "ann"},
        {"matcher": {"source": "api"}, "until": "2001-01-01", "by": "ann"},
        {"matcher": {"source": "api"}, "for": "31d", "by": "ann"},
        {"matcher": {"sauce": "api"}, "for": "1h", "by": "ann"},
        {"matcher": {"source": "api"}, "for": "1h", "by": ""},
    ],
)
def test_a_silence_that_means_nothing_is_refused(pipeline, params):
    """With the field."""
    assert pipeline.error("silence", **params)["data"]["field"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_open_alert_outlives_the_analyzer(hook, number):
    """It is neither opened again nor lost, however the process ended."""
    watched = Watched(hook, error_spike_window=20)
    try:
        watched.start_all()
        watched.errors(20)
        watched.until(lambda: watched.events("opened"), "alert")
        watched.until(lambda: hook.posts, "POST")
        watched.stop("analyzer", number)
        watched.start_analyzer()
        time.sleep(2)
        assert watched.kinds() == hook.events() == ["opened"]
        assert watched.status()["open"] == 1

        watched.until(lambda: watched.events("resolved"), "end")
        watched.until(lambda: len(hook.posts) == 2, "second POST")
        assert watched.kinds() == hook.events() == ["opened", "resolved"]
    finally:
        watched.close()


def test_an_analyzer_that_dies_as_it_tells_tells_once(hook):
    """The entry is on disk before anybody is told; the next process sends it."""
    watched = Watched(hook, error_spike_window=20)
    try:
        watched.start_all()
        pid = watched.processes["analyzer"].pid
        hook.on_post = lambda: os.kill(pid, signal.SIGKILL)
        watched.errors(20)
        watched.until(lambda: hook.posts, "POST")
        hook.on_post = lambda: None
        watched.stop("analyzer")
        watched.start_analyzer()
        watched.until(lambda: watched.events("resolved"), "end")
        watched.until(lambda: "resolved" in hook.events(), "POST of the end")

        assert watched.kinds() == hook.events() == ["opened", "resolved"]
    finally:
        watched.close()


def test_what_broke_while_it_was_away_is_told(hook):
    """At its start it looks at the window that is not over."""
    watched = Watched(hook, error_spike_window=30)
    try:
        watched.start_all()
        watched.stop("analyzer")
        watched.errors(12)
        watched.start_analyzer()
        watched.errors(8)
        (opened,) = watched.until(lambda: watched.events("opened"), "alert")
        assert opened["value"] == 20
    finally:
        watched.close()


def test_a_stopped_analyzer_repairs_its_gap(hook):
    """More summaries than sockets hold: what it lacks is counted, exactly once."""
    commits, sources = 200, 100
    total = commits * sources
    watched = Watched(hook, error_spike_threshold=total, error_spike_window=600)
    try:
        watched.start_all()
        pid = watched.processes["analyzer"].pid
        os.kill(pid, signal.SIGSTOP)
        # long names make large summaries, which fill the sockets soon
        names = [f"{number:03}".ljust(250, "x") for number in range(sources)]
        logs = [{"source": name, "level": "ERROR", "message": "m"} for name in names]
        for _ in range(commits):
            assert watched.result("log_batch", logs=logs)["accepted"] == sources
        os.kill(pid, signal.SIGCONT)
        (opened,) = watched.until(lambda: watched.events("opened"), "alert")
        status = watched.status()

        assert (opened["sources"], opened["value"]) == ([""], total)
        assert status["summaries_missed"] == status["summaries_repaired"] > 0
    finally:
        watched.close()


def test_a_reload_changes_thresholds_and_keeps_counts(watched, hook):
    """By RPC; ten that were counted before are enough after it."""
    watched.configure(error_spike_window=120)  # a loaded machine reads slowly
    watched.result("reload_config")
    watched.errors(10)
    watched.configure(error_spike_window=120, error_spike_threshold=10)
    changed = watched.result("reload_config")["changed"]

    assert changed == ["alerts.error_spike_threshold"]
    watched.until(lambda: hook.posts, "POST")


def test_a_wrong_configuration_keeps_the_old_one(watched, hook):
    """By RPC and by SIGHUP; it says why, with a caret under a rule's mistake."""
    rule = {"name": "5xx", "query": "status:>=500 AND (", "when": "count > 5"}
    watched.configure(rules=[rule])
    problem = watched.error("reload_config")["data"]["problem"]
    assert "5xx" in problem
    assert "status:>=500 AND (" in problem
    assert "^" in problem
    os.kill(watched.processes["analyzer"].pid, signal.SIGHUP)
    said = "the old configuration stays"
    watched.until(lambda: sum(said in line for line in watched.said()) >= 2, "reason")

    watched.errors(20)
    watched.until(lambda: hook.posts, "POST")


def test_a_wrong_rule_keeps_the_pipeline_from_starting(tmp_path):
    """`up` says what is wrong once, and ends: nothing restarts what can't start."""
    path = tmp_path / "pipeline.yaml"
    rule = {"name": "5xx", "query": "status:>=500 AND (", "when": "count > 5"}
    path.write_text(json.dumps({"alerts": {"rules": [rule]}}))
    words = [*PYTHON, "-m", "pipeline", "up", f"--config={path}"]
    done = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 2
    assert done.stderr.count("alerts.rules[0].query: of rule '5xx'") == 1
    assert "\n" + " " * len("status:>=500 AND (") + "^" in done.stderr


def test_a_hangup_reloads(watched, hook):
    """Rules and channels too: a rule that is new is judged."""
    rule = {"name": "5xx", "query": "status:>=500", "when": "count > 5", "window": 10}
    watched.configure(rules=[rule])
    os.kill(watched.processes["analyzer"].pid, signal.SIGHUP)
    watched.until(
        lambda: any("reloaded: alerts.rules" in line for line in watched.said()),
        "reload",
    )
    watched.errors(6, level="INFO", metadata={"status": 503})
    watched.until(lambda: hook.posts, "POST")

    (opened,) = watched.until(lambda: watched.events("opened"), "entry")
    assert opened["reasons"][0]["key"] == "5xx"
    assert opened["value"] == 6
    watched.until(lambda: watched.events("resolved"), "end")
