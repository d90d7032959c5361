"""Severity: one scale, one table of names and aliases; everybody reads levels here.

The scale is OpenTelemetry's severity number (1 to 24, four steps for each name), so
that numbers compare as severities do.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Level(IntEnum):
    """The six levels, each the first step of its name on OpenTelemetry's scale."""

    TRACE = 1
    DEBUG = 5
    INFO = 9
    WARN = 13
    ERROR = 17
    FATAL = 21


LEVEL_NAMES: Final[dict[int, str]] = {
    number: Level(1 + (number - 1) // 4 * 4).name for number in range(1, 25)
}
"""The name of every number of the scale; the steps between read as the name below."""

_ALIASES: Final = {
    # java.util.logging: finest and finer; Serilog, npm and Android: verbose
    Level.TRACE: "trace trc t finest finer verbose silly v",
    # PostgreSQL numbers its debug levels; fine and config are java.util.logging's
    Level.DEBUG: "debug dbg d fine config debug1 debug2 debug3 debug4 debug5",
    Level.INFO: "info inf i information informational notice note n log success",
    Level.WARN: "warn warning wrn w",
    Level.ERROR: "error err e eror severe failure",
    # what syslog, Python, Go and PHP call beyond an error
    Level.FATAL: "fatal ftl f critical crit c alert a emergency emerg panic dpanic",
}

_SYSLOG: Final = (
    *(Level.FATAL, Level.FATAL, Level.FATAL, Level.ERROR),
    *(Level.WARN, Level.INFO, Level.INFO, Level.DEBUG),
)
"""0 emergency, 1 alert, 2 critical, 3 error, 4 warning, 5 notice, 6 info, 7 debug."""

_PINO: Final = (
    *(Level.TRACE, Level.DEBUG, Level.INFO),
    *(Level.WARN, Level.ERROR, Level.FATAL),
)
"""10 to 60 in tens (bunyan's too); a custom level counts as the one below it."""

PINO_LOWEST: Final = 10
PINO_HIGHEST: Final = 60


def level_of_number(number: int) -> int | None:
    """Read a sender's number: 0 to 7 is syslog's severity, 10 to 60 is pino's."""
    if 0 <= number < len(_SYSLOG):
        return int(_SYSLOG[number])
    if PINO_LOWEST <= number <= PINO_HIGHEST:
        return int(_PINO[number // 10 - 1])
    return None


def _spellings() -> dict[str, int]:
    """All usual spellings of all names and numbers, so that one look-up finds them."""
    table: dict[str, int] = {}
    for level, aliases in _ALIASES.items():
        for alias in aliases.split():
            for spelling in (alias, alias.upper(), alias.capitalize()):
                table[spelling] = int(level)
    for number in range(PINO_HIGHEST + 1):
        value = level_of_number(number)
        if value is not None:
            table[str(number)] = value
    return table


_SPELLINGS: Final = _spellings()


def parse_level(value: object) -> int | None:
    """The level that a sender means by a name, an alias or a number; None if unknown.

    A `Level` is itself; any other number is read by `level_of_number`, because a
    sender that counts as OpenTelemetry does can't be told from one of syslog's.
    """
    if type(value) is str:
        found = _SPELLINGS.get(value)
        return found if found is not None else _SPELLINGS.get(value.strip().lower())
    if isinstance(value, Level):
        return int(value)
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return level_of_number(value)
    if isinstance(value, float) and value.is_integer():
        return level_of_number(int(value))
    return None
