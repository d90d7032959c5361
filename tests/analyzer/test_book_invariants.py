"""Whatever detectors say and people do, the book of alerts keeps its promises."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.alerts import Acknowledgement, Alert, Matcher, Silence, fold, to_entry
from pipeline.analyzer.book import UPDATE_SECONDS, Book, Notice, Policy
from pipeline.analyzer.findings import Finding, State
from pipeline.timestamp import SECOND
from tests.alerts.made import T0, at

SOURCES = [f"s{number}" for number in range(8)]
FINDINGS = st.builds(
    Finding,
    detector=st.sampled_from(["error_spike", "latency"]),
    source=st.sampled_from(SOURCES),
    key=st.sampled_from(["", "k"]),
    state=st.sampled_from([State.OPEN, State.OPEN, State.CLOSED]),
    at=st.just(T0),
    since=st.just(T0),
    value=st.sampled_from([1.0, 5.0, 100.0, float("inf")]),
    baseline=st.none(),
    threshold=st.just(1.0),
    window=st.just(300),
    text=st.just("trouble"),
    query=st.sampled_from(["", "level:error"]),
    level=st.sampled_from([13, 17, 21]),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("find"), st.lists(FINDINGS, max_size=9)),
        st.tuples(st.just("wait"), st.sampled_from([1, 2, 30, 61, 299, 301])),
        st.tuples(st.just("silence"), st.sampled_from(SOURCES)),
        st.tuples(st.just("acknowledge"), st.none()),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=40,
)
POLICY = Policy(group_wait=2.0, group_sources=3, cooldown=300.0)


class Run:
    """A book that is played some steps, and what it told."""

    def __init__(self, steps: list[tuple[str, object]]) -> None:
        self.now = 0
        self.book = Book(POLICY)
        self.silences: list[Silence] = []
        self.notices: list[Notice] = []
        self.most_open = 0
        for name, value in steps:
            getattr(self, name)(value)
            self._tick()

    def find(self, findings: list[Finding]) -> None:
        """Detectors say something."""
        self.book.take(findings, T0 + self.now)

    def wait(self, seconds: int) -> None:
        """Time goes by, looked at each second for a while."""
        for _ in range(min(seconds, 5)):
            self.now += 1
            self._tick()
        self.now += max(0, seconds - 5)

    def silence(self, source: str) -> None:
        """Somebody silences a source for a while."""
        matcher = Matcher(source=source)
        made = Silence(
            id=matcher.id,
            matcher=matcher,
            until=at(self.now + 100),
            by="ann",
            comment="",
            at=at(self.now),
        )
        self.silences.append(made)
        self.book.silence(self.silences)

    def acknowledge(self, _: None) -> None:
        """Somebody has seen what is open."""
        for alert in self.book.alerts(T0 + self.now):
            seen = Acknowledgement("ann", "", at(self.now))
            self.book.acknowledge(alert.fingerprint, seen)

    def restart(self, _: None) -> None:
        """Another analyzer goes on from what is stored."""
        self.book = Book(POLICY)
        self.book.restore(self.stored(), T0 + self.now)
        self.book.silence(self.silences)

    def stored(self) -> list[Alert]:
        """The alerts that the events come to."""
        entries = [to_entry(n.kind, n.alert, int(n.at * SECOND)) for n in self.notices]
        folded = fold(entry.metadata or {} for entry in entries)
        assert folded.malformed == 0
        return folded.alerts

    def _tick(self) -> None:
        self.notices += self.book.tick(T0 + self.now)
        open_now = self.book.alerts(T0 + self.now)
        covered = [source for alert in open_now for source in _open_sources(alert)]
        assert len(covered) == len(set(covered)), "two open alerts of a source"
        names = [alert.fingerprint for alert in open_now]
        assert len(names) == len(set(names)), "two open alerts of a fingerprint"

    def end(self) -> None:
        """Everything closes, and time goes by."""
        every = [
            Finding(d, s, k, State.CLOSED, T0, T0, 0.0, None, 1.0, 300, "trouble", "")
            for d in ("error_spike", "latency")
            for s in SOURCES
            for k in ("", "k")
        ]
        self.find(every)
        self.wait(5)
        self.now += 1_000
        self._tick()


def _open_sources(alert: Alert) -> set[str]:
    return {one.source for one in alert.reasons if one.open}


def _incidents(notices: list[Notice]) -> dict[tuple[str, str], list[Notice]]:
    found: dict[tuple[str, str], list[Notice]] = defaultdict(list)
    for notice in notices:
        found[notice.alert.fingerprint, notice.alert.opened].append(notice)
    return found


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_each_alert_opens_once_and_its_end_is_the_last_word(steps):
    """Opened first and once; resolved only when open; at the end all are over."""
    run = Run(steps)
    run.end()

    for told in _incidents(run.notices).values():
        kinds = [str(one.kind) for one in told]
        assert kinds[0] == "opened"
        assert kinds.count("opened") == 1
        assert kinds[-1] == "resolved"
        assert ("resolved", "resolved") not in pairwise(kinds)
    assert run.book.alerts(T0 + run.now) == []
    assert all(alert.state == "resolved" for alert in run.stored())


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_who_is_told_is_told_of_an_end_once_for_each_beginning(steps):
    """Of what is sent: it opens or goes on, then it ends; nothing ends unopened."""
    run = Run(steps)
    run.end()

    for told in _incidents(run.notices).values():
        believed = False
        for notice in told:
            if not notice.send:
                continue
            if notice.kind == "resolved":
                assert believed, "an end of what nobody was told of"
            believed = notice.kind != "resolved"
        assert not believed, "nobody was told of the end"


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_silences_hide_nothing_from_the_store(steps):
    """The same steps without silences and restarts store the same openings."""
    plain = [step for step in steps if step[0] not in ("silence", "restart")]
    silent = [step for step in steps if step[0] != "restart"]

    def openings(run: Run) -> list[tuple[str, str]]:
        return [
            (n.alert.fingerprint, n.alert.opened)
            for n in run.notices
            if n.kind == "opened"
        ]

    assert openings(Run(silent)) == openings(Run(plain))


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_no_source_is_lost(steps):
    """Each that has an open finding is in an open alert, once its wait is over."""
    run = Run([step for step in steps if step[0] != "restart"])
    run.wait(3)
    open_keys = set()
    for name, value in steps:
        for one in value if name == "find" else ():
            key = one.detector, one.source, one.key
            (open_keys.add if one.state is State.OPEN else open_keys.discard)(key)
    shown = {
        (one.detector, one.source, one.key)
        for alert in run.book.alerts(T0 + run.now)
        for one in alert.reasons
        if one.open
    }

    assert {key[1] for key in shown} == {key[1] for key in open_keys}


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_updates_of_worse_numbers_keep_their_distance(steps):
    """Of what channels were told to be open, one in five minutes."""
    run = Run([step for step in steps if step[0] != "restart"])

    for told in _incidents(run.notices).values():
        for before, after in pairwise(told):
            if before.send and after.kind == "updated" and before.kind == "opened":
                assert after.at - before.at >= UPDATE_SECONDS


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 3), st.integers(20, 200))
def test_no_storm(each_second, sources):
    """However fast or slowly many sources fail, a few alerts are told."""
    book, told = Book(), []
    made = Finding(
        "error_spike", "", "", State.OPEN, T0, T0, 20.0, None, 20.0, 300, "t", "q"
    )
    failing = [replace(made, source=f"s{number}") for number in range(sources)]
    for second in range(sources // each_second + 5):
        some = failing[second * each_second : (second + 1) * each_second]
        book.take(some, T0 + second)
        told += book.tick(T0 + second)

    assert sum(notice.kind == "opened" for notice in told) <= 6
