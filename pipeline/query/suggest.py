"""The known name that a misspelt one is nearest to."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

_LONGEST: Final = 64
"""Characters of a name that is compared: the comparison takes quadratic time."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is meant, if one is near; upper and lower case are alike."""
    if len(name) > _LONGEST:
        return None
    spelled = {candidate.lower(): candidate for candidate in known}
    found = get_close_matches(name.lower(), spelled, n=1)
    return spelled[found[0]] if found else None
