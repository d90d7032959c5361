"""Why a reply is empty, and what to ask instead: near names, the last match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from pipeline.tools.snapshot import Snapshot
from pipeline.tools.text import clean

_NAMES: Final = 5
_CHARACTERS: Final = 60


def reasons(
    snapshot: Snapshot,
    window: Mapping[str, Any],
    sources: Sequence[str] | None,
    **asked: Any,
) -> list[str]:
    """Hints for a question that found nothing in its window."""
    found = _unknown(snapshot, sources or ())
    if found:
        return found
    if window["since"] is None:
        return []
    last = snapshot.ask(
        "query", sources=sources, limit=1, count="none", until=window["since"], **asked
    )["logs"]
    if not last:
        return ["nothing older matches either"]
    return [f"the last match before was at {last[0]['timestamp'][:19]}Z"]


def _unknown(snapshot: Snapshot, sources: Sequence[str]) -> list[str]:
    """That a source has no entries at all, and which name is near."""
    if not sources:
        return []
    known = snapshot.ask("get_stats", buckets=1)["by_source"]
    hints = []
    for name in [name for name in sources if name not in known][:_NAMES]:
        near = get_close_matches(name, known, n=2, cutoff=0.5) or [*known][:_NAMES]
        texts = ", ".join(clean(each, _CHARACTERS) for each in near)
        hints.append(
            f"no source is called {clean(name, _CHARACTERS)}; there is {texts}"
        )
    return hints
