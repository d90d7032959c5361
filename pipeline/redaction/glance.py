"""Which forms of secrets many texts together may have: a few searches over all of them.

A text is joined of thousands, and nearly always there is nothing: what costs 1 ns a
byte here is 2 % of a log call. Hence bytes; one translation, in which letters are
small, colons are equals signs, digits, blanks, quotes and hyphens are zeros; and
searches that begin with a letter or sign that is rare, since those go by the first byte
only.
May say yes to what is nothing, never no to what is something: tests/redaction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from pipeline.redaction.pattern import Pattern, has_luhns_sum


def _folded(byte: int) -> int:
    sign = chr(byte)
    if sign.isdecimal() or sign in " \t\"'\\-":
        return ord("0")
    return ord("=" if sign == ":" else sign)


_FOLD: Final = bytes(
    _folded(byte) if byte < 128 else byte for byte in bytes(range(256)).lower()
)

_WORDS: Final = (
    *("password", "passwd", "passphrase", "secret", "token", "authorization", "cookie"),
    *(f"{kind}{sign}key" for kind in ("api", "access", "private") for sign in "_0"),
    *("apikey", "accesskey", "privatekey"),
)
_WIDEST_GAP: Final = 8
"""Backslashes, a quote and blanks that may stand before the sign."""


def _assigned(gap: int) -> str:
    """Behind so many blanks there is a word, or one more blank: see there."""
    after = "0" * gap + "="
    words = "|".join(f"(?<={word}{after})" for word in _WORDS)
    here = f"(?<=[eiorsw][detny]{after})(?:{words})"
    if gap == _WIDEST_GAP:
        return here
    return f"(?<=[detny0]{after})(?:{here}|(?<=0{after})(?:{_assigned(gap + 1)}))"


_ASSIGNED: Final = re.compile(f"=(?:{_assigned(0)})".encode())
_BEARER: Final = re.compile(rb"bearer")
_AWS: Final = re.compile(rb"IA(?<=A[KS]IA)")
_GITHUB: Final = re.compile(rb"gh[pousr]_")
_API_KEY: Final = re.compile(rb"k-(?<=sk-)")

_RUN: Final = re.compile(rb"0+")
_DIGITS: Final = b"0" * 15
"""What card numbers look like, in one piece and in groups. Dates that are followed by a
time come to 14."""


def _is_assigned(_: bytes, folded: bytes) -> bool:
    return b"=" in folded and _ASSIGNED.search(folded) is not None


def _may_have_card(raw: bytes, folded: bytes, card: re.Pattern[bytes]) -> bool:
    at = folded.find(_DIGITS)
    while at >= 0:
        run = _RUN.match(folded, at)
        assert run is not None
        end = run.end()
        for found in card.finditer(raw, at, end + 1):
            if has_luhns_sum(found[0].decode()):
                return True
        at = folded.find(_DIGITS, end)
    return False


Glance = Callable[[bytes, bytes], object]
"""Whether texts may have a form, from their bytes as they are and as translated."""

_GLANCES: Final[dict[str, Glance]] = {
    "private_key": lambda raw, _: b"V" in raw and b"PRIVATE KEY-----" in raw,
    "bearer": lambda _, folded: _BEARER.search(folded),
    "jwt": lambda raw, _: b"J" in raw and b"eyJ" in raw,
    "aws_key": lambda raw, _: b"I" in raw and _AWS.search(raw),
    "github_token": lambda raw, _: (
        b"_" in raw and (_GITHUB.search(raw) or b"github_pat_" in raw)
    ),
    "api_key": lambda raw, _: b"-" in raw and _API_KEY.search(raw),
    "url_password": lambda raw, _: b"@" in raw and b"://" in raw,
    "cookie": _is_assigned,
    "assignment": _is_assigned,
}


def _may_have_any(raw: bytes, folded: bytes) -> object:
    """As all of `_GLANCES` in one call: what a single row costs."""
    return (
        (b"=" in folded and _ASSIGNED.search(folded))
        or b"bearer" in folded
        or (b"J" in raw and b"eyJ" in raw)
        or (b"_" in raw and (_GITHUB.search(raw) or b"github_pat_" in raw))
        or (b"-" in raw and (b"sk-" in raw or b"PRIVATE KEY-----" in raw))
        or (b"@" in raw and b"://" in raw)
        or (b"I" in raw and _AWS.search(raw))
    )


def suspects(
    raw: bytes, patterns: Sequence[Pattern], own: Sequence[Pattern] = ()
) -> Sequence[Pattern]:
    """Those of the patterns that texts, one a line, may have.

    `own` are those among them that are the settings'.
    """
    folded = raw.translate(_FOLD)
    if not _may_have_any(raw, folded):
        if _DIGITS not in folded:
            return own
        cards = [each for each in patterns if each.is_card]
        return [
            *(each for each in cards if _may_have_card(raw, folded, each.in_bytes)),
            *own,
        ]
    seen: dict[Glance, object] = {}
    found = []
    for pattern in patterns:
        glance = _GLANCES.get(pattern.name)
        if glance is None:
            if not pattern.is_card or _may_have_card(raw, folded, pattern.in_bytes):
                found.append(pattern)
            continue
        if glance not in seen:
            seen[glance] = glance(raw, folded)
        if seen[glance]:
            found.append(pattern)
    return found
