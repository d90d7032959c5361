"""The analyzer's page is true."""

from __future__ import annotations

import re
from pathlib import Path

import pipeline.analyzer
from pipeline.analyzer.questions import IDLE_SECONDS
from pipeline.analyzer.restore import DAYS, FINE, SLOT
from pipeline.analyzer.rules import LATEST, OFTEN, SOONEST, read_rules
from pipeline.control import analyzer_endpoint_of
from pipeline.settings import load

PAGE = Path(pipeline.analyzer.__file__).with_name("ANALYZER.md").read_text()


def test_the_rules_are_rules(tmp_path: Path) -> None:
    """The example is a configuration."""
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    path = tmp_path / "pipeline.yaml"
    path.write_text(example)
    rules = read_rules(load(path).alerts.rules)

    assert [rule.name for rule in rules] == [
        *("server errors", "checkout fails", "no payments")
    ]


def test_its_numbers_are_those_of_the_code() -> None:
    """Where they can change."""
    assert f"ends after {IDLE_SECONDS:g} s without" in PAGE
    assert (DAYS, SLOT, FINE, OFTEN) == (7, 1_800, 6 * 3_600, 10)
    assert f"at least each {LATEST} s and at most each second" in PAGE
    assert SOONEST == 1


def test_the_control_socket_is_where_it_says() -> None:
    """Beside the database."""
    assert analyzer_endpoint_of("/a/b.db") == "ipc:///a/b.db.analyzer.control"
    assert "`<db_path>.analyzer.control`" in PAGE
