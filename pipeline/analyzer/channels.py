"""Where alerts go: the console, which is one line on stderr for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from pipeline.analyzer.spikes import Finding
from pipeline.errors import ConfigError
from pipeline.service import say

Channel = Callable[[Finding], None]


def _console(finding: Finding) -> None:
    say(f"alert: {finding}")


CHANNELS: Final[dict[str, Channel]] = {"console": _console}


def channels_of(names: Iterable[str]) -> list[Channel]:
    """The channels with these names; raises ConfigError for one that there isn't."""
    found: list[Channel] = []
    for name in names:
        channel = CHANNELS.get(name)
        if channel is None:
            expected = ", ".join(CHANNELS)
            raise ConfigError("alerts.channels", f"no channel {name!r}", expected)
        found.append(channel)
    return found
