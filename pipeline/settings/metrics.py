"""The settings of what the pipeline measures of itself."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.settings.declare import setting


@dataclass(frozen=True, slots=True)
class Metrics:
    """What the pipeline measures of itself."""

    canary_seconds: float = setting(
        10.0,
        "How often an entry of source pipeline is followed from its log call until a"
        " question finds it; 0: never.",
        minimum=0.0,
        maximum=3600.0,
    )
