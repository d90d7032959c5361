"""What people hold back is stored; what was open before a restart goes on."""

from __future__ import annotations

from dataclasses import replace

from pipeline.alerts import Acknowledgement
from tests.alerts.made import T0, at
from tests.analyzer.told import SPIKE, Told, kept, of, over, silence


def test_an_acknowledged_alert_sends_no_updates() -> None:
    """They are stored; the end is told."""
    told = Told()
    told.at(0, SPIKE)
    told.at(2)
    name = told.notices[0].alert.fingerprint
    assert told.book.acknowledge(name, Acknowledgement("ann", "", at(9)))

    assert told.at(400, replace(SPIKE, value=900.0)) == ["updated"]
    assert told.at(500, over(SPIKE)) == ["RESOLVED"]
    assert not told.book.acknowledge(name, Acknowledgement("ann", "", at(600)))


def test_a_silenced_alert_is_stored_and_not_sent() -> None:
    """When the silence ends and it is still open, it is told."""
    told = Told()
    told.book.silence([silence(1_000, source="web")])
    told.at(0, SPIKE)

    assert told.at(2) == ["opened"]
    assert told.at(999) == []
    assert told.at(1_000) == ["UPDATED"]
    assert told.at(1_100, over(SPIKE)) == ["RESOLVED"]


def test_an_acknowledged_alert_is_not_told_when_its_silence_ends() -> None:
    """Somebody has seen it."""
    told = Told()
    told.book.silence([silence(1_000, source="web")])
    told.at(0, SPIKE)
    told.at(2)
    (alert,) = told.book.alerts(T0 + 2.0)
    told.book.acknowledge(alert.fingerprint, Acknowledgement("ann", "", at(9)))

    assert told.at(1_000) == []
    assert told.at(1_100, over(SPIKE)) == ["resolved"]


def test_what_nobody_was_told_of_does_not_end_for_them() -> None:
    """It began and ended within its silence."""
    told = Told()
    told.book.silence([silence(1_000, detector="error_*")])
    told.at(0, SPIKE)

    assert told.at(2) == ["opened"]
    assert told.at(300, over(SPIKE)) == ["resolved"]


def test_who_was_told_of_the_beginning_is_told_of_the_end() -> None:
    """A silence in between does not leave an incident open elsewhere for ever."""
    told = Told()
    told.at(0, SPIKE)
    told.at(2)
    told.book.silence([silence(1_000, source="web")])

    assert told.at(400, replace(SPIKE, value=900.0)) == ["updated"]
    assert told.at(500, over(SPIKE)) == ["RESOLVED"]


def test_a_silence_of_one_source_does_not_hide_a_group() -> None:
    """Each open reason has to fit."""
    told = Told()
    told.book.silence([silence(1_000, source="s1")])
    told.at(0, *(of(f"s{number}") for number in range(6)))

    assert told.at(2) == ["OPENED"]


def test_after_a_restart_an_open_alert_goes_on() -> None:
    """What is found again opens nothing; its end is told."""
    before, after = Told(), Told()
    before.at(0, SPIKE)
    before.at(2)
    after.book.restore(kept(before), T0 + 50.0)

    assert after.at(51, SPIKE) == after.at(300) == []
    assert after.at(400, over(SPIKE)) == ["RESOLVED"]
    assert after.notices[0].alert.opened == at(2)


def test_after_a_restart_what_was_silenced_still_is_untold() -> None:
    """Its end is of no concern to channels."""
    before, after = Told(), Told()
    before.book.silence([silence(1_000, source="web")])
    before.at(0, SPIKE)
    before.at(2)
    after.book.restore(kept(before), T0 + 50.0)
    after.book.silence([silence(1_000, source="web")])

    assert after.at(60, over(SPIKE)) == ["resolved"]


def test_after_a_restart_a_group_has_all_its_sources_again() -> None:
    """Its entry names a hundred of them."""
    before, after = Told(), Told()
    many = [of(f"s{number}") for number in range(103)]
    before.at(0, *many)
    before.at(2)
    after.book.restore(kept(before), T0 + 50.0)
    after.at(60, *many)

    assert after.at(62) == []
    assert after.book.alerts(T0 + 62.0)[0].sources_total == 103


def test_after_a_restart_what_is_not_found_again_is_over() -> None:
    """Given the time that detectors need."""
    before, after = Told(), Told()
    before.at(0, SPIKE)
    before.at(2)
    after.book.restore(kept(before), T0 + 50.0)

    assert after.at(169) == []
    assert after.at(170) == ["RESOLVED"]


def test_a_restart_does_not_end_a_cool_down() -> None:
    """Nor is a group of 200 told again."""
    before, after = Told(), Told()
    many = [of(f"s{number}") for number in range(200)]
    before.at(0, SPIKE)
    before.at(2)
    before.at(10, over(SPIKE))
    before.at(20, *many)
    before.at(22)
    after.book.restore(kept(before), T0 + 50.0)

    assert after.at(60, SPIKE, *many) == ["updated"]
    assert after.at(62) == []
    assert after.at(90, *map(over, many)) == ["RESOLVED"]


def test_of_two_open_alerts_of_a_source_the_older_is_closed() -> None:
    """A store that says so was written by two analyzers, or by hand."""
    first, second, after = Told(), Told(), Told()
    first.at(0, SPIKE)
    first.at(2)
    second.at(10, replace(SPIKE, detector="latency"))
    second.at(12)
    after.book.restore([*kept(second), *kept(first)], T0 + 50.0)

    assert after.at(51) == ["RESOLVED"]
    assert after.notices[0].alert.detector == "error_spike"
