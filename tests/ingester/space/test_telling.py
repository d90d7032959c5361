"""What is said of the disk."""

from __future__ import annotations

from pipeline.ingester.space.policy import MB, Marks, Stage
from pipeline.ingester.space.telling import TELL_SECONDS, Telling

MARKS = Marks(256 * MB, 16 * MB, 16 * MB)


def test_an_entry_says_what_happens_and_what_to_do():
    """For people, and in numbers."""
    entry = Telling().maybe_entry(Stage.FULL, 1_500_000, MARKS, 7, 0.0)

    assert entry == {
        "source": "pipeline",
        "level": "ERROR",
        "message": "the database's disk has 1.5 MB free: nothing is taken until it has"
        " 48.0 MB; senders hold their entries, queries go on; make room",
        "metadata": {
            "event": "disk",
            "stage": "full",
            "free_bytes": 1_500_000,
            "low_water_bytes": 256 * MB,
            "refused_entries": 7,
        },
    }


def test_a_disk_that_is_full_again_and_again_is_told_once_a_minute():
    """Each stage for itself."""
    telling = Telling()
    told = [
        telling.maybe_entry(stage, 0, MARKS, 0, now) is not None
        for now in (0.0, 1.0, TELL_SECONDS)
        for stage in (Stage.FULL, Stage.LOW)
    ]

    assert told == [True, True, False, False, True, True]
