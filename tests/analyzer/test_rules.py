"""Rules: what the configuration says, checked when it is read, and judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.analyzer.findings import State
from pipeline.analyzer.rules import Rule, RuleDetector, question, read_rules
from pipeline.errors import ConfigError
from pipeline.settings import load
from pipeline.settings.alerts import Rule as Given
from pipeline.timestamp import SECOND, parse_timestamp

NOW = 1_795_341_600
MANY = Given(name="5xx", query="status:>=500", when="count > 50", window=60)


def _read(given: Given) -> Rule:
    (rule,) = read_rules([given])
    return rule


def _answer(total: int, error_rate: float = 0.0) -> bytes:
    return json.dumps({"total_logs": total, "error_rate": error_rate}).encode()


def _states(detector: RuleDetector, rule: Rule, answer: bytes, now: int) -> list[State]:
    detector.take(rule, answer)
    return [finding.state for finding in detector.evaluate(now)]


def test_a_file_may_have_rules(tmp_path: Path) -> None:
    """A list of sections; `for` is a key as any other."""
    path = tmp_path / "pipeline.yaml"
    path.write_text(
        "alerts:\n  rules:\n    - {name: slow, query: 'duration_ms:>1000',"
        " when: count >= 5, window: 60, for: 30, level: WARN}\n"
    )
    rule = _read(load(path).alerts.rules[0])

    assert rule == Rule("slow", "duration_ms:>1000", "count", ">=", 5, 60, 30, 13)


@pytest.mark.parametrize(
    ("when", "measure", "comparison", "threshold"),
    [
        ("count > 50", "count", ">", 50),
        ("count<1", "count", "<", 1),
        ("error_rate > 5%", "error_rate", ">", 0.05),
        ("error_rate >= 2.5 %", "error_rate", ">=", 0.025),
        ("error_rate <= 0.5", "error_rate", "<=", 0.5),
    ],
)
def test_conditions(when: str, measure: str, comparison: str, threshold: float) -> None:
    """An error rate is a share, or with % a percentage."""
    rule = _read(Given(name="a", when=when))

    assert (rule.measure, rule.comparison) == (measure, comparison)
    assert rule.threshold == pytest.approx(threshold)
    assert rule.query == "*"


@pytest.mark.parametrize(
    ("given", "key", "said"),
    [
        (Given(name="a", query="x AND (", when="count > 1"), "query", r"rule 'a'.*\^"),
        (Given(name="a", query="x | top y", when="count > 1"), "query", "rule 'a'"),
        (Given(name="a", when="count > 5%"), "when", "rule 'a'"),
        (Given(name="a", when="rate > 5"), "when", "rule 'a'"),
    ],
)
def test_a_wrong_rule_is_refused(given: Given, key: str, said: str) -> None:
    """The error names rule and key, and shows where a query goes wrong."""
    with pytest.raises(ConfigError, match=rf"(?s)rules\[0\].{key}.*{said}"):
        read_rules([given])


def test_names_are_told_apart() -> None:
    """Two rules of one name would be one alert."""
    with pytest.raises(ConfigError, match="two rules are called '5xx'"):
        read_rules([MANY, MANY])


def test_a_rule_opens_and_closes() -> None:
    """Above the number, and at it no more."""
    rule = _read(MANY)
    detector = RuleDetector([rule])
    detector.take(rule, _answer(51))
    (finding,) = detector.evaluate(NOW)

    assert (finding.state, finding.value, finding.threshold) == (State.OPEN, 51, 50)
    assert (finding.query, finding.since) == ("status:>=500", NOW - 60)
    assert "count of status:>=500 is 51 in 60 s (> 50)" in finding.text
    assert _states(detector, rule, _answer(52), NOW + 1) == []
    assert _states(detector, rule, _answer(50), NOW + 2) == [State.CLOSED]


def test_an_error_rate_is_told_in_percent() -> None:
    """As the condition may be written."""
    rule = _read(Given(name="bad", when="error_rate > 5%"))
    detector = RuleDetector([rule])
    detector.take(rule, _answer(200, 0.25))
    (finding,) = detector.evaluate(NOW)

    assert "25 %" in finding.text
    assert "(> 5 %)" in finding.text


def test_for_asks_for_patience() -> None:
    """It has to be so for as long, without a break."""
    rule = _read(Given(name="a", when="count > 1", for_seconds=30))
    detector = RuleDetector([rule])

    assert _states(detector, rule, _answer(2), NOW) == []
    assert _states(detector, rule, _answer(1), NOW + 20) == []
    assert _states(detector, rule, _answer(2), NOW + 25) == []
    assert _states(detector, rule, _answer(2), NOW + 54) == []
    assert _states(detector, rule, _answer(2), NOW + 55) == [State.OPEN]


def test_a_rule_is_asked_in_its_turn() -> None:
    """Ten times in a window, once at a time, and again without an answer."""
    rule = _read(MANY)
    detector = RuleDetector([rule])

    assert detector.due(NOW) == [rule]
    assert detector.due(NOW + 100) == []
    detector.take(rule, None)
    assert detector.due(NOW + 5) == []
    assert detector.due(NOW + 6) == [rule]


def test_the_question_is_of_the_window() -> None:
    """Up to now."""
    asked = question(_read(MANY), NOW)

    assert asked["q"] == "status:>=500"
    moments = [parse_timestamp(asked[name], 0) for name in ("since", "until")]
    assert moments == [(NOW - 60) * SECOND, NOW * SECOND]


def test_an_answer_to_a_rule_that_was_changed_is_dropped() -> None:
    """It was asked of another question."""
    old, new = _read(MANY), _read(Given(name="5xx", when="count > 1"))
    detector = RuleDetector([old])
    detector.due(NOW)
    detector.configure([new])
    detector.take(old, _answer(1_000))

    assert detector.evaluate(NOW) == []


def test_what_is_no_longer_a_rule_is_over() -> None:
    """Its open finding closes."""
    rule = _read(MANY)
    detector = RuleDetector([rule])
    _states(detector, rule, _answer(51), NOW)
    detector.configure([])

    assert [one.state for one in detector.evaluate(NOW + 1)] == [State.CLOSED]
    assert detector.evaluate(NOW + 2) == []
