"""Evidence: notices wait for it in their order, and never for long."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pipeline.alerts import Kind
from pipeline.analyzer.book import Notice
from pipeline.analyzer.evidence import WAITING_MAX, Evidence
from tests.alerts.made import alert

Take = Callable[[bytes | None, str], None]


class Store:
    """Keeps questions until a test answers them."""

    def __init__(self, *, is_full: bool = False) -> None:
        self.asked: list[tuple[str, dict[str, Any], Take]] = []
        self.told: list[Notice] = []
        self._is_full = is_full
        self.evidence = Evidence(self._ask, self.told.append)

    def _ask(
        self, method: str, params: dict[str, Any], take: Take, seconds: float
    ) -> bool:
        assert seconds > 0
        if not self._is_full:
            self.asked.append((method, params, take))
        return not self._is_full

    def put(self, kind: Kind, source: str = "api") -> None:
        self.evidence.put(Notice(kind, alert(source), 0.0, send=True))

    def answer(self, *places: int) -> None:
        """These questions, by their places."""
        for place in places:
            method, _, take = self.asked[place]
            pattern = {"pattern": "failed", "count": 2, "more": 1}
            sample = {"id": "a", "timestamp": "t", "source": "api", "level": "ERROR"}
            body = {"logs": [{**sample, "message": "x" * 900}]}
            if method == "patterns":
                body = {"patterns": [pattern]}
            take(json.dumps(body).encode(), "")


def test_an_opening_waits_for_both_answers() -> None:
    """Samples are cut as an entry may have them."""
    store = Store()
    store.put(Kind.OPENED)
    store.answer(0)
    assert store.told == []

    store.answer(1)
    (notice,) = store.told
    assert len(notice.alert.samples[0].message.encode()) == 500
    assert [one.count for one in notice.alert.patterns] == [2]


def test_an_end_waits_for_its_beginning() -> None:
    """Otherwise it would be told first."""
    store = Store()
    store.put(Kind.OPENED)
    store.put(Kind.RESOLVED)
    assert store.told == []
    store.answer(1, 0)

    assert [one.kind for one in store.told] == [Kind.OPENED, Kind.RESOLVED]


def test_a_later_answer_waits_for_the_earlier() -> None:
    """Whichever store answers first."""
    store = Store()
    store.put(Kind.OPENED, "api")
    store.put(Kind.OPENED, "web")
    store.answer(2, 3)
    assert store.told == []
    store.answer(0, 1)

    assert [one.alert.sources for one in store.told] == [["api"], ["web"]]


def test_a_question_without_an_answer_ends_the_wait() -> None:
    """It is counted."""
    store = Store()
    store.put(Kind.OPENED)
    for _, _, take in store.asked:
        take(None, "no answer in time")

    assert [one.alert.samples for one in store.told] == [[]]
    assert store.evidence.counters["evidence_missing"] == 2


def test_a_full_queue_ends_the_wait_too() -> None:
    """At once."""
    store = Store(is_full=True)
    store.put(Kind.OPENED)

    assert len(store.told) == 1


def test_very_many_notices_go_without() -> None:
    """None is lost, and their order stays."""
    store = Store()
    for _ in range(WAITING_MAX + 5):
        store.put(Kind.OPENED)
    assert len(store.asked) == 2 * WAITING_MAX

    store.evidence.flush()
    assert len(store.told) == WAITING_MAX + 5
    assert store.evidence.waiting == 0
