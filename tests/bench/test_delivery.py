"""The bench of delivery: both ways store all of it, and every call has its time."""

from __future__ import annotations

from pathlib import Path

from bench.delivery import ACKNOWLEDGED, FORGOTTEN, durable, ratio, throughput


def test_both_ways_are_measured(tmp_path: Path) -> None:
    """Until all is stored; `throughput` fails when some of it never is."""
    found = throughput(5_000, 1, tmp_path)

    assert [load.rows for load in found[ACKNOWLEDGED]] == [5_000]
    assert [load.rows for load in found[FORGOTTEN]] == [5_000]
    assert ratio(found) > 0


def test_every_call_has_its_time(tmp_path: Path) -> None:
    """From log() to its acknowledgement."""
    times = durable(1_000, 0.5, tmp_path)

    assert len(times) == 500
    assert min(times) > 0
