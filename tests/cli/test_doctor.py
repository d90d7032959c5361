"""`pipeline doctor`: the verdicts that follow from what is seen, and a whole run."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from pipeline import Collector
from pipeline.cli.verdicts import Facts, verdicts
from tests.end_to_end.running import Pipeline

NOW = 1_800_000_000.0
METRICS = {
    "pythonProcessHealth": {"gateway": True, "query-worker-1": True},
    "lag": {"seconds": 0.05, "lost": 0, "sent": 9},
    "waiting": {"entries_to_compact": 10},
}
WELL = Facts(
    NOW,
    health={"version": "1", "reasons": []},
    metrics=METRICS,
    ingester={"pid": 7, "status": "OK"},
    analyzer={"ready": True},
    database="logs.db",
    exists=True,
    entries=10,
    blocks=1,
    newest_commit=NOW - 5,
    used_bytes=1_000_000,
    most_bytes=1_000_000_000,
    free_bytes=9_000_000_000,
    disk_bytes=20_000_000_000,
    low_water_bytes=100_000_000,
)


def found(facts, subject):
    """(judgement, finding) of all about it."""
    return [(v.judgement, v.finding) for v in verdicts(facts) if v.subject == subject]


def test_where_all_is_well_nothing_else_is_said():
    """One line for each subject."""
    assert {verdict.judgement for verdict in verdicts(WELL)} == {"ok"}


@pytest.mark.parametrize(
    ("change", "subject", "judgement", "word"),
    [
        ({"config_errors": ["server.port: 'x'"]}, "configuration", "wrong", "port"),
        ({"ingester": None}, "ingester", "wrong", "no answer"),
        ({"ingester": {"pid": 7, "status": "DISK_FULL"}}, "ingester", "wrong", "FULL"),
        ({"analyzer": None}, "analyzer", "wrong", "no answer"),
        ({"analyzer": {"ready": False}}, "analyzer", "look", "still"),
        ({"health": None, "gateway_problem": "refused"}, "gateway", "wrong", "refused"),
        (
            {"metrics": METRICS | {"pythonProcessHealth": {"query-worker-1": False}}},
            *("query-worker-1", "wrong", "stuck"),
        ),
        (
            {"metrics": METRICS | {"lag": {"seconds": 3.0, "lost": 1, "sent": 9}}},
            *("lag", "look", "3.00 s"),
        ),
        (
            {"metrics": METRICS | {"waiting": {"entries_to_compact": 9_000_000}}},
            *("compaction", "look", "9,000,000"),
        ),
        ({"complaints": 3, "complaint": "no file"}, "complaints", "look", "no file"),
        ({"exists": False}, "database", "wrong", "not there"),
        ({"store_problem": "malformed"}, "database", "wrong", "malformed"),
        ({"damaged": 2}, "integrity", "wrong", "2 blocks"),
        ({"free_bytes": 50_000_000}, "disk", "wrong", "50 MB free"),
        ({"free_bytes": 500_000_000}, "disk", "look", "may grow"),
        ({"unwritable": ["/x"]}, "permissions", "wrong", "/x"),
        ({"exposed": [("/x", 0o644)]}, "permissions", "look", "644"),
        ({"newest_commit": NOW + 7_200}, "clock", "wrong", "2 h in the future"),
    ],
)
def test_what_is_not_well_has_a_remedy(change, subject, judgement, word):
    """And nothing that is well hides it."""
    facts = replace(WELL, **change)
    assert any(
        judged == judgement and word in text for judged, text in found(facts, subject)
    )
    assert all(each.remedy for each in verdicts(facts) if each.judgement != "ok")


def test_an_analyzer_that_is_off_is_not_missed():
    """alerts.enabled: false."""
    assert found(replace(WELL, analyzer=None, wants_analyzer=False), "analyzer") == []


def doctor(pipeline, *words):
    """Exit code, and the verdicts by subject."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "doctor", "--json", *words],
        env=pipeline.environ,
        stdout=subprocess.PIPE,
        check=False,
    )
    made = json.loads(done.stdout)
    return done.returncode, {each["subject"]: each["judgement"] for each in made}


def test_a_pipeline_is_looked_at_running_and_stopped():
    """0 when nothing is wrong, else 1."""
    pipeline = Pipeline(alerts__enabled="false")
    try:
        pipeline.start("ingester", "gateway").wait_until_ready()
        pipeline.result("log", source="web", message="m")
        ends = {"source": "pipeline", "acknowledge_endpoint": pipeline.publish}
        with Collector(pipeline.ingest, spool="off", **ends) as sender:
            sender.log("WARN", "m")
        code, running = doctor(pipeline, "--url", pipeline.url)
        pipeline.stop("gateway")
        pipeline.stop("ingester")
        after, stopped = doctor(pipeline)
    finally:
        pipeline.close()

    assert "wrong" not in running.values()
    assert code == 0
    assert after == 1
    assert stopped["ingester"] == stopped["gateway"] == "wrong"
    assert running["complaints"] == stopped["complaints"] == "look"
    assert stopped["database"] == stopped["integrity"] == "ok"
