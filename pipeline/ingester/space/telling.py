"""What is said of the disk, as entries of source `pipeline`; pure."""

from __future__ import annotations

from typing import Any, Final

from pipeline.ingester.space.policy import MB, Marks, Stage

TELL_SECONDS: Final = 60.0
"""Between two entries of the same stage: a disk may be full many times a minute."""

SOURCE: Final = "pipeline"

_LEVELS: Final = {Stage.PLENTY: "INFO", Stage.LOW: "WARN", Stage.FULL: "ERROR"}


class Telling:
    """What was told when."""

    def __init__(self) -> None:
        self._told: dict[Stage, float] = {}

    def maybe_entry(
        self, stage: Stage, free: int, marks: Marks, refused: int, now: float
    ) -> dict[str, Any] | None:
        """Of a stage that has begun, unless one like it was told a moment ago."""
        told = self._told.get(stage)
        if told is not None and now - told < TELL_SECONDS:
            return None
        self._told[stage] = now
        return {
            "source": SOURCE,
            "level": _LEVELS[stage],
            "message": text_of(stage, free, marks),
            "metadata": {
                "event": "disk",
                "stage": stage.value,
                "free_bytes": free,
                "low_water_bytes": marks.low,
                "refused_entries": refused,
            },
        }


def text_of(stage: Stage, free: int, marks: Marks) -> str:
    """One line for people, with what is to be done."""
    there = f"the database's disk has {free / MB:,.1f} MB free"
    if stage is Stage.PLENTY:
        return f"{there}: enough again"
    if stage is Stage.LOW:
        return (
            f"{there}, less than {marks.low / MB:,.1f} MB (storage.low_water_mb):"
            " DEBUG entries go first, then older ones; make room to keep them"
        )
    return (
        f"{there}: nothing is taken until it has {marks.resume / MB:,.1f} MB;"
        " senders hold their entries, queries go on; make room"
    )
