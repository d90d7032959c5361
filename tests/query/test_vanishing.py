"""Blocks that go away while a question looks for them: their entries are elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.store.block import Block
from pipeline.store.reader import Header, Reader
from tests.query.stores import Asker, append, merge
from tests.query.test_remembered import entry

ASKED: list[tuple[str, dict[str, Any]]] = [
    ("query", {"q": "rare"}),
    ("query", {"q": "/ra[r]e/", "order": "asc", "limit": 7}),
    ("query", {"q": "| sort n | limit 3"}),
    ("search", {"query": "rare"}),
    ("get_stats", {"q": "rare"}),
    ("histogram", {"q": "rare", "interval": "1m"}),
    ("aggregate", {"q": "rare | stats count(), sum(n)"}),
    ("facets", {"q": "rare"}),
    ("patterns", {"q": "rare"}),
    ("export", {"q": "rare"}),
    ("get_trace", {"trace_id": "t"}),
]


@pytest.fixture(params=["fresh", "compacted"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Three blocks of a hundred seconds each."""
    path = tmp_path / "logs.db"
    rows = [entry(n, trace_id="t" if n % 50 == 0 else None) for n in range(300)]
    append(path, [[(0, rows[at : at + 100])] for at in (0, 100, 200)])
    for at in range(3 if request.param == "compacted" else 0):
        merge(path, at, at + 1)
    return path


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize(("method", "params"), ASKED)
def test_what_was_merged_and_purged_meanwhile_is_found(
    path: Path,
    method: str,
    params: dict[str, Any],
    at: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before the first block is read, or between two of them."""
    load, loads = Reader.load, 0

    def slow(reader: Reader, header: Header) -> Block:
        nonlocal loads
        if reader is asker.engine._context.headers.reader:
            loads += 1
            if loads == at + 1:
                merge(path, 0, 3, purged=True)
        return load(reader, header)

    asker = Asker(path)
    monkeypatch.setattr(Reader, "load", slow)

    found = asker.ask(method, **params)

    assert loads > at
    assert "unreadable_blocks" not in found
    assert found == Asker(path).ask(method, **params)
