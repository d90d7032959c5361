"""What `pipeline doctor` makes of the facts: a verdict and a remedy each. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

Judgement = Literal["ok", "look", "wrong"]

LAG_SECONDS: Final = 1.0
BACKLOG_ROWS: Final = 2_000_000
AHEAD_SECONDS: Final = 60.0
"""A commit that is further in the future: the clock was set back since."""

FREE_SHARE: Final = 0.05
_PRIVATE: Final = 0o077
_DAY: Final = 86_400.0


class Verdict(NamedTuple):
    """One line; a remedy for all that isn't ok."""

    subject: str
    judgement: Judgement
    finding: str
    remedy: str = ""


@dataclass(slots=True)
class Facts:
    """What was seen; what could not be looked at stays None or empty."""

    now: float
    """Seconds since 1970."""

    config_errors: list[str] = field(default_factory=list)
    health: Mapping[str, Any] | None = None
    """Of the gateway; None: it does not answer."""

    metrics: Mapping[str, Any] | None = None
    gateway_problem: str = ""
    ingester: Mapping[str, Any] | None = None
    analyzer: Mapping[str, Any] | None = None
    wants_analyzer: bool = True
    database: str = ""
    exists: bool = False
    store_problem: str = ""
    entries: int = 0
    blocks: int = 0
    damaged: int = 0
    newest_commit: float | None = None
    """When it was made, in seconds since 1970."""

    used_bytes: int = 0
    most_bytes: int = 0
    free_bytes: int = 0
    disk_bytes: int = 0
    low_water_bytes: int = 0
    unwritable: list[str] = field(default_factory=list)
    exposed: list[tuple[str, int]] = field(default_factory=list)
    """Files that others may read, with their modes."""

    complaints: int = 0
    """Warnings and errors of the pipeline's own, of the last hour."""

    complaint: str = ""
    """The newest of them."""

    """Settings of ZeroMQ addresses that other machines reach."""


def verdicts(facts: Facts) -> list[Verdict]:
    """All of them, in the order in which they are read."""
    parts = (
        *(_configuration, _processes, _complaints, _database, _lag, _disk),
        *(_permissions, _clock),
    )
    return [verdict for part in parts for verdict in part(facts)]


def _configuration(facts: Facts) -> Iterator[Verdict]:
    for error in facts.config_errors:
        yield Verdict("configuration", "wrong", error, "correct it; see config check")
    if not facts.config_errors:
        yield Verdict("configuration", "ok", "every setting is right")


def _processes(facts: Facts) -> Iterator[Verdict]:
    start = "start it: `pipeline up`, or see what the supervisor says"
    if facts.ingester is None:
        waits = "no answer: nothing is stored; producers keep what they have"
        yield Verdict("ingester", "wrong", waits, start)
    elif facts.ingester.get("status") != "OK":
        says = f"it says {facts.ingester.get('status')}"
        yield Verdict("ingester", "wrong", says, "make room on the disk")
    else:
        yield Verdict("ingester", "ok", f"answers as process {facts.ingester['pid']}")
    if facts.wants_analyzer and facts.analyzer is None:
        yield Verdict("analyzer", "wrong", "no answer: nobody raises alerts", start)
    elif facts.wants_analyzer and facts.analyzer is not None:
        ready = bool(facts.analyzer.get("ready"))
        text = "answers" if ready else "is still reading what was before"
        yield Verdict("analyzer", "ok" if ready else "look", text, "wait a minute")
    if facts.health is None:
        yield Verdict("gateway", "wrong", facts.gateway_problem, start)
        return
    yield Verdict("gateway", "ok", f"answers, version {facts.health['version']}")
    up = (facts.metrics or {}).get("pythonProcessHealth", {})
    for name in (name for name, is_up in up.items() if not is_up):
        remedy = "restart it if it stays so: kill -9 its process; `up` starts another"
        yield Verdict(name, "wrong", "gives no sign of life: it is stuck", remedy)
    for reason in facts.health["reasons"]:
        yield Verdict("gateway", "look", reason, "see `pipeline ledger`, and its log")


def _complaints(facts: Facts) -> Iterator[Verdict]:
    if facts.complaints:
        text = f"{facts.complaints:,} in the last hour, at last: {facts.complaint}"
        remedy = "pipeline query 'source:pipeline level:>=WARN' --since 1h"
        yield Verdict("complaints", "look", text, remedy)
    elif facts.exists:
        yield Verdict("complaints", "ok", "none of the pipeline's own in the last hour")


def _database(facts: Facts) -> Iterator[Verdict]:
    if not facts.exists:
        missing = f"{facts.database} is not there"
        remedy = "correct storage.db_path, or start the ingester, which makes it"
        yield Verdict("database", "wrong", missing, remedy)
        return
    if facts.store_problem:
        remedy = "see `pipeline verify`; restore it from a backup"
        yield Verdict("database", "wrong", facts.store_problem, remedy)
        return
    size = f"{facts.used_bytes / 1e6:,.1f} of {facts.most_bytes / 1e6:,.0f} MB"
    text = f"{facts.entries:,} entries in {facts.blocks:,} blocks, {size}"
    yield Verdict("database", "ok", text)
    if facts.damaged:
        count = f"{facts.damaged:,} blocks are damaged; questions leave them out"
        remedy = "`pipeline verify` names them; restore them from a backup"
        yield Verdict("integrity", "wrong", count, remedy)
    else:
        yield Verdict("integrity", "ok", "the headers of all blocks are sound")


def _lag(facts: Facts) -> Iterator[Verdict]:
    if facts.metrics is None:
        return
    lag = facts.metrics["lag"]
    if lag["seconds"] is None:
        yield Verdict("lag", "ok", "not measured yet")
    elif lag["seconds"] > LAG_SECONDS or lag["lost"]:
        text = f"an entry is found {lag['seconds']:.2f} s after it was logged"
        lost = f", {lag['lost']} of {lag['sent']} never were" if lag["lost"] else ""
        remedy = "look at the machine's load, the disk, and waiting questions"
        yield Verdict("lag", "look", text + lost, remedy)
    else:
        text = f"an entry is found {lag['seconds'] * 1000:.0f} ms after it was logged"
        yield Verdict("lag", "ok", text)
    backlog = facts.metrics["waiting"]["entries_to_compact"]
    if backlog > BACKLOG_ROWS:
        remedy = "lower compaction.nice or compaction.level"
        yield Verdict("compaction", "look", f"{backlog:,} entries wait for it", remedy)


def _disk(facts: Facts) -> Iterator[Verdict]:
    if not facts.disk_bytes:
        return
    left = f"{facts.free_bytes / 1e6:,.0f} MB free"
    growth = max(facts.most_bytes - facts.used_bytes, 0)
    if facts.free_bytes <= facts.low_water_bytes:
        remedy = "make room, or lower storage.max_size_mb"
        yield Verdict("disk", "wrong", f"{left}: entries go to make room", remedy)
    elif facts.free_bytes - facts.low_water_bytes < growth:
        text = f"{left}; the database may grow by {growth / 1e6:,.0f} MB"
        remedy = "lower storage.max_size_mb, or use a larger disk"
        yield Verdict("disk", "look", text, remedy)
    else:
        yield Verdict("disk", "ok", left)


def _permissions(facts: Facts) -> Iterator[Verdict]:
    for path in facts.unwritable:
        remedy = "give it to the user that the pipeline runs as"
        yield Verdict("permissions", "wrong", f"{path} can't be written", remedy)
    for path, mode in facts.exposed:
        text = f"others may read {path} (mode {mode:o})"
        yield Verdict("permissions", "look", text, f"chmod {mode & ~_PRIVATE:o} {path}")
    if not (facts.unwritable or facts.exposed):
        yield Verdict("permissions", "ok", "folders can be written, files are private")


def _clock(facts: Facts) -> Iterator[Verdict]:
    if facts.newest_commit is None:
        return
    ahead = facts.newest_commit - facts.now
    if ahead > AHEAD_SECONDS:
        text = f"the newest commit is {_span(ahead)} in the future"
        yield Verdict("clock", "wrong", text, "set the clock: is NTP running?")
    else:
        yield Verdict("clock", "ok", f"the newest commit is {_span(-ahead)} old")


def _span(seconds: float) -> str:
    seconds = max(seconds, 0.0)
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return (
        f"{seconds / 3600:.0f} h" if seconds < 2 * _DAY else f"{seconds / _DAY:.0f} d"
    )
