"""What stands behind an alert: a few of its entries, and their patterns.

Notices wait here for it, in their order: the end of an alert must not be told before
its beginning. A question that fails or takes too long delays a notice, never loses it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Protocol

import msgspec

from pipeline.alerts import Alert, Kind, Pattern, Sample, with_evidence
from pipeline.alerts.model import PATTERNS, SAMPLES
from pipeline.analyzer.book import Notice

SECONDS: Final = 2.0
"""For each of the two questions: an alert without samples is better than a late one."""

WAITING_MAX: Final = 1_000
"""Notices; beyond it they go without evidence."""


class Ask(Protocol):
    """The way to the store, `Questions.ask`."""

    def __call__(
        self,
        method: str,
        params: dict[str, Any],
        take: Callable[[bytes | None, str], None],
        seconds: float,
        /,
    ) -> bool: ...


class _Logs(msgspec.Struct):
    logs: list[Sample]


class _Patterns(msgspec.Struct):
    patterns: list[Pattern]


@dataclass(slots=True, eq=False)
class _Waiting:
    notice: Notice
    samples: list[Sample]
    patterns: list[Pattern]
    answers: int
    """That have not come yet."""


class Evidence:
    """Hands notices on, all but ends of alerts with what the store has of it."""

    def __init__(self, ask: Ask, tell: Callable[[Notice], None]) -> None:
        self.counters: Counter[str] = Counter()
        self._ask = ask
        self._tell = tell
        self._waiting: deque[_Waiting] = deque()

    @property
    def waiting(self) -> int:
        """Notices that are not told yet."""
        return len(self._waiting)

    def put(self, notice: Notice) -> None:
        """Tell it when it has its evidence, and all before it are told."""
        one = _Waiting(notice, [], [], 0)
        self._waiting.append(one)
        if notice.kind is not Kind.RESOLVED:
            if len(self._waiting) <= WAITING_MAX:
                self._ask_for(one)
            else:
                self.counters["evidence_missing"] += 1
        self._pass_on()

    def flush(self) -> None:
        """Tell all that waits as it is: the process ends."""
        for one in self._waiting:
            one.answers = 0
        self._pass_on()

    def _ask_for(self, one: _Waiting) -> None:
        given = _window(one.notice.alert)
        fields = ["id", "timestamp", "source", "level", "message"]
        questions = (
            ("query", {**given, "limit": SAMPLES, "fields": fields}, _Logs),
            ("patterns", {**given, "limit": PATTERNS, "buckets": 0}, _Patterns),
        )
        one.answers = len(questions)
        for method, params, kind in questions:
            take = partial(self._take, one, kind)
            if not self._ask(method, params, take, SECONDS):
                take(None, "too many questions wait")

    def _take(
        self, one: _Waiting, kind: type[msgspec.Struct], body: bytes | None, _: str
    ) -> None:
        one.answers -= 1
        if body is None:
            self.counters["evidence_missing"] += 1
        else:
            found = msgspec.json.decode(body, type=kind)
            if isinstance(found, _Logs):
                one.samples = found.logs
            elif isinstance(found, _Patterns):
                one.patterns = found.patterns
        self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting and self._waiting[0].answers <= 0:
            one = self._waiting.popleft()
            notice = one.notice
            if one.samples or one.patterns:
                alert = with_evidence(notice.alert, one.samples, one.patterns)
                notice = replace(notice, alert=alert)
            self._tell(notice)


def _window(alert: Alert) -> dict[str, Any]:
    """The question that replays an alert."""
    return {"q": alert.query, "since": alert.query_since, "until": alert.query_until}
