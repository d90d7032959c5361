"""kill -9: nothing is lost, nothing is there twice, all is in order."""

from __future__ import annotations

from tests.faults.kills import (
    collector_kills,
    ingester_kills,
    ingester_kills_control,
    kills_of_both,
    kills_of_families,
    kills_of_the_full,
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


def test_a_killed_service_costs_nothing_that_it_was_told_is_accepted(tmp_path):
    """With a spool for every entry: its next life sends what this one could not."""
    found = collector_kills(tmp_path, long=False)

    assert found.holds, found
    assert found.runs == 3


def test_services_and_ingester_may_die_together(tmp_path):
    """At the same moment."""
    found = kills_of_both(tmp_path, long=False)

    assert found.holds, found
    assert found.entries >= 20_000


def test_a_service_may_die_with_its_children(tmp_path):
    """Forked by multiprocessing from a collector in use; each has its own spool."""
    found = kills_of_families(tmp_path, long=False)

    assert found.holds, found
    assert found.runs == 2


def test_what_a_call_has_returned_for_is_on_disk_when_the_spool_is_full(tmp_path):
    """Also when another thread's call waits for room meanwhile."""
    found = kills_of_the_full(tmp_path, long=False)

    assert found.holds, found
    assert found.entries >= 20_000
