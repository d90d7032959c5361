"""`describe_logs`: what is stored, for whoever does not know these logs yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from pipeline.query.budget import Budget
from pipeline.query.methods.method import Context
from pipeline.tools.budget import Detail, Reply, fit
from pipeline.tools.requests import StoreRequest
from pipeline.tools.snapshot import Snapshot, read
from pipeline.tools.text import MANY_KEYS, NOTICE, apart, clean, value_text

VALUES: Final = 4
NEWEST: Final = 200
CHARACTERS: Final = 40
_MORE: Final = "the most frequent are listed: a higher max_tokens has more"
_HINT: Final = (
    "search_logs finds by field: source:NAME, level:>=WARN, KEY:VALUE, KEY:>5"
)


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> Reply:
    """Sources and fields, those with the most entries first."""
    request = read(params, StoreRequest)
    snapshot = Snapshot(context, now, budget)
    found = snapshot.ask("describe", values=0)
    values = _newest_values(snapshot)
    fields = sorted(found["fields"], key=lambda field: -field["count"])

    def build(detail: Detail) -> Reply:
        sources = found["sources"][: detail.rows]
        listed = fields[: detail.rows]
        is_cut = (
            len(sources) < found["sources_total"] or len(listed) < found["fields_total"]
        )
        return {
            "notice": NOTICE,
            "entries": found["entries"],
            "bytes": found["bytes"],
            "oldest": found["oldest"],
            "newest": found["newest"],
            "levels": {name: each for name, each in found["levels"].items() if each},
            "sources": apart((each["source"], each["count"]) for each in sources),
            "fields": [_field(field, values, detail) for field in listed],
            "count": found["sources_total"] + found["fields_total"],
            "returned": len(sources) + len(listed),
            "truncated": is_cut,
            "hints": [*([_MORE] if is_cut else []), _HINT],
        }

    return fit(build, request.max_tokens)


def _newest_values(snapshot: Snapshot) -> dict[str, Counter[str]]:
    """Values by key, of the newest entries: those of all would take half a second."""
    found: dict[str, Counter[str]] = {}
    asked = {"limit": NEWEST, "count": "none", "fields": ["metadata"]}
    for log in snapshot.ask("query", **asked)["logs"]:
        for key, value in list((log["metadata"] or {}).items())[:MANY_KEYS]:
            if value is not None:
                text = value_text(key, value, CHARACTERS)
                found.setdefault(key, Counter())[text] += 1
    return found


def _field(
    field: dict[str, Any], values: Mapping[str, Counter[str]], detail: Detail
) -> str:
    """Name, kinds, how many entries have it, and frequent values."""
    name = field["field"].removeprefix("metadata.")
    text = f"{clean(name, 80)} ({'/'.join(field['kinds'])}) in {field['count']}"
    frequent = values.get(name)
    if not detail.samples or frequent is None:
        return text
    return f"{text}: {', '.join(value for value, _ in frequent.most_common(VALUES))}"
