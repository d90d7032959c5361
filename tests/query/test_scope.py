"""Under a scope, every method answers as over a store that has nothing else."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.entry import Entry, encode_id
from pipeline.errors import QueryError
from pipeline.query.syntax import Node
from pipeline.scope import Scope
from pipeline.store.block import Part, seal_block
from pipeline.store.writer import Writer
from pipeline.tools.table import with_tools
from pipeline.wire.codec import batch_of
from tests.query.oracle import Stored
from tests.query.questions import trees
from tests.query.stores import Asker, Parts, blocks, states
from tests.query.test_agreement import MEMORY

EVERY = with_tools("name", "type")
SCOPES = [
    Scope(("api",)),
    Scope(("*",), ("a",)),
    Scope(("*\n?", "a\\*"), ("*.c", "err")),
    Scope(("web*", "Api"), ("trace_id", "tags")),
    Scope(("nobody",)),
]

SHAPE = {
    *("took_ms", "bytes", "bytes_per_entry", "blocks", "steps", "bytes_read"),
    *("scanned", "newest_commit", "last_block", "next_cursor", "kinds", "uncounted"),
    *("confirm", "mark", "snapshot", "by", "first", "last", "example", "storage"),
}
"""What tells of blocks and not of entries: two stores of the same have others. Which
of the entries of one time is an example is one of these."""

KINDS = r" \([a-z/]+\) in | +|, "
"""Between the words of a tool's line, where it tells how columns are kept too."""


def narrowed(path: Path, stored: Sequence[Stored], scope: Scope) -> None:
    """A store of what the scope allows; its entries have the same ids."""
    parts = []
    for one in stored:
        row = shown(one.entry, scope)
        if row is not None:
            batch = batch_of([row]).batch
            assert batch is not None
            parts.append(Part(batch, one.producer, one.number, None))
    with closing(Writer(path, "process")) as writer:
        if parts:
            writer.commit([seal_block(parts)], [], [], [], now=1)


def shown(row: Entry, scope: Scope) -> Entry | None:
    if not scope.allows(row.source):
        return None
    return row._replace(
        metadata=scope.shown(row.metadata or {}),
        tags=None if scope.hides("tags") else row.tags,
        trace_id=None if scope.hides("trace_id") else row.trace_id,
    )


def said(asker: Asker, method: str, **params: Any) -> Any:
    """The reply without what tells of blocks, or the error's words."""
    try:
        return plain(asker.ask(method, **params))
    except QueryError as error:
        return f"{method}: {error.problem}"


def plain(reply: Any, name: str = "") -> Any:
    """Values of one count have no order among them; entries have."""
    if isinstance(reply, dict):
        kept = sorted(reply.items())
        return [(key, plain(each, key)) for key, each in kept if key not in SHAPE]
    if isinstance(reply, list):
        made = [plain(each) for each in reply]
        return made if name == "logs" else sorted(made, key=repr)
    if name == "text":  # an export
        return [plain(json.loads(line)) for line in reply.splitlines()]
    return sorted(re.split(KINDS, reply)) if isinstance(reply, str) else reply


def questions(text: str, stored: Sequence[Stored]) -> list[tuple[str, dict[str, Any]]]:
    """One of each method, the tools' too, about a text and entries."""
    asked = [
        ("query", {"q": text, "limit": 1000, "explain": True}),
        ("query", {"q": f"{text} | stats by (source, a) count()"}),
        ("query", {"q": f"{text} | sort a, err | limit 50"}),
        ("query", {"q": f"{text} | patterns"}),
        ("search", {"query": text, "limit": 3, "context": 2}),
        ("get_stats", {"q": text, "group_by": "source"}),
        ("aggregate", {"q": f"{text} | stats by (source, trace_id, a.b) count()"}),
        ("histogram", {"q": text, "by": "a"}),
        ("facets", {"q": text, "limit": 1000}),
        ("patterns", {"q": text}),
        ("tail", {"q": text, "after_block": 0}),
        ("export", {"q": text}),
        ("explain", {"q": text}),
        ("describe", {"values": 100}),
        ("get_alerts", {}),
        ("delete", {"q": text}),
        ("search_logs", {"query": text}),
        ("get_log_stats", {}),
        ("list_patterns", {"query": text}),
        ("describe_logs", {}),
        ("get_recent_errors", {}),
        ("analyze_performance", {}),
        ("debug_session", {}),
    ]
    for one in stored[:4]:
        identity = encode_id(one.entry.timestamp, one.producer, one.number)
        asked.append(("get_entry", {"id": identity}))
        asked.append(("get_context", {"id": identity, "scope": "all"}))
        if one.entry.trace_id:
            asked.append(("get_trace", {"trace_id": one.entry.trace_id}))
    return asked


@settings(
    deadline=None,
    max_examples=12,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(blocks, st.lists(trees, min_size=1, max_size=2), st.sampled_from(SCOPES))
def test_scope_is_a_store_of_its_own(
    made: Sequence[Parts], asked: list[Node], scope: Scope
) -> None:
    """For every question, in every state of the blocks."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        for state, path, stored in states(Path(folder), made):
            narrow = path.with_suffix(".narrow")
            narrowed(narrow, stored, scope)
            right = Asker(narrow, methods=EVERY)
            scoped = Asker(path, methods=EVERY, scope=scope)
            for tree in asked:
                for method, params in questions(str(tree), stored):
                    expected = said(right, method, **params)
                    found = said(scoped, method, **params)
                    assert found == expected, (state, method, params)
