"""The settings of detectors: which watch, and what is too much for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.settings.declare import listed, setting


@dataclass(frozen=True, slots=True)
class SourceThreshold:
    """A source's own threshold of errors within the window of error spikes."""

    source: str = setting(
        "",
        "Its name; empty: all those together that have no threshold of their own.",
        example="batch-import",
    )
    threshold: int = setting(0, "Errors; 0: it is not watched.", minimum=0)


@dataclass(frozen=True, slots=True)
class AdaptiveSpike:
    """Entries of a source and level, against what is usual at this time of day."""

    enabled: bool = setting(True, "Whether it watches.")
    level: str = setting(
        "WARN",
        "The lowest level that is watched.",
        choices=("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"),
    )
    factor: float = setting(
        2.0, "How many times the usual it has to be.", minimum=1.1, maximum=1000
    )
    minimum: int = setting(10, "Entries that there have to be.", minimum=1)
    one_in: int = setting(
        3_000_000,
        "Looks of which chance makes one a false alarm; there is one each second.",
        minimum=10,
    )


@dataclass(frozen=True, slots=True)
class NewPattern:
    """Messages of a shape that was never there before."""

    enabled: bool = setting(True, "Whether it watches.")
    level: str = setting(
        "WARN", "The lowest level that is watched.", choices=("WARN", "ERROR", "FATAL")
    )
    minimum: int = setting(1, "Entries of it that there have to be.", minimum=1)
    learning_seconds: int = setting(
        3600,
        "Age of the store's oldest pattern before which nothing is new.",
        minimum=0,
    )


@dataclass(frozen=True, slots=True)
class VanishedPattern:
    """Messages at WARN and above that came steadily and no longer do."""

    enabled: bool = setting(True, "Whether it watches.")
    floor_seconds: int = setting(3600, "Shorter gaps are none.", minimum=60)


@dataclass(frozen=True, slots=True)
class SilentSource:
    """Sources that stopped."""

    enabled: bool = setting(True, "Whether it watches.")
    factor: float = setting(
        5.0, "How many times its longest usual gap.", minimum=1.1, maximum=1000
    )
    floor_seconds: int = setting(30, "Shorter gaps are none.", minimum=1)


@dataclass(frozen=True, slots=True)
class Latency:
    """The 95th percentile of duration_ms by source and path, against what is usual."""

    enabled: bool = setting(True, "Whether it watches.")
    factor: float = setting(
        1.5, "How many times the usual it has to be.", minimum=1.1, maximum=1000
    )
    minimum: int = setting(20, "Durations that there have to be.", minimum=1)


@dataclass(frozen=True, slots=True)
class PluggedDetector:
    """A detector of your own (pipeline/analyzer/detectors/plugins.py)."""

    path: str = setting(
        "",
        "Its class.",
        name="class",
        pattern=r"^[\w.]+(:[\w.]+)?$",
        example="package.module:Class",
        required=True,
    )
    options: Mapping[str, Any] = field(
        default_factory=dict, metadata={"meaning": "Arguments of the class, by name."}
    )


@dataclass(frozen=True, slots=True)
class Detectors:
    """What is watched beside error spikes and rules."""

    adaptive_spike: AdaptiveSpike = field(default_factory=AdaptiveSpike)
    new_pattern: NewPattern = field(default_factory=NewPattern)
    vanished_pattern: VanishedPattern = field(default_factory=VanishedPattern)
    silent_source: SilentSource = field(default_factory=SilentSource)
    latency: Latency = field(default_factory=Latency)
    plugins: tuple[PluggedDetector, ...] = listed(
        PluggedDetector, "Detectors of your own: a list of sections."
    )
