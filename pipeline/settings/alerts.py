"""The settings of alerts: when they are raised, and where they go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.settings.declare import NOT_EMPTY, listed, setting
from pipeline.settings.detectors import Detectors, SourceThreshold

REFERENCE = r"^$|^(.*\$\{\w+\}.*|file:.+)$"
"""A secret is no text of the file: ${NAME} of the environment, or file:/path."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One place that alerts are sent to; which keys it takes depends on its type."""

    type: str = setting(
        "",
        "What it is.",
        choices=(
            *("console", "file", "webhook", "slack", "discord", "email"),
            *("alertmanager", "apprise"),
        ),
        required=True,
        example="webhook",
    )
    name: str = setting("", "What messages call it; empty: its type.")
    url: str = setting(
        "",
        "Of webhook, slack, discord, alertmanager (its root) and apprise; ${NAME} is of"
        " the environment, file:/path a file that holds it.",
        example="https://alerts.example.org/hook",
        secret=True,
    )
    headers: Mapping[str, Any] = field(
        default_factory=dict,
        metadata={"meaning": "Of webhook and alertmanager; values as url."},
    )
    path: str = setting(
        "", "Of file: JSON lines are appended to it.", example="/var/log/alerts.jsonl"
    )
    host: str = setting("", "Of email: its server.", example="mail.example.org")
    port: int = setting(
        0, "Of email; 0: 587, with tls 465, without 25.", minimum=0, maximum=65_535
    )
    encryption: str = setting(
        "starttls", "Of email.", choices=("starttls", "tls", "none")
    )
    user: str = setting("", "Of email: who logs in; empty: nobody.")
    password: str = setting(
        "",
        "Of email: ${NAME} of the environment, or file:/path.",
        pattern=REFERENCE,
        example="${SMTP_PASSWORD}",
        secret=True,
    )
    sender: str = setting("", "Of email: From.", example="pipeline@example.org")
    to: tuple[str, ...] = setting(
        (), "Of email: who gets it.", pattern=NOT_EMPTY, example="ops@example.org"
    )
    timeout_seconds: float = setting(
        10.0, "Longest for one attempt.", minimum=0.1, maximum=300
    )
    give_up_seconds: float = setting(
        600.0,
        "Age at which a notice is no longer tried; then it is an entry.",
        minimum=0.0,
        maximum=86_400,
    )


WHEN = r"^(count|error_rate) *(>=|<=|>|<) *[0-9]+(\.[0-9]+)? *%?$"
"""A rule's condition."""


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert of your own: a filter, and how much of it is too much."""

    name: str = setting(
        "", "What the alert calls it.", pattern=NOT_EMPTY, required=True, example="5xx"
    )
    query: str = setting(
        "",
        "Filter of the query language, without pipes; empty: all entries.",
        example="status:>=500",
    )
    when: str = setting(
        "",
        "Count of the matches in the window, or the share of errors among them, against"
        " a number.",
        pattern=WHEN,
        required=True,
        example="count > 50, or error_rate > 5%",
    )
    window: int = setting(300, "Seconds that are looked at.", minimum=1, maximum=86_400)
    for_seconds: int = setting(
        0,
        "How long it has to be so before the alert opens.",
        name="for",
        minimum=0,
        maximum=86_400,
    )
    level: str = setting("ERROR", "Of the alert.", choices=("WARN", "ERROR", "FATAL"))


@dataclass(frozen=True, slots=True)
class Silenced:
    """Alerts that are kept and told to nobody; all that is given has to fit."""

    source: str = setting("", "Of any of its reasons; * stands for any text.")
    detector: str = setting("", "As source.")
    fingerprint: str = setting("", "As source.")
    until: str = setting(
        "",
        "When it ends: ISO 8601, UTC unless it names a zone.",
        pattern=r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d",
        required=True,
        example="2026-12-24T18:00:00Z",
    )
    comment: str = setting("", "Why.")


@dataclass(frozen=True, slots=True)
class Alerts:
    """When the analyzer raises an alert, and where it goes."""

    enabled: bool = setting(True, "Whether alerts are raised.")
    error_spike_threshold: int = setting(
        20, "Errors within the window that make a spike.", minimum=1
    )
    error_spike_window: int = setting(
        300, "The window, in seconds; it slides.", minimum=1, maximum=86_400
    )
    error_spike_thresholds: tuple[SourceThreshold, ...] = listed(
        SourceThreshold, "Thresholds of single sources: a list of sections."
    )
    detectors: Detectors = field(default_factory=Detectors)
    channels: tuple[str | Channel, ...] = listed(
        Channel,
        "Where alerts are sent: console, or sections.",
        default=("console",),
    )
    rules: tuple[Rule, ...] = listed(Rule, "Alerts of your own: a list of sections.")
    silences: tuple[Silenced, ...] = listed(
        Silenced, "What is held back, beside the method silence: a list of sections."
    )
    group_wait_seconds: float = setting(
        2.0,
        "How long an alert waits for others to join it.",
        minimum=0.0,
        maximum=300,
    )
    group_sources: int = setting(
        5, "Sources that open together, above which they share one alert.", minimum=1
    )
    cooldown_seconds: float = setting(
        300.0,
        "After its end an alert that comes back so soon is told only if it stays.",
        minimum=0.0,
        maximum=86_400,
    )
