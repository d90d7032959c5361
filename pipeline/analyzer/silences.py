"""The silences of the configuration; people's own are entries, which outlive it."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.alerts import Matcher, Silence
from pipeline.errors import ConfigError, EntryError
from pipeline.settings.alerts import Silenced
from pipeline.timestamp import format_timestamp, parse_timestamp


def read_silences(given: Iterable[Silenced]) -> tuple[Silence, ...]:
    """As the book has them; raises ConfigError, which names the key."""
    return tuple(
        _read(one, f"alerts.silences[{number}]") for number, one in enumerate(given)
    )


def _read(given: Silenced, path: str) -> Silence:
    if not (given.source or given.detector or given.fingerprint):
        expected = (
            'at least one of source, detector and fingerprint; source: "*" is all'
        )
        raise ConfigError(path, "fits nothing", expected)
    try:
        until = format_timestamp(parse_timestamp(given.until, 0))
    except EntryError as error:
        raise ConfigError(f"{path}.until", error.problem, error.expected) from None
    matcher = Matcher(
        source=given.source or None,
        detector=given.detector or None,
        fingerprint=given.fingerprint or None,
    )
    return Silence(
        id=matcher.id,
        matcher=matcher,
        until=until,
        by="configuration",
        comment=given.comment,
        at=until,
    )
