"""`pipeline delete`: a count first, and what goes is what was counted."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.cli.shell import Shell, entry, fill
from tests.end_to_end.running import Pipeline


@pytest.fixture
def pipeline():
    """Ingester and gateway over 30 entries."""
    made = Pipeline()
    try:
        fill(made.database, [entry(number) for number in range(30)])
        yield made.start("ingester", "gateway").wait_until_ready()
    finally:
        made.close()


def test_a_script_gets_the_count_only(pipeline):
    """Nothing goes without --yes."""
    shell = Shell(pipeline.database)

    code, out, errors = shell.run("delete", "--source", "api")
    assert (code, errors) == (0, "")
    assert out == "10 entries match, none is deleted; --yes deletes them\n"
    assert shell.lines("query", "--count", "--source", "api") == ["10"]


def test_what_was_counted_goes(pipeline):
    """Through the ingester, or through a gateway."""
    shell = Shell(pipeline.database)

    assert shell.lines("delete", "--source", "api", "--yes") == ["10 entries deleted"]
    words = ("delete", "--source", "web", "--yes", "--url", pipeline.url)
    assert shell.lines(*words) == ["10 entries deleted"]
    assert shell.lines("query", "--count", "--source", "api") == ["0"]
    assert shell.lines("query", "--count", "--source", "web") == ["0"]
    assert shell.lines("query", "--count", "request") == ["10"]


def test_what_cannot_be_read_is_told(tmp_path):
    """It may have entries that match, so "0 entries match" is not all."""
    path = tmp_path / "logs.db"
    fill(path, [entry(1)])
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE blocks SET data = zeroblob(9)")
    code, out, errors = Shell(path).here("delete", "request")

    assert (code, out) == (0, "0 entries match, none is deleted\n")
    assert "1 damaged blocks could not be looked at" in errors


def test_everything_is_never_meant_by_nothing(tmp_path):
    """A condition is needed."""
    fill(tmp_path / "logs.db", [entry(1)])
    code, _, errors = Shell(tmp_path / "logs.db").here("delete", "--yes")

    assert code == 2
    assert "needs a condition" in errors
