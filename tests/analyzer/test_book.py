"""One alert for what goes wrong together, told once, and its end once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.alerts import to_entry
from pipeline.analyzer.findings import EVERYWHERE, Finding
from pipeline.entry import check_metadata
from pipeline.level import Level
from tests.alerts.made import T0, at
from tests.analyzer.told import SPIKE, Told, of, over


def test_a_burst_is_told_once_and_its_end_once() -> None:
    """After the time in which others may join it."""
    told = Told()

    assert told.at(0, SPIKE) == []
    assert told.at(1, SPIKE) == []
    assert told.at(2, SPIKE) == ["OPENED"]
    assert told.at(60, SPIKE) == []
    assert told.at(300, over(SPIKE)) == ["RESOLVED"]
    assert told.at(9_999, over(SPIKE)) == []


def test_a_burst_that_is_over_at_once_is_told_all_the_same() -> None:
    """Its end too."""
    told = Told()
    told.at(0, SPIKE, over(SPIKE))

    assert told.at(2) == ["OPENED", "RESOLVED"]


def test_an_end_without_a_beginning_is_nothing() -> None:
    """A detector that starts anew may say it."""
    told = Told()

    assert told.at(0, over(SPIKE)) == told.at(5) == []


def test_findings_of_one_source_are_one_alert() -> None:
    """Those within the wait and those that come later; it is over with the last."""
    told = Told()
    slow = replace(SPIKE, detector="latency", key="/pay", text="p95 of /pay is 900 ms")
    new = replace(SPIKE, detector="new_pattern", key="7f", text="never seen")
    told.at(0, SPIKE)
    told.at(1, slow)

    assert told.at(2) == ["OPENED"]
    assert told.at(30, new) == []
    assert told.at(40, over(SPIKE), over(slow)) == []
    assert told.at(50, over(new)) == ["RESOLVED"]
    reasons = told.notices[-1].alert.reasons
    assert [one.detector for one in reasons] == [
        "error_spike",
        "latency",
        "new_pattern",
    ]
    assert told.notices[0].alert.text == "20 errors of web in 300 s (+1 more)"


def test_an_alert_tells_what_the_finding_does() -> None:
    """What, where, since when, the numbers, and a question that shows it."""
    told = Told()
    told.at(0, SPIKE)
    told.at(2)
    alert = told.notices[0].alert

    assert (alert.sources, alert.detector, alert.text) == (
        ["web"],
        "error_spike",
        SPIKE.text,
    )
    assert (alert.value, alert.threshold, alert.window) == (20.0, 20.0, 300)
    assert (alert.since, alert.opened, alert.state) == (at(-5), at(2), "open")
    assert (alert.query, alert.query_since) == (SPIKE.query, at(-5))
    assert alert.query_until == at(3)


def test_the_end_still_tells_what_it_was() -> None:
    """Its numbers and its question, up to now; not those of the quiet after it."""
    told = Told()
    told.at(0, SPIKE)
    told.at(2)
    again = replace(SPIKE, value=25.0, text="25 errors of web", since=T0 + 30)
    told.at(30, again)
    told.at(300, replace(over(SPIKE), since=T0 + 300, text="0 errors of web"))
    alert = told.notices[-1].alert

    assert alert.text == "25 errors of web; over after 5 min"
    assert (alert.value, alert.since) == (25.0, at(-5))
    assert (alert.query_since, alert.query_until) == (at(-5), at(301))


def test_two_hundred_sources_that_fail_at_once_are_one_alert() -> None:
    """Also when they take a while to, which is told when it is four times as bad."""
    told = Told()
    many = [of(f"s{number}") for number in range(200)]
    told.at(0, *many[:10])
    assert told.at(2) == ["OPENED"]
    for second in range(3, 101):
        assert told.at(second, *many[10 : second * 2 + 6]) == []

    assert told.at(302) == ["UPDATED"]
    assert told.notices[-1].alert.sources_total == 200
    assert told.notices[-1].alert.detector == "group"
    assert told.at(400, *map(over, many)) == ["RESOLVED"]


def test_a_slow_storm_does_not_open_an_alert_for_each() -> None:
    """Two sources fail each second: five alerts, and one for all that follow."""
    told = Told()
    for second in range(60):
        told.at(second, of(f"a{second}"), of(f"b{second}"))

    assert len(told.notices) <= 6
    assert told.book.alerts(T0 + 60.0)[-1].sources_total > 100


def test_a_source_long_after_a_group_has_its_own_alert() -> None:
    """The group is still open, and has nothing to do with it."""
    told = Told()
    told.at(0, *(of(f"s{number}") for number in range(6)))
    told.at(2)
    told.at(600, SPIKE)

    assert told.at(602) == ["OPENED"]
    assert told.notices[-1].alert.sources == ["web"]


def test_five_sources_are_no_group() -> None:
    """The setting says how many; all of them together count as one."""
    told = Told()
    told.at(0, *(of(f"s{number}") for number in range(4)), of(EVERYWHERE))

    assert told.at(2) == ["OPENED"] * 5


def test_the_query_of_a_group_shows_all_of_it() -> None:
    """Any of its filters."""
    told = Told()
    told.at(0, *(of(f"s{number}") for number in range(6)))
    told.at(2)

    assert told.notices[0].alert.query.startswith("(source:s0) OR (source:s1) OR")


def test_there_is_one_group_at_a_time() -> None:
    """What comes back of one that is over joins the one that is open."""
    told = Told()
    first, second = ([of(f"{name}{n}") for n in range(6)] for name in "ab")
    told.at(0, *first)
    told.at(2)
    told.at(10, *map(over, first))
    told.at(20, *second)
    told.at(22)
    told.at(30, first[0])

    assert told.at(32) == []
    (alert,) = told.book.alerts(T0 + 32.0)
    assert alert.sources == ["b0", "b1", "b2", "b3", "b4", "b5", "a0"]


def test_what_comes_back_within_its_cool_down_is_not_told() -> None:
    """But kept; and told if it is there to stay."""
    told = Told()
    told.at(0, SPIKE)
    told.at(2)
    assert told.at(100, over(SPIKE)) == ["RESOLVED"]
    assert told.at(150, SPIKE) == ["updated"]
    assert told.at(160, over(SPIKE)) == ["resolved"]
    assert told.at(200, SPIKE) == ["updated"]

    assert told.at(399) == []
    assert told.at(400) == ["UPDATED"]
    assert told.at(500, over(SPIKE)) == ["RESOLVED"]


def test_after_the_cool_down_it_is_another_incident() -> None:
    """Of the same fingerprint."""
    told = Told()
    told.at(0, SPIKE)
    told.at(2)
    told.at(100, over(SPIKE))
    told.at(401, SPIKE)

    assert told.at(403) == ["OPENED"]
    assert len({one.alert.fingerprint for one in told.notices}) == 1


def test_another_trouble_of_that_source_does_not_wait() -> None:
    """The cool-down is of what is over."""
    told = Told()
    told.at(0, SPIKE)
    told.at(2)
    told.at(100, over(SPIKE))
    told.at(110, replace(SPIKE, detector="silent_source"))

    assert told.at(112) == ["OPENED"]


@pytest.mark.parametrize(
    ("worse", "news"),
    [
        (replace(SPIKE, value=79.0), []),
        (replace(SPIKE, value=80.0), ["UPDATED"]),
        (replace(SPIKE, level=Level.FATAL), ["UPDATED"]),
        (replace(SPIKE, detector="latency", level=Level.WARN), []),
    ],
)
def test_an_update_is_told_when_it_is_much_worse(
    worse: Finding, news: list[str]
) -> None:
    """Four times as much, or of a higher level; one in five minutes."""
    told = Told()
    told.at(0, SPIKE)
    told.at(2)

    assert told.at(301, worse) == []
    assert told.at(302) == news
    assert told.at(303, worse) == []


def test_a_rule_that_is_gone_closes_what_it_opened() -> None:
    """After a reload nobody would ever say that it is over."""
    told = Told()
    rule = replace(SPIKE, detector="rule", key="slow")
    told.at(0, rule)
    told.at(2)
    told.book.retire(lambda detector, key: (detector, key) != ("rule", "slow"), T0 + 9)

    assert told.at(10) == ["RESOLVED"]


def test_a_rule_that_goes_before_its_alert_opens_closes_it_too() -> None:
    """It was there: it is told with its end."""
    told = Told()
    told.at(0, replace(SPIKE, detector="rule", key="slow"))
    told.book.retire(lambda detector, _: detector != "rule", T0 + 1)

    assert told.at(2) == ["OPENED", "RESOLVED"]


def test_the_end_of_what_never_began_is_no_reason() -> None:
    """Nor does it end what is open."""
    told = Told()
    told.at(0, SPIKE, over(replace(SPIKE, detector="latency")))
    told.at(2)

    assert [one.detector for one in told.notices[0].alert.reasons] == ["error_spike"]


def test_a_level_that_was_told_is_no_news() -> None:
    """Though it was lower in between."""
    told = Told()
    fatal = replace(SPIKE, detector="rule", level=Level.FATAL)
    told.at(0, SPIKE, fatal)
    told.at(2)
    assert told.at(400, over(fatal), replace(SPIKE, value=90.0)) == ["UPDATED"]

    assert told.at(800, fatal) == []


def test_an_alert_is_named_for_its_first_reason_to_the_last() -> None:
    """Also when that is over, and there are more than can be held."""
    told = Told()
    other = replace(SPIKE, text="another")
    told.at(0, SPIKE, over(SPIKE), replace(other, key="0"))
    told.at(2)
    told.at(3, *(replace(other, key=str(number)) for number in range(2_000)))
    (alert,) = told.book.alerts(T0 + 3.0)

    assert alert.text.startswith("20 errors of web in 300 s (+")


def test_a_source_that_says_thousands_of_things_is_bounded() -> None:
    """In memory and in its entry."""
    told = Told()
    every = [replace(SPIKE, key=str(number)) for number in range(5_000)]
    told.at(0, *every)
    told.at(2)
    (alert,) = told.book.alerts(T0 + 2.0)

    assert len(alert.reasons) == 20
    assert alert.text.endswith("(+999 more)")


def test_the_longest_alert_fits_into_an_entry() -> None:
    """Of texts, keys and filters without any bound, in four-byte characters."""
    told = Told()
    long = "\N{FIRE}" * 100_000
    name = "\N{FIRE}" * 60
    made = replace(SPIKE, text=long, query=long[:999])
    told.at(
        0, *(replace(made, source=f"{name}{n}", key=f"{n}{long}") for n in range(200))
    )
    told.at(2)
    (opened,) = told.notices
    entry = to_entry(opened.kind, opened.alert, 0)

    check_metadata(entry.metadata or {})
    assert len(opened.alert.reasons) == 20


def test_infinite_numbers_are_not_told() -> None:
    """JSON has none."""
    told = Told()
    told.at(0, replace(SPIKE, value=float("inf"), baseline=float("nan")))
    told.at(2)

    assert told.notices[0].alert.value is told.notices[0].alert.baseline is None
    assert told.at(400) == []
