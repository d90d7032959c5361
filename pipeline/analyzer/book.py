"""The book of alerts: findings go in, what has to be told comes out; pure.

A source has one open alert at most, whatever and how many detectors say it. Sources
that open within `group_wait` of each other, when there are many, share one; so do those
that follow a group, since 200 that fail take a while to. After its end an alert that
comes back within `cooldown` is told only if it is still there when that is over.
Silences and acknowledgements hold back what is sent, never what is stored.

Times are seconds since the epoch, and may have fractions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from pipeline.alerts import Acknowledgement, Alert, Kind, Silence
from pipeline.analyzer.findings import Finding, State
from pipeline.analyzer.incident import Incident, Key, key_of, restored, seconds

UPDATE_SECONDS: Final = 300
"""Between two updates of an alert, however fast it gets worse."""

FOLLOW_SECONDS: Final = 60
"""A source that opens so soon after a group grew, or after many others, belongs to it:
failures spread by time-outs and retries, which are seconds to a minute."""

CONFIRM_SECONDS: Final = 120
"""How long after a restart the detectors have to find again what was open."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the settings say: seconds, and how many sources are not yet a group."""

    group_wait: float = 2.0
    group_sources: int = 5
    cooldown: float = 300.0
    silences: tuple[Silence, ...] = ()
    """Of the configuration; those of the store are told by `Book.silence`."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to store, and to send unless it is held back."""

    kind: Kind
    alert: Alert
    at: float
    send: bool


class Book:
    """All incidents; `take` what detectors say, then `tick`."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        """May be replaced at any time."""
        self._pending: dict[str, Incident] = {}
        self._open: dict[str, Incident] = {}
        self._cooling: dict[Key, Incident] = {}
        self._opened_at: list[float] = []
        self._grown_at = float("-inf")
        self._silences: list[tuple[Silence, float]] = []
        self._notices: list[Notice] = []
        self._confirm_until = 0.0

    def alerts(self, now: float) -> list[Alert]:
        """The open ones."""
        return [incident.alert(now) for incident in self._incidents()]

    def next_due(self) -> float | None:
        """When `tick` will open something, if nothing else happens before."""
        firsts = [incident.first for incident in self._pending.values()]
        return min(firsts) + self.policy.group_wait if firsts else None

    def take(self, findings: Iterable[Finding], now: float) -> None:
        """What detectors say; told by the next `tick`."""
        for finding in findings:
            incident = self._open.get(finding.source)
            if incident is not None:
                incident.take(finding)
            elif finding.source in self._pending:
                self._pending[finding.source].take(finding)
            elif finding.state is State.OPEN:
                self._begin(finding, now)

    def tick(self, now: float) -> list[Notice]:
        """What has to be told at this moment."""
        self._forget(now)
        self._open_due(now)
        for incident in self._incidents():
            self._look(incident, now)
        notices, self._notices = self._notices, []
        return notices

    def acknowledge(self, fingerprint: str, seen: Acknowledgement) -> bool:
        """Send no more updates of the open alert; False when there is none."""
        for incident in self._incidents():
            if incident.fingerprint == fingerprint:
                incident.acknowledged = seen
                return True
        return False

    def silence(self, silences: Iterable[Silence]) -> None:
        """These hold, and no others; raises EntryError for an end that is no time."""
        self._silences = _ends(silences)

    def restore(self, alerts: Iterable[Alert], now: float) -> None:
        """Go on from what the store has, newest first; before anything is taken."""
        self._confirm_until = now + CONFIRM_SECONDS
        found = [restored(alert) for alert in alerts]
        for incident in reversed(found):
            if incident.resolved is not None:
                self._cool(incident, incident.resolved)
                continue
            if incident.group:
                self._grown_at = now
            self._open.update(dict.fromkeys(incident.sources, incident))
        # a source has one: what the newest have taken over would never be told again
        owners = self._incidents()
        for incident in found:
            if incident.resolved is None and incident not in owners:
                self._resolve(incident, now)

    def retire(self, keep: Callable[[str, str], bool], now: float) -> None:
        """Close the reasons of detectors and keys that are no longer there."""
        for incident in (*self._incidents(), *self._pending.values()):
            gone = [key for key in incident.reasons if not keep(key[0], key[2])]
            incident.close(gone, now)

    def _incidents(self) -> list[Incident]:
        """The open ones, each once."""
        return list({id(one): one for one in self._open.values()}.values())

    def _begin(self, finding: Finding, now: float) -> None:
        """A source that has no alert has a reason for one."""
        cooled = self._cooling.get(key_of(finding))
        if cooled is None or now >= cooled.cool_until:
            incident = self._pending[finding.source] = Incident(first=now)
            incident.take(finding)
            return
        cooled.take(finding)
        self._open[finding.source] = cooled
        if cooled.resolved is not None:
            cooled.resolved = None
            cooled.tell(now)
            note = "open again within its cool-down"
            self._notice(Kind.UPDATED, cooled, now, send=False, note=note)

    def _open_due(self, now: float) -> None:
        due = self.next_due()
        if due is None or now < due:
            return
        self._opened_at = [one for one in self._opened_at if one > now - FOLLOW_SECONDS]
        together = len(self._pending) + len(self._opened_at)
        group = next((one for one in self._incidents() if one.group), None)
        many = together > self.policy.group_sources
        if group is not None and (many or now - self._grown_at <= FOLLOW_SECONDS):
            self._join(group, now)
        elif many:
            self._open_group(now)
        else:
            self._open_each(now)

    def _open_each(self, now: float) -> None:
        for source, incident in list(self._pending.items()):
            if now - incident.first >= self.policy.group_wait:
                del self._pending[source]
                self._opened_at.append(now)
                self._open_one(incident, now)

    def _open_group(self, now: float) -> None:
        group = Incident(first=now, group=True)
        # an older one of that name may no longer come back beside it
        for key, one in list(self._cooling.items()):
            if one.group:
                del self._cooling[key]
        self._join(group, now)
        self._open_one(group, now)

    def _join(self, group: Incident, now: float) -> None:
        self._grown_at = now
        for source, incident in self._pending.items():
            group.absorb(incident)
            self._open[source] = group
        self._pending.clear()

    def _open_one(self, incident: Incident, now: float) -> None:
        incident.opened = now
        for source in incident.sources:
            self._open[source] = incident
        incident.tell(now)
        incident.notified = not self._silenced(incident, now)
        self._notice(Kind.OPENED, incident, now, send=incident.notified)

    def _look(self, incident: Incident, now: float) -> None:
        if incident.unconfirmed and now >= self._confirm_until:
            incident.close(incident.unconfirmed, now)
        if not any(incident.open_reasons()):
            self._resolve(incident, now)
        elif not incident.notified:
            self._look_held(incident, now)
        elif now - incident.told_at >= UPDATE_SECONDS and incident.news():
            self._update(incident, now)

    def _look_held(self, incident: Incident, now: float) -> None:
        """Nobody was told that it is open: its cool-down or silence may be over."""
        held = now < incident.cool_until or self._silenced(incident, now)
        if not held and incident.acknowledged is None:
            incident.notified = True
            incident.tell(now)
            self._notice(Kind.UPDATED, incident, now, send=True, note="still open")
        elif now - incident.told_at >= UPDATE_SECONDS and incident.news():
            self._update(incident, now)

    def _update(self, incident: Incident, now: float) -> None:
        seen = incident.acknowledged is not None
        quiet = seen or not incident.notified or self._silenced(incident, now)
        incident.tell(now)
        self._notice(Kind.UPDATED, incident, now, send=not quiet)

    def _resolve(self, incident: Incident, now: float) -> None:
        """Over; who was told that it is open is told, silenced or not."""
        incident.resolved = now
        for source in incident.sources:
            if self._open.get(source) is incident:
                del self._open[source]
        told = incident.notified
        lasted = f"over after {_lasted(now - incident.opened)}"
        self._notice(Kind.RESOLVED, incident, now, send=told, note=lasted)
        # told of its end, or not told that it came back: the same end of the cool-down
        self._cool(incident, now if told or not incident.cool_until else None)
        incident.notified = False

    def _cool(self, incident: Incident, since: float | None) -> None:
        if since is not None:
            incident.cool_until = since + self.policy.cooldown
        self._cooling.update(dict.fromkeys(incident.reasons, incident))

    def _forget(self, now: float) -> None:
        for key, incident in list(self._cooling.items()):
            if now >= incident.cool_until:
                del self._cooling[key]

    def _silenced(self, incident: Incident, now: float) -> bool:
        """Whether silences fit each of its open reasons."""
        held = [*self._silences, *_ends(self.policy.silences)]
        active = [one.matcher for one, until in held if now < until]
        reasons = list(incident.open_reasons()) or list(incident.reasons.values())
        name = incident.fingerprint
        return all(
            any(one.matches(name, reason.detector, reason.source) for one in active)
            for reason in reasons
        )

    def _notice(
        self, kind: Kind, incident: Incident, now: float, *, send: bool, note: str = ""
    ) -> None:
        alert = incident.alert(now, note)
        self._notices.append(Notice(kind, alert, now, send))


def _ends(silences: Iterable[Silence]) -> list[tuple[Silence, float]]:
    """Each with its end in seconds."""
    return [(one, seconds(one.until)) for one in silences]


def _lasted(duration: float) -> str:
    """As people say it."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if duration >= 2 * size:
            return f"{duration / size:.0f} {unit}"
    return f"{duration:.0f} s"
