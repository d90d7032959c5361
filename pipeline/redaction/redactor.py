"""Columns and rows without secrets; counts what it masked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import Any, Final

from pipeline.limits import NESTING
from pipeline.redaction.glance import suspects
from pipeline.redaction.pattern import Pattern
from pipeline.redaction.rules import MASK, SHORTEST, Rules

_PLAIN: Final = frozenset({int, float, bool, type(None), bytes})

Row = tuple[int, str, int, str, dict[str, Any] | None, Sequence[str] | None, str | None]


class Redactor:
    """Masks for one thread; values that need nothing come back as they are."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.counts: Counter[str] = Counter()
        """Secrets that were masked, by the rule."""

    def twin(self) -> Redactor:
        """One with the same rules, for another thread."""
        return Redactor(self._rules)

    @property
    def told(self) -> str:
        """The counts, for an operator."""
        found = [f"{count} by {rule}" for rule, count in self.counts.items()]
        return "masked: " + (", ".join(found) or "nothing")

    # columns

    def texts(self, values: Sequence[str]) -> Sequence[str]:
        """Texts without what has the form of a secret."""
        joined = "\n".join(values)
        found = self.suspects(joined.encode("utf-8", "surrogatepass"))
        return self.masked(values, found) if found else values

    def suspects(self, joined: bytes) -> Sequence[Pattern]:
        """The patterns that texts, one a line, may have; none: they surely have not."""
        if len(joined) < SHORTEST:
            return []
        return suspects(joined, self._rules.patterns, self._rules.own)

    def are_clean(self, texts: Iterable[str]) -> bool:
        """Whether none of the texts can have a secret."""
        return not self.suspects("\n".join(texts).encode("utf-8", "surrogatepass"))

    def masked(self, values: Sequence[str], found: Sequence[Pattern]) -> list[str]:
        """Texts without what has one of these forms."""
        masked, counts = self._rules.masked, self.counts
        return [masked(value, counts, found) for value in values]

    def looks_at(self, key: str) -> bool:
        """Whether a key tells nothing: then its values are looked at."""
        return self._rules.is_ordinary(key)

    def hides(self, key: str) -> bool:
        """Whether the values of a key are secrets."""
        return self._rules.hides(key) is not None

    def spares(self, key: str) -> bool:
        """Whether the values of a key are left as they are."""
        return self._rules.spares(key)

    def hidden(self, key: str, values: Sequence[Any]) -> list[Any]:
        """The values of a telling key: masks, where there is something."""
        return [self._hidden(key, value) for value in values]

    def values(self, values: Sequence[Any]) -> Sequence[Any]:
        """Values of any kinds without secrets."""
        texts: list[str] = []
        if not self._is_telling(values, texts, NESTING) and self.are_clean(texts):
            return values
        return [self._value(value, NESTING) for value in values]

    # rows

    def row(self, row: Row) -> Row:
        """One entry without secrets."""
        time, source, level, message, metadata, tags, trace_id = row
        texts = [message, *(tags or ())]
        is_telling = bool(metadata) and self._is_telling((metadata,), texts, NESTING)
        if not is_telling and self.are_clean(texts):
            return row
        (message,) = self.texts((message,))
        if metadata:
            metadata = self._map(metadata, NESTING)
        if tags:
            tags = list(self.texts(tags))
        return time, source, level, message, metadata, tags, trace_id

    # values

    def _is_telling(
        self, values: Collection[Any], texts: list[str], depth: int
    ) -> bool:
        """Whether a key or kind below tells something; if not, `texts` has all."""
        if set(map(type, values)) == {list}:
            values = list(chain.from_iterable(values))
            if set(map(type, values)) == {str}:
                texts += values
                return False
        for value in values:
            kind = type(value)
            if kind is str:
                texts.append(value)
            elif kind is dict or kind is list or kind is tuple:
                if kind is dict and not all(map(self._rules.is_ordinary, value)):
                    return True
                inner = value.values() if kind is dict else value
                if depth and self._is_telling(inner, texts, depth - 1):
                    return True
            elif kind not in _PLAIN:
                return True
        return False

    def _hidden(self, key: str, value: Any) -> Any:
        if value is None or value == MASK:
            return value
        self.counts[self._rules.hides(key) or key] += 1
        return MASK

    def _value(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in _PLAIN or isinstance(value, int | float | bytes):
            return value
        if isinstance(value, str):
            # that of an enumeration has a name where others have their text
            text = value if kind is str else str.__str__(value)
            return self._rules.masked(text, self.counts)
        if isinstance(value, dict):
            return self._map(value, depth - 1) if depth else value
        if isinstance(value, list | tuple):
            # deeper than an entry may be: whoever packs it says so
            return [self._value(each, depth - 1) for each in value] if depth else value
        try:
            text = str(value)
        except Exception:  # noqa: BLE001 - any object may raise; whoever packs it says so
            return value
        return self._rules.masked(text, self.counts)

    def _map(self, fields: dict[Any, Any], depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, value in fields.items():
            name = key if type(key) is str else str(key)
            if self._rules.hides(name) is not None:
                made[key] = self._hidden(name, value)
            elif self._rules.spares(name):
                made[key] = value
            else:
                made[key] = self._value(value, depth)
        return made
