"""Rules from the section `redaction` of the settings, or from the same as a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from pipeline.errors import ConfigError
from pipeline.redaction.expression import ExpressionError, read_expression
from pipeline.redaction.pattern import Pattern
from pipeline.redaction.rules import DEFAULT, Rules
from pipeline.redaction.table import NAMES

PREFIX: Final = "PIPELINE_REDACTION__"
_LISTS: Final = ("fields", "except_fields", "except_rules")
_SWITCH: Final = "enabled"
_OFF: Final = frozenset({"false", "no", "off", "0"})


class Settings(Protocol):
    """The section `redaction`."""

    @property
    def enabled(self) -> bool:
        """Whether anything is masked."""

    @property
    def fields(self) -> Sequence[str]:
        """Keys whose values are masked."""

    @property
    def patterns(self) -> Sequence[Any]:
        """Forms that are masked: sections with name and expression."""

    @property
    def except_fields(self) -> Sequence[str]:
        """Keys whose values are left as they are."""

    @property
    def except_rules(self) -> Sequence[str]:
        """Names of the table's patterns that are not tried."""


def rules_of(settings: Settings) -> Rules | None:
    """The rules; None when nothing is masked. Raises ConfigError."""
    if not settings.enabled:
        return None
    given = [(each.name, each.expression) for each in settings.patterns]
    parts = (settings.fields, given, settings.except_fields, settings.except_rules)
    if not any(parts):
        return DEFAULT
    patterns = [
        pattern_of(*each, f"redaction.patterns[{number}]")
        for number, each in enumerate(given)
    ]
    return Rules(
        settings.fields, patterns, settings.except_fields, settings.except_rules
    )


def pattern_of(name: str, expression: str, at: str) -> Pattern:
    """A pattern of the settings; raises ConfigError."""
    try:
        read = read_expression(expression)
    except ExpressionError as error:
        raise ConfigError(f"{at}.expression", error.problem, error.expected) from None
    about = {"name": name, "hints": (), "expression": expression}
    return Pattern({**about, "keep": read.keeps})


def chosen(
    given: Rules | Mapping[str, Any] | None, environ: Mapping[str, str]
) -> Rules | None:
    """What a program has given; raises ConfigError.

    If it has given nothing, the environment may: PIPELINE_REDACTION__ENABLED, and lists
    with commas in __FIELDS, __EXCEPT_FIELDS and __EXCEPT_RULES.
    """
    if isinstance(given, Mapping):
        return _from_map(given)
    if given is not DEFAULT:
        return given
    found: dict[str, Any] = {}
    for name in _LISTS:
        text = environ.get(PREFIX + name.upper(), "")
        found[name] = [item.strip() for item in text.split(",") if item.strip()]
    is_off = environ.get(PREFIX + _SWITCH.upper(), "").lower() in _OFF
    return _from_map({**found, _SWITCH: not is_off})


def _from_map(given: Mapping[str, Any]) -> Rules | None:
    for name in given.keys() - {*_LISTS, _SWITCH, "patterns"}:
        expected = ", ".join((_SWITCH, "patterns", *_LISTS))
        raise ConfigError(f"redaction.{name}", "unknown key", expected)
    if given.get(_SWITCH, True) is False:
        return None
    lists = {name: _names(name, given.get(name, ())) for name in _LISTS}
    for name in lists["except_rules"]:
        if name not in NAMES:
            problem = f"{name!r} is no rule"
            raise ConfigError("redaction.except_rules", problem, ", ".join(NAMES))
    patterns = []
    for number, each in enumerate(given.get("patterns", ())):
        at = f"redaction.patterns[{number}]"
        if not isinstance(each, Mapping) or {*each} != {"name", "expression"}:
            raise ConfigError(at, f"{each!r}", "a map with name and expression")
        patterns.append(pattern_of(each["name"], each["expression"], at))
    if not (patterns or any(lists.values())):
        return DEFAULT
    return Rules(
        lists["fields"], patterns, lists["except_fields"], lists["except_rules"]
    )


def _names(key: str, given: object) -> Sequence[str]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise ConfigError(f"redaction.{key}", f"{given!r}", "a list of names")
    return [str(name) for name in given]
