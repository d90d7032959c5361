"""Frozen and terminated processes: nothing is lost, nothing is there twice."""

from __future__ import annotations

from tests.faults.stops import freezes, ingester_terminations, pipeline_terminations


def test_a_frozen_process_keeps_no_other_from_its_work(tmp_path):
    """And is at work again once it is thawed."""
    found = freezes(tmp_path, long=False)

    assert found.holds, found
    assert found.runs == 4


def test_an_ingester_that_is_asked_to_end_hands_over(tmp_path):
    """To the next one, under load."""
    found = ingester_terminations(tmp_path, long=False)

    assert found.holds, found
    assert found.entries >= 300_000


def test_a_pipeline_that_is_asked_to_end_comes_back(tmp_path):
    """All of its processes, under load."""
    found = pipeline_terminations(tmp_path, long=False)

    assert found.holds, found
    assert found.entries >= 100_000
