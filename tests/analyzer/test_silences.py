"""Silences of the configuration hold beside those of people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.analyzer.book import Policy
from pipeline.analyzer.silences import read_silences
from pipeline.errors import ConfigError
from pipeline.settings import load
from pipeline.settings.alerts import Silenced
from tests.alerts.made import at
from tests.analyzer.told import SPIKE, Told, over, silence


def test_they_stand_in_the_file(tmp_path: Path) -> None:
    """A time of another zone is that time."""
    (tmp_path / "c.yaml").write_text(
        "alerts:\n  silences:\n    - source: api-*\n      comment: deploy\n"
        "      until: 2026-12-24T18:00:00+02:00\n"
    )
    (held,) = read_silences(load(tmp_path / "c.yaml").alerts.silences)

    assert (held.matcher.source, held.matcher.detector) == ("api-*", None)
    assert held.until == "2026-12-24T16:00:00.000000000Z"
    assert (held.by, held.comment) == ("configuration", "deploy")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (Silenced(until=at(9)), r"alerts.silences\[0\]: fits nothing"),
        (Silenced(source="a", until="2026-13-01T00:00"), r"\[0\]\.until: .* no date"),
    ],
)
def test_what_is_wrong_is_named(given: Silenced, problem: str) -> None:
    """With its key."""
    with pytest.raises(ConfigError, match=problem):
        read_silences([given])


def test_both_hold() -> None:
    """A reload that takes one away tells what it held back."""
    given = read_silences([Silenced(source="web", until=at(5_000))])
    told = Told(Policy(silences=given))
    told.book.silence([silence(1_000, source="api")])
    told.at(0, SPIKE, replace(SPIKE, source="api"))

    assert told.at(2) == ["opened", "opened"]
    told.book.policy = Policy()
    assert told.at(3) == ["UPDATED"]
    assert told.notices[-1].alert.sources == ["web"]
    assert told.at(400, over(SPIKE)) == ["RESOLVED"]
