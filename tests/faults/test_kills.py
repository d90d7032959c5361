"""kill -9: nothing is lost, nothing is there twice, all is in order."""

from __future__ import annotations

import inspect

import pytest

from pipeline import Collector
from tests.faults.kills import ingester_kills, ingester_kills_control

has_spool = pytest.mark.skipif(
    "spool" not in inspect.signature(Collector).parameters, reason="no spool"
)


def test_a_killed_ingester_costs_nothing(tmp_path):
    """Three times at 100,000/s and three times flat out."""
    found = ingester_kills(tmp_path, long=False)

    assert found.holds, found
    assert found.runs == 6
    assert found.entries >= 600_000


def test_the_same_blows_do_harm(tmp_path):
    """To senders that push and forget; else the test above shows nothing."""
    found = ingester_kills_control(tmp_path, long=False)

    assert found.lost > 0, found
    assert (found.doubled, found.unknown) == (0, 0)
