"""What the rules of `storage.rules` ask the compaction worker to take out; pure.

The first rule that fits an entry is the one that counts for it. An entry goes with its
block's age, which is that of the block's newest commit, and once such entries are
REWRITE_SHARE of the block: to write a block anew costs as much as to make it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from pipeline.errors import ConfigError
from pipeline.ingester.retention.elapsed import DAY, SECOND
from pipeline.settings import Settings
from pipeline.settings.storage import RetentionRule

REWRITE_SHARE: Final = 0.2

_UNITS: Final = {"m": 60 * SECOND, "h": 3600 * SECOND, "d": DAY}


class Covering(Protocol):
    """What of a block counts here."""

    @property
    def last(self) -> int: ...


def check(settings: Settings) -> None:
    """Raise ConfigError for a rule that would do nothing, or everything."""
    rules, max_days = settings.storage.rules, settings.storage.max_days
    if rules and not settings.compaction.enabled:
        problem = "are carried out by compaction, and compaction.enabled is false"
        raise ConfigError("storage.rules", problem, "compaction.enabled: true")
    for place, rule in enumerate(rules):
        where = f"storage.rules[{place}]"
        if not (rule.source or rule.level):
            problem = "has neither source nor level, so it would fit every entry"
            raise ConfigError(where, problem, "one of them; for all: storage.max_days")
        if keep_ns(rule) >= max_days * DAY:
            problem = f"{rule.keep} is no shorter than storage.max_days ({max_days})"
            raise ConfigError(f"{where}.keep", problem, f"less than {max_days}d")


def keep_ns(rule: RetentionRule) -> int:
    """How long the entries of a rule stay."""
    return int(rule.keep[:-1]) * _UNITS[rule.keep[-1]]


def filters(rules: Sequence[RetentionRule]) -> list[str]:
    """The query of each rule: what it has, without what earlier ones have."""
    own = [_own(rule) for rule in rules]
    return [
        " ".join([text, *(f"-({earlier})" for earlier in own[:place])])
        for place, text in enumerate(own)
    ]


def _own(rule: RetentionRule) -> str:
    parts = []
    if rule.source:
        parts.append(f"source:{_source(rule.source)}")
    if rule.level:
        parts.append(f"level:{rule.level}")
    return " ".join(parts)


def _source(source: str) -> str:
    """A name as the query language has it; a star at its end stays one."""
    name = source.removesuffix("*")
    quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return quoted + "*" if name != source else "=" + quoted


def orders(
    rules: Sequence[RetentionRule], blocks: Sequence[Covering], ages: Sequence[int]
) -> list[dict[str, Any]]:
    """One order a rule whose time has come for a block: a query, and up to where."""
    found = []
    for rule, query in zip(rules, filters(rules), strict=True):
        keep = keep_ns(rule)
        old = [
            block.last for block, age in zip(blocks, ages, strict=True) if age > keep
        ]
        if old:
            found.append({"q": query, "up_to": max(old)})
    return found
