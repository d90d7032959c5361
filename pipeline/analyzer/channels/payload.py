"""A notice as JSON, for programs: the fields of its entry, and a message."""

from __future__ import annotations

import msgspec

from pipeline.alerts import to_entry
from pipeline.analyzer.book import Notice
from pipeline.timestamp import SECOND


def payload(notice: Notice) -> bytes:
    """What `pipeline/analyzer/ALERTS.md` says of its event, and `message`."""
    entry = to_entry(
        notice.kind, notice.alert, round(notice.at * 1000) * SECOND // 1000
    )
    return msgspec.json.encode({"message": entry.message, **(entry.metadata or {})})
