"""Alerts of your own: a filter of the query language, held against a number; pure.

Rules are checked when the configuration is read. Each is a question to the store that
is due again and again; what it answers becomes findings.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pipeline.analyzer.findings import EVERYWHERE, Counts, Event, Finding, State
from pipeline.errors import ConfigError
from pipeline.level import parse_level
from pipeline.query.reading import read_filter
from pipeline.query.requests import FieldError
from pipeline.settings.alerts import Rule as Given
from pipeline.timestamp import SECOND, format_timestamp

NAME: Final = "rule"

OFTEN: Final = 10
"""A rule is asked so many times in its window, within the two bounds below."""
SOONEST: Final = 1
LATEST: Final = 10

GROWTH: Final = 2
"""An open finding is repeated when its value is so many times what was said."""

_COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_WHEN: Final = re.compile(r"(count|error_rate) *(>=|<=|>|<) *([0-9.]+) *(%?)")


@dataclass(frozen=True, slots=True)
class Rule:
    """A checked rule; `threshold` of an error rate is a share, not a percentage."""

    name: str
    query: str
    measure: str
    comparison: str
    threshold: float
    window: int
    hold: int
    level: int

    @property
    def period(self) -> int:
        """Seconds from one question to the next."""
        return max(SOONEST, min(LATEST, self.window // OFTEN))

    def holds(self, value: float) -> bool:
        """Whether the alert's condition is met."""
        return _COMPARISONS[self.comparison](value, self.threshold)

    def said(self, value: float) -> str:
        """The number as people read it."""
        return f"{100 * value:.3g} %" if self.measure == "error_rate" else f"{value:g}"


class _Stats(msgspec.Struct):
    total_logs: int
    error_rate: float


def read_rules(given: Iterable[Given]) -> list[Rule]:
    """The rules of the settings; raises ConfigError, which names rule and key."""
    rules: list[Rule] = []
    for number, one in enumerate(given):
        rule = _read(one, f"alerts.rules[{number}]")
        if any(rule.name == other.name for other in rules):
            problem = f"two rules are called {rule.name!r}"
            raise ConfigError(f"alerts.rules[{number}].name", problem, "another name")
        rules.append(rule)
    return rules


def _read(given: Given, path: str) -> Rule:
    try:
        read_filter("query", given.query)
    except FieldError as error:
        shown = f"\n{error.caret}" if error.caret else ""
        problem = f"of rule {given.name!r}: {error.problem}{shown}\n"
        expected = error.hint or "a filter, as LANGUAGE.md has them"
        raise ConfigError(f"{path}.query", problem, expected) from None
    found = _WHEN.fullmatch(given.when)
    measure, comparison, number, percent = found.groups() if found else ("",) * 4
    if not measure or (percent and measure == "count"):
        problem = f"of rule {given.name!r}: {given.when!r} is no condition"
        raise ConfigError(f"{path}.when", problem, "like count > 50, error_rate > 5%")
    threshold = float(number) / (100 if percent else 1)
    return Rule(
        given.name,
        given.query or "*",
        measure,
        comparison,
        threshold,
        given.window,
        given.for_seconds,
        parse_level(given.level) or 0,
    )


@dataclass(slots=True)
class _Watched:
    rule: Rule
    due: float = 0.0
    asked: bool = False
    """An answer is on its way."""
    value: float | None = None
    holds_since: int | None = None
    open_since: int | None = None
    told: float = 0.0


class RuleDetector:
    """All rules: `due` are to be asked, `take` what was answered, then `evaluate`."""

    name = NAME

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._watched = {rule.name: _Watched(rule) for rule in rules}
        self._gone: list[_Watched] = []

    def configure(self, rules: Sequence[Rule]) -> None:
        """Other rules from now on; one that is unchanged goes on as it stands."""
        before, self._watched = self._watched, {}
        for rule in rules:
            old = before.get(rule.name)
            same = old is not None and old.rule == rule
            self._watched[rule.name] = old if old and same else _Watched(rule)
        kept = [id(one) for one in self._watched.values()]
        self._gone += [one for one in before.values() if id(one) not in kept]

    def due(self, now: float) -> list[Rule]:
        """The rules to be asked now; each until its answer came only once."""
        found = []
        for one in self._watched.values():
            if not one.asked and now >= one.due:
                one.asked, one.due = True, now + one.rule.period
                found.append(one.rule)
        return found

    def take(self, rule: Rule, body: bytes | None) -> None:
        """The answer; without one the rule is asked again in its turn."""
        one = self._watched.get(rule.name)
        if one is None or one.rule != rule:
            return
        one.asked = False
        if body is None:
            return
        stats = msgspec.json.decode(body, type=_Stats)
        is_count = rule.measure == "count"
        one.value = float(stats.total_logs) if is_count else stats.error_rate

    def observe_counts(self, counts: Counts, now: int) -> None:
        """Nothing: rules are questions to the store."""

    def observe_events(self, events: Sequence[Event], now: int) -> None:
        """Nothing, as above."""

    def evaluate(self, now: int) -> list[Finding]:
        """What has opened, closed or doubled."""
        gone, self._gone = self._gone, []
        over = [
            _finding(one.rule, State.CLOSED, one.told, one.open_since, now)
            for one in gone
            if one.open_since is not None
        ]
        found = [self._judge(one, now) for one in self._watched.values()]
        return over + [finding for finding in found if finding is not None]

    def _judge(self, one: _Watched, now: int) -> Finding | None:
        if one.value is None:
            return None
        rule, value = one.rule, one.value
        if not rule.holds(value):
            one.holds_since = None
            if one.open_since is None:
                return None
            since, one.open_since = one.open_since, None
            return _finding(rule, State.CLOSED, value, since, now)
        if one.holds_since is None:
            one.holds_since = now
        if now - one.holds_since < rule.hold:
            return None
        if one.open_since is not None and value < GROWTH * one.told:
            return None
        if one.open_since is None:
            one.open_since = one.holds_since - rule.window
        one.told = value
        return _finding(rule, State.OPEN, value, one.open_since, now)


def question(rule: Rule, now: float) -> dict[str, Any]:
    """The parameters of `get_stats` that tell how a rule stands."""
    end = int(now * SECOND)
    since = format_timestamp(end - rule.window * SECOND)
    return {"q": rule.query, "since": since, "until": format_timestamp(end)}


def _finding(rule: Rule, state: State, value: float, since: int, now: int) -> Finding:
    said = f"{rule.measure} of {rule.query} is {rule.said(value)} in {rule.window} s"
    limit = f"{rule.comparison} {rule.said(rule.threshold)}"
    return Finding(
        detector=NAME,
        source=EVERYWHERE,
        key=rule.name,
        state=state,
        at=now,
        since=since,
        value=value,
        baseline=None,
        threshold=rule.threshold,
        window=rule.window,
        text=f"{rule.name}: {said} ({limit})",
        query=rule.query,
        level=rule.level,
    )
