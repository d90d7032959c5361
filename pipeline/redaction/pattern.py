"""One form that secrets have in texts, and what takes its place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

from pipeline.redaction.table import MASK

_DIGITS: Final = re.compile(r"\D", re.ASCII)


class Pattern:
    """A rule by form; its expression is compiled when a text has a hint of it."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        """`given` is one of `patterns` in redaction.json."""
        self.name: str = given["name"]
        self.hints: tuple[str, ...] = tuple(given["hints"])
        """In lower case: a text without any of them needs no look."""

        self._text: str = given["expression"]
        self._ignores_case = bool(given.get("ignore_case"))
        self._keeps = bool(given.get("keep"))
        self.is_card = given.get("check") == "luhn"
        """Whether Luhn's sum decides, too."""

    @cached_property
    def expression(self) -> re.Pattern[str]:
        """As JavaScript would understand it."""
        flags = re.ASCII | (re.IGNORECASE if self._ignores_case else re.NOFLAG)
        return re.compile(self._text, flags)

    @cached_property
    def in_bytes(self) -> re.Pattern[bytes]:
        """The same for bytes."""
        return re.compile(self._text.encode())

    def may_be_in(self, lower: str) -> bool:
        """Whether a text, in lower case, is worth a look."""
        return not self.hints or any(hint in lower for hint in self.hints)

    def masked(self, text: str, counts: Counter[str]) -> str:
        """The text without what has this form, which is counted by its name."""
        if self.is_card:
            return self._without_cards(text, counts)
        replacement = rf"\1{MASK}" if self._keeps else MASK
        text, found = self.expression.subn(replacement, text)
        if found:
            counts[self.name] += found
        return text

    def _without_cards(self, text: str, counts: Counter[str]) -> str:
        def replaced(found: re.Match[str]) -> str:
            if not has_luhns_sum(found[0]):
                return found[0]
            counts[self.name] += 1
            return MASK

        return self.expression.sub(replaced, text)


def has_luhns_sum(text: str) -> bool:
    """Whether the digits have the sum that Luhn gave to card numbers."""
    digits = [int(each) for each in _DIGITS.sub("", text)]
    doubled = (sum(divmod(each * 2, 10)) for each in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
