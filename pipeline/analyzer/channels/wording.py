"""What people read of a notice: a title, a colour, and lines of plain text; pure."""

from __future__ import annotations

from typing import Final

from pipeline.alerts import Alert, Kind
from pipeline.alerts.model import cut
from pipeline.analyzer.book import Notice
from pipeline.entry import LEVEL_NAMES
from pipeline.level import Level

_VERBS: Final = {
    Kind.OPENED: "",
    Kind.UPDATED: "update: ",
    Kind.RESOLVED: "resolved: ",
}

_RED: Final = 0xD93025
_ORANGE: Final = 0xF29900
_GREEN: Final = 0x188038

TITLE_BYTES: Final = 200


def title(notice: Notice) -> str:
    """One line, without control characters."""
    said = "".join(c if c.isprintable() else " " for c in notice.alert.text)
    return cut(_VERBS.get(notice.kind, "") + said, TITLE_BYTES)


def severity(alert: Alert) -> str:
    """critical, error or warning: the names that Alertmanager's routes use."""
    if alert.level >= Level.FATAL:
        return "critical"
    return "error" if alert.level >= Level.ERROR else "warning"


def colour(notice: Notice) -> int:
    """Red, orange or green, as 0xRRGGBB."""
    if notice.kind is Kind.RESOLVED:
        return _GREEN
    return _RED if notice.alert.level >= Level.ERROR else _ORANGE


def lines(notice: Notice) -> list[str]:
    """What, where, since when, against which numbers, and how to see it."""
    alert = notice.alert
    found = [
        f"sources: {sources(alert)}",
        f"level: {LEVEL_NAMES.get(alert.level, str(alert.level))}",
        f"since: {alert.since}",
    ]
    numbers = (
        ("value", alert.value),
        ("baseline", alert.baseline),
        ("threshold", alert.threshold),
    )
    told = [f"{name} {value:g}" for name, value in numbers if value is not None]
    if told:
        found.append(", ".join(told) + f" in {alert.window} s")
    found += [f"also: {one.text}" for one in alert.reasons[1:]]
    found += [f"{one.count} × {one.pattern}" for one in alert.patterns]
    found += [f"{one.timestamp} {one.source}: {one.message}" for one in alert.samples]
    found.append(f"query: {alert.query}")
    found.append(f"from {alert.query_since} until {alert.query_until}")
    found.append(f"fingerprint: {alert.fingerprint}")
    return found


def sources(alert: Alert) -> str:
    """The first few, and how many more there are."""
    named = [one or "all together" for one in alert.sources[:10]]
    more = alert.sources_total - len(named)
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")
