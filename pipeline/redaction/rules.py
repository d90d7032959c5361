"""Which keys tell of secrets, and which forms: the table's, and those of the settings.

Names of keys are compared in lower case without - _ . and blanks, as a whole and behind
their last dot; what begins with an asterisk is compared with their ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from pipeline.redaction.pattern import Pattern
from pipeline.redaction.table import KEY_ENDINGS, KEYS, MASK, PATTERNS

__all__ = ["DEFAULT", "LONGEST", "MASK", "Rules"]

LONGEST: Final = 1_024
"""A cut leaves what is no secret any more only when this much more was looked at."""

SHORTEST: Final = 7
"""Characters of a text that may hold a secret: `token=x`."""

GROWN_BYTES: Final = 64 << 10
"""A text may grow by its masks to so many bytes, a longer one not at all."""

_ORDINARY: Final = (None, False)
_KNOWN_KEYS: Final = 4_096
_KEY_CHARACTERS: Final = 256
_BETWEEN: Final = str.maketrans("", "", "-_. \t")


class _Names:
    """Names of keys, whole ones and endings."""

    def __init__(self, whole: Iterable[str], endings: Iterable[str]) -> None:
        self._whole = frozenset(whole)
        self._endings = tuple(endings)

    @classmethod
    def of(cls, given: Iterable[str]) -> _Names:
        """From the settings: `*pin` is an ending."""
        names = [(name.startswith("*"), _plain(name.lstrip("*"))) for name in given]
        return cls(
            (name for is_ending, name in names if not is_ending and name),
            (name for is_ending, name in names if is_ending and name),
        )

    def match(self, key: str) -> str | None:
        """The name that a key has."""
        for name in (_plain(key), _plain(key.rpartition(".")[2])):
            if name in self._whole:
                return name
            for ending in self._endings:
                if name.endswith(ending):
                    return ending
        return None


def _plain(name: str) -> str:
    return name.lower().translate(_BETWEEN)


class Rules:
    """What is masked; several redactors may have the same."""

    def __init__(
        self,
        fields: Sequence[str] = (),
        patterns: Iterable[Pattern] = (),
        except_fields: Sequence[str] = (),
        except_rules: Sequence[str] = (),
    ) -> None:
        built_in = (Pattern(each) for each in PATTERNS)
        self.own = tuple(patterns)
        """Those of the settings."""

        self.patterns = (
            *(each for each in built_in if each.name not in except_rules),
            *self.own,
        )
        self._hidden = (_Names.of(fields), _Names(KEYS, KEY_ENDINGS))
        self._spared = _Names.of(except_fields)
        self._known: dict[str, tuple[str | None, bool]] = {}

    def hides(self, key: str) -> str | None:
        """The name by which a key's value is a secret; None if it is none."""
        return (self._known.get(key) or self._judge(key))[0]

    def spares(self, key: str) -> bool:
        """Whether a key's value is left as it is."""
        return (self._known.get(key) or self._judge(key))[1]

    def is_ordinary(self, key: object) -> bool:
        """Whether a key is neither."""
        verdict = self._known.get(key) if type(key) is str else (None, True)
        return (verdict or self._judge(str(key))) == _ORDINARY

    def masked(
        self,
        text: str,
        counts: Counter[str] | None = None,
        patterns: Sequence[Pattern] | None = None,
    ) -> str:
        """The text without what has the form of a secret; by default any."""
        if len(text) < SHORTEST:
            return text
        lower = text.lower()
        found = Counter[str]() if counts is None else counts
        whole = text
        for pattern in self.patterns if patterns is None else patterns:
            if pattern.may_be_in(lower):
                text = pattern.masked(text, found)
        return text if len(text) <= GROWN_BYTES // 4 else _bounded(text, whole)

    def _judge(self, key: str) -> tuple[str | None, bool]:
        name = key[:_KEY_CHARACTERS]
        spared = self._spared.match(name) is not None
        hidden = None
        if not spared:
            hidden = next(filter(None, (n.match(name) for n in self._hidden)), None)
        if len(self._known) >= _KNOWN_KEYS:
            self._known.clear()
        self._known[key] = hidden, spared
        return hidden, spared


def _bounded(text: str, whole: str) -> str:
    """The masked text, no longer than an entry may have it."""
    size = len(text.encode("utf-8", "surrogatepass"))
    most = max(GROWN_BYTES, len(whole.encode("utf-8", "surrogatepass")))
    if size <= most:
        return text
    return text.encode("utf-8", "surrogatepass")[:most].decode("utf-8", "ignore")


DEFAULT: Final = Rules()
"""Those of the table."""
