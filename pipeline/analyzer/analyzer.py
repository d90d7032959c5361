"""All that the analyzer knows and does, but its sockets: `process` has the loop.

Commits go to detectors (`watch`), what these find to the book, what has to be told to
the store and the channels, with its evidence. The store is asked by `questions`; until
it has told what there was (`restore`), nothing is judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Final, Protocol

import msgspec

from pipeline import alerts
from pipeline.alerts import SOURCE, Alert, Silence
from pipeline.analyzer.book import Book, Notice, Policy
from pipeline.analyzer.evidence import Evidence
from pipeline.analyzer.findings import Finding
from pipeline.analyzer.lineup import Lineup, Replaced
from pipeline.analyzer.restore import (
    Ask,
    Restored,
    Steps,
    events_of_reply,
    restore,
    rows_of,
)
from pipeline.analyzer.rules import question
from pipeline.analyzer.silences import read_silences
from pipeline.analyzer.watch import Missing, Watch
from pipeline.entry import Entry
from pipeline.level import Level
from pipeline.query.alerted import ALERTS_MAX, AlertsReply
from pipeline.query.committed import CountsReply, EventsReply
from pipeline.settings.alerts import Alerts
from pipeline.timestamp import SECOND

ATTEMPTS: Final = 5
"""To ask the store for what was missed, or for the state at the start."""

RETRY_SECONDS: Final = 1.0
REPAIR_SECONDS: Final = 10.0
RULE_SECONDS: Final = 10.0
FORGOTTEN_SECONDS: Final = 86_400
"""Older entries among those that were missed say nothing of the present."""


class Questions(Protocol):
    """The way to the store."""

    def ask(
        self,
        method: str,
        params: Mapping[str, Any],
        take: Callable[[bytes | None, str], None],
        seconds: float = ...,
    ) -> bool:
        """Have it asked; False when too many questions wait."""


class Channels(Protocol):
    """Where notices go."""

    def send(self, notice: Notice) -> None:
        """To all channels; never waits."""

    def resume(self, alerts: list[Alert]) -> None:
        """These were told before."""


class Analyzer:
    """The parts together; `now` is in seconds, and may have a fraction."""

    def __init__(
        self,
        settings: Alerts,
        questions: Questions,
        store: Callable[[Entry], bool],
        channels: Channels,
        say: Callable[[str], None],
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.channels = channels
        self.book = Book(policy_of(settings))
        self._settings = settings
        self._lineup = Lineup(settings)
        self._watch = Watch(self._lineup.detectors)
        self._judging = self._lineup.detectors
        self._questions = questions
        self._evidence = Evidence(questions.ask, self._tell)
        self._store = store
        self._say = say
        self._steps: Steps | None = None
        self._retries: list[tuple[float, Callable[[float], None]]] = []
        self._attempts = 0
        self._now = 0.0
        self._own_events = 0
        self._asks_alerts = False
        self._says_newest = False
        self._unfilled: Replaced | None = None
        """Spikes whose window was changed before the store had told anything."""
        self.is_ready = False
        """Whether the store has told what there was."""

    def start(self, now: float) -> None:
        """Ask the store what there is; until it has told, nothing is judged."""
        self._now = now
        self._attempts += 1
        self._steps = restore(
            self._lineup.detectors,
            int(now),
            self._settings.error_spike_window,
            self._settings.cooldown_seconds,
        )
        self._advance(next(self._steps))

    def take_summary(self, body: bytes, now: float) -> None:
        """One summary that arrived."""
        self._now = now
        self._watch.take_summary(body, int(now))

    def take_batch(self, body: bytes, now: float) -> None:
        """One batch that arrived."""
        self._now = now
        self._watch.take_batch(body, int(now))

    def evaluate(self, now: float) -> None:
        """Look at everything once: what is due, what is open, what is missing."""
        self._now = now
        for note in self._watch.notes:
            self._say(note)
        self._watch.notes.clear()
        due = [one for one in self._retries if one[0] <= now]
        self._retries = [one for one in self._retries if one[0] > now]
        for _, act in due:
            act(now)
        self._repair()
        if not self.is_ready or not self._settings.enabled:
            return
        self._ask_newest()
        self._ask_rules(now)
        self._see_events()
        self.book.take(self._watch.evaluate(int(now)), now)
        self._retire(())
        for notice in self.book.tick(now):
            self._evidence.put(notice)

    def wake(self, now: float) -> None:
        """The process was stopped for a while: the last commits may not have come."""
        self._now = now
        self.counters["stalls"] += 1
        self._says_newest = True

    def next_due(self) -> float | None:
        """When something has to be told, if nothing else happens before."""
        return self.book.next_due()

    def reload(self, settings: Alerts, channels: Channels) -> None:
        """Go on by other settings, with what is known; raises ConfigError before."""
        replaced = self._lineup.configure(settings)
        self._settings = settings
        self.channels = channels
        self.book.policy = policy_of(settings)
        self._watch.detectors = self._lineup.detectors
        # spikes of another window tell themselves what is over
        self._retire(() if replaced is None else (self._lineup.spikes.name,))
        channels.resume([one for one in self.book.alerts(self._now) if one.notified])
        if replaced is None:
            return
        if self.is_ready:
            self._refill(replaced)
        elif self._unfilled is None:
            self._unfilled = replaced
        else:
            self._unfilled = self._unfilled.again(replaced.window)

    def _retire(self, replaced: Collection[str]) -> None:
        """A detector that is gone can no longer say that something is over."""
        before, self._judging = self._judging, list(self._watch.detectors)
        there = [id(one) for one in self._judging]
        gone = {one.name for one in before if id(one) not in there} - {*replaced}
        if gone:
            self.book.retire(lambda detector, _: detector not in gone, self._now)

    def close(self) -> None:
        """Tell what waits for evidence as it is."""
        self._evidence.flush()

    def stats(self) -> dict[str, Any]:
        """Counters of all parts."""
        return {
            "ready": self.is_ready,
            "open": len(self.book.alerts(self._now)),
            "commit": self._watch.summaries.block,
            "restarts": self._watch.summaries.restarts,
            "evidence_waiting": self._evidence.waiting,
            **self._evidence.counters,
            **self.counters,
            **self._watch.counters,
        }

    # restoring

    def _advance(self, ask: Ask) -> None:
        if not self._questions.ask(ask.method, ask.params, self._answer, ask.seconds):
            self._answer(None, "too many questions wait")

    def _answer(self, body: bytes | None, problem: str) -> None:
        assert self._steps is not None
        if body is None:
            self.counters["restore_failed"] += 1
            self._say(f"the store could not be asked: {problem}")
        try:
            ask = self._steps.send(body)
        except StopIteration as end:
            self._steps = None
            self._restored(end.value)
        else:
            self._advance(ask)

    def _restored(self, found: Restored) -> None:
        if found.commit is None and self._attempts < ATTEMPTS:
            self._lineup = Lineup(self._settings)
            self._watch.detectors = self._lineup.detectors
            self._unfilled = None
            self._retries.append((self._now + RETRY_SECONDS, self.start))
            return
        self._judging = self._lineup.detectors
        self._watch.set_aside(found.broken)
        self.book.restore(found.alerts, self._now)
        self.book.silence(found.silences)
        self.channels.resume([one for one in found.alerts if one.state == "open"])
        self.book.take(found.findings, self._now)
        commit = found.commit
        if commit is None:
            commit = self._watch.summaries.block
        known = found.events_commit
        self._watch.begin(commit, commit if known is None else known)
        self.is_ready = True
        unfilled, self._unfilled = self._unfilled, None
        if unfilled is not None:
            self._refill(unfilled)

    # what was missed

    def _repair(self) -> None:
        missing, self._watch.missing = self._watch.missing, []
        for one in missing:
            if one.kind == "counts":
                self._say(f"summaries missed: {one.hole}; asking the store")
                self._asks_alerts = True
            self._ask_missing(one, 1, self._now)

    def _ask_newest(self) -> None:
        """How far the store has come: dropped summaries have no successor to tell."""
        if not self._says_newest:
            return
        self._says_newest = False

        def take(body: bytes | None, problem: str) -> None:
            if body is None:
                self._say(f"the newest commit is not known: {problem}")
            else:
                self._watch.reach(msgspec.json.decode(body, type=CountsReply).commit)

        nothing = {"after": self._watch.summaries.block, "up_to": 0}
        self._questions.ask("counts", nothing, take, REPAIR_SECONDS)

    def _ask_missing(self, one: Missing, attempt: int, now: float) -> None:
        params = {"after": one.hole.after, "up_to": one.hole.up_to}
        params["since"] = int(now) - FORGOTTEN_SECONDS
        if one.kind == "events":
            params["level"] = int(Level.WARN)
        take = partial(self._repaired, one, attempt)
        if not self._questions.ask(one.kind, params, take, REPAIR_SECONDS):
            take(None, "too many questions wait")

    def _repaired(
        self, one: Missing, attempt: int, body: bytes | None, problem: str
    ) -> None:
        now = int(self._now)
        if body is None and attempt < ATTEMPTS:
            again = partial(self._ask_missing, one, attempt + 1)
            self._retries.append((self._now + attempt * RETRY_SECONDS, again))
        elif body is None:
            self.counters["commits_unseen"] += one.hole.up_to - one.hole.after
            self._say(f"{one.kind} of commits {one.hole} are lost: {problem}")
        elif one.kind == "counts":
            self.counters["summaries_repaired"] += one.hole.up_to - one.hole.after
            reply = msgspec.json.decode(body, type=CountsReply)
            self._watch.observe_counts(rows_of(reply), now)
        else:
            self.counters["batches_repaired"] += one.hole.up_to - one.hole.after
            groups = msgspec.json.decode(body, type=EventsReply)
            self._watch.observe_events(events_of_reply(groups), now)

    def _refill(self, replaced: Replaced) -> None:
        """The counts of the past for a window that is new."""
        spikes, now = self._lineup.spikes, int(self._now)

        def take(body: bytes | None, problem: str) -> None:
            found: list[Finding] = []
            if body is None:
                self._say(f"the window of spikes begins empty: {problem}")
            else:
                reply = msgspec.json.decode(body, type=CountsReply)
                spikes.observe_counts(rows_of(reply), int(self._now))
                found = spikes.evaluate(int(self._now))
            self.book.take(replaced.settle(found, int(self._now)), self._now)

        params = {"since": now - replaced.window, "up_to": self._watch.summaries.block}
        if not self._questions.ask("counts", params, take, REPAIR_SECONDS):
            take(None, "too many questions wait")

    # rules, and what others say of alerts

    def _ask_rules(self, now: float) -> None:
        rules = self._lineup.rules
        for rule in rules.due(now):

            def take(body: bytes | None, problem: str, rule: Any = rule) -> None:
                if body is None:
                    self.counters["rules_unanswered"] += 1
                    self._say(f"rule {rule.name!r}: {problem}")
                rules.take(rule, body)

            params = question(rule, now)
            if not self._questions.ask("get_stats", params, take, RULE_SECONDS):
                take(None, "too many questions wait")

    def _see_events(self) -> None:
        """Acknowledgements and silences come as entries, which others write."""
        foreign = self._watch.alert_events - self._own_events
        if self._watch.alert_events:
            self._watch.alert_events = 0
            self._own_events = max(0, -foreign)
        if foreign > 0 or self._asks_alerts:
            self._asks_alerts = False
            params = {"state": "open", "limit": ALERTS_MAX}
            if not self._questions.ask("get_alerts", params, self._take_alerts):
                self._asks_alerts = True

    def _take_alerts(self, body: bytes | None, problem: str) -> None:
        if body is None:
            self._say(f"acknowledgements and silences could not be read: {problem}")
            return
        reply = msgspec.json.decode(body, type=AlertsReply)
        self.hear(reply.alerts, reply.silences)

    def hear(self, told: list[Alert], silences: list[Silence]) -> None:
        """What people said of the alerts."""
        self.book.silence(silences)
        for alert in told:
            if alert.acknowledged is not None:
                self.book.acknowledge(alert.fingerprint, alert.acknowledged)

    # telling

    def _tell(self, notice: Notice) -> None:
        self.counters[f"alerts_{notice.kind}"] += 1
        now = int(self._now * SECOND)
        self.write(alerts.to_entry(notice.kind, notice.alert, now))
        self.channels.send(notice)

    def write(self, entry: Entry) -> None:
        """Have an entry of ours stored."""
        assert entry.source == SOURCE
        self._own_events += 1
        if not self._store(entry):
            self.counters["entries_dropped"] += 1
            self._say(f"an alert could not be stored: {entry.message}")


def policy_of(settings: Alerts) -> Policy:
    """The part of the settings that the book goes by; raises ConfigError."""
    return Policy(
        settings.group_wait_seconds,
        settings.group_sources,
        settings.cooldown_seconds,
        read_silences(settings.silences),
    )
