"""`pipeline alerts`: a list, and what people say of it."""

from __future__ import annotations

import json

import pytest

from pipeline.alerts import Kind, to_entry
from pipeline.timestamp import SECOND
from tests.alerts.made import alert, at
from tests.cli.shell import Shell, fill
from tests.end_to_end.running import Pipeline

NOW = 1_795_341_600
NAME = "5f3c9a0b12de4477"


def _opened():
    """The entry of an alert that is open."""
    made = alert("api", fingerprint=NAME, opened=at(0))
    return to_entry(Kind.OPENED, made, NOW * SECOND)


@pytest.fixture(scope="module")
def pipeline():
    """Ingester and gateway over one open alert."""
    made = Pipeline()
    try:
        fill(made.database, [_opened()._replace(timestamp=_recent())])
        yield made.start("ingester", "gateway").wait_until_ready()
    finally:
        made.close()


def _recent():
    import time

    return time.time_ns()


@pytest.fixture(params=["local", "remote"])
def shell(pipeline, request):
    """A shell and the options that name whom it asks."""
    made = Shell(
        pipeline.database,
        PIPELINE_INGEST__ENDPOINT=pipeline.ingest,
        PIPELINE_PUBLISH__ENDPOINT=pipeline.publish,
    )
    url = ["--url", pipeline.url] if request.param == "remote" else []
    return lambda *words: made.run("alerts", *words, *url)


def test_open_alerts_are_listed(shell):
    """One a line, behind the names of the columns."""
    code, out, errors = shell()

    assert (code, errors) == (0, "")
    head, line = out.splitlines()[:2]
    assert head.split("\t")[0] == "fingerprint"
    assert line.split("\t")[0] == NAME


def test_one_is_acknowledged(shell):
    """The list says by whom."""
    code, out, errors = shell("ack", NAME, "--by", "ann", "--comment", "mine")
    assert (code, out, errors) == (0, f"{NAME} acknowledged\n", "")

    (found,) = json.loads(shell("--json")[1])["alerts"]
    assert found["acknowledged"]["by"] == "ann"


def test_a_silence_begins_and_ends(shell):
    """What is silenced is told beside the alerts."""
    words = ("--source", "api", "--by", "ann")
    assert shell("silence", *words, "--for", "2h")[:2] == (0, "source api silenced\n")
    (silence,) = json.loads(shell("--json")[1])["silences"]
    assert silence["by"] == "ann"

    said = "source api no longer silenced\n"
    assert shell("unsilence", *words)[:2] == (0, said)
    assert json.loads(shell("--json")[1])["silences"] == []


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("ack",), "fingerprint"),
        (("ack", "nonsense"), "no open alert"),
        (("silence", "--for", "1h"), "--alert"),
        (("silence", "--source", "api"), "--until"),
        (("silence", "--source", "api", "--for", "soon"), "no length"),
        (("silence", "--source", "api", "--until", "2001-01-01"), "until"),
        (("silence", "--source", "api", "--for", "31d"), "30 days"),
        (("silence", "--source", "api", "--for", "9999999d"), "30 days"),
    ],
)
def test_what_makes_no_sense_is_refused(shell, words, problem):
    """With what would."""
    code, out, errors = shell(*words)

    assert (code, out) == (2, "")
    assert problem in errors
