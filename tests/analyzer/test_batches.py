"""Groups of a published batch: patterns of WARN and above, and durations."""

from __future__ import annotations

import pytest

from pipeline.analyzer.batches import DURATION_ROWS, events_of
from pipeline.analyzer.findings import Event
from pipeline.entry import Entry
from pipeline.errors import FrameError
from pipeline.level import Level
from pipeline.store.block import Part, seal_block
from pipeline.store.templates import pattern_id
from pipeline.timestamp import SECOND
from pipeline.wire.codec import batch_of
from tests.wire.messages import entry


def _events(rows: list[Entry]) -> list[Event]:
    batch = batch_of(rows).batch
    assert batch is not None
    return events_of(seal_block([Part(batch, b"p" * 16, 1, None)]).data)


def test_severe_entries_are_grouped_by_pattern() -> None:
    """WARN and above, by source and level, as compaction names patterns."""
    rows = [
        entry("took 5 ms", level=Level.ERROR, source="api", timestamp=9 * SECOND),
        entry("took 7 ms", level=Level.ERROR, source="api", timestamp=8 * SECOND),
        entry("took 7 ms", level=Level.WARN, source="api", timestamp=8 * SECOND),
        entry("took 7 ms", level=Level.INFO, source="api", timestamp=8 * SECOND),
    ]
    pattern = pattern_id(b"took \xff ms")

    assert _events(rows) == [
        Event(8, "api", 17, pattern, "took <*> ms", 2),
        Event(8, "api", 13, pattern, "took <*> ms", 1),
    ]


def test_durations_are_grouped_by_path() -> None:
    """Of all levels; an entry without a path is of none."""
    rows = [
        entry(source="api", metadata={"duration_ms": 5, "path": "/a"}),
        entry(source="web", metadata={"duration_ms": 1.5}),
        entry(source="api", metadata={"path": "/a"}),
        entry(source="api", metadata={"duration_ms": 7, "path": "/b"}),
        entry(source="api", metadata={"duration_ms": 6, "path": "/a"}),
    ]
    told = {(one.source, one.path): one.durations for one in _events(rows)}

    assert told == {
        ("api", "/a"): (5.0, 6.0),
        ("api", "/b"): (7.0,),
        ("web", ""): (1.5,),
    }


def test_durations_that_are_none_are_left_out() -> None:
    """Negative ones and texts."""
    rows = [entry(source="api", metadata={"duration_ms": -1})] * 2

    assert _events(rows) == []
    assert _events([entry(metadata={"duration_ms": "5 ms"})]) == []


def test_of_very_many_durations_some_are_looked_at() -> None:
    """Evenly spread."""
    rows = [entry(source="api", metadata={"duration_ms": n}) for n in range(2 * 3000)]
    (event,) = _events(rows)

    assert event.count == len(event.durations) <= DURATION_ROWS
    assert event.durations[-1] > 5_900


@pytest.mark.parametrize("source", ["alerts", "pipeline", "audit"])
def test_the_pipelines_own_entries_are_left_out(source: str) -> None:
    """An alert must not raise another."""
    row = entry(source=source, level=Level.ERROR, metadata={"duration_ms": 5})

    assert _events([row]) == []


def test_what_is_no_batch_is_refused() -> None:
    """With the reason."""
    with pytest.raises(FrameError):
        events_of(b"\x07nonsense")
