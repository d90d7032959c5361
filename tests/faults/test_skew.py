"""Other versions are refused by name or ignored; nothing is lost, nobody waits."""

from __future__ import annotations

from pathlib import Path

from pipeline.wire.frame import Acknowledgement
from tests.delivery.test_window import reply, sequences, window
from tests.faults.skew import (
    CASES,
    OLD_MARK,
    database_of_the_future,
    database_of_the_past,
    version_skew,
)


def test_senders_of_other_versions_harm_nobody(tmp_path: Path) -> None:
    """Each leaves the dead letter of its reason, or is stored."""
    found = version_skew(tmp_path, long=False)

    assert found.holds, found
    assert found.runs == len(CASES)


def test_a_database_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    """The ingester says which version it knows, and ends."""
    said = database_of_the_future(tmp_path)

    assert "version" in said
    assert "Traceback" not in said


def test_a_database_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    """With its marks, so that no sender begins anew."""
    assert database_of_the_past(tmp_path) == OLD_MARK


def test_an_acknowledgement_of_an_unknown_kind_gives_its_marks() -> None:
    """And nothing else."""
    made = window(1, 1)
    assert sequences(made) == [1, 2]
    unknown: Acknowledgement = reply(1, 2, kind=9)  # type: ignore[arg-type]

    assert made.acknowledge(unknown, 0)

    assert (made.durable, made.accepted) == (1, 2)
    assert sequences(made) == []
