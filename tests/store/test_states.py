"""A store of any state has the same entries, under the same ids."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings

from pipeline.store.reader import Reader
from pipeline.store.templates import pattern_ids
from tests.query.oracle import Stored
from tests.query.stores import Parts, blocks, states

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
slow = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)


def held(path: Path) -> list[Stored]:
    """What the live blocks hold, in the order of commits."""
    reader = Reader(path)
    reader.refresh()
    found = []
    for header in reader.headers:
        block = reader.load(header)
        rows = np.arange(block.rows)
        entries = block.batch.entries(rows)
        pairs = zip(entries, block.identities(rows), strict=True)
        found += [Stored(entry, *identity) for entry, identity in pairs]
    reader.close()
    return found


def plain(row: Stored) -> str:
    """All of an entry but the order of its metadata; NaN equals NaN as text."""
    metadata = sorted((row.entry.metadata or {}).items())
    return repr((row._replace(entry=row.entry._replace(metadata=None)), metadata))


@slow
@given(blocks)
def test_entries_are_the_same(made: list[Parts]) -> None:
    """Each once, to the byte, with the number that its producer gave it."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        for state, path, stored in states(Path(folder), made):
            assert list(map(plain, held(path))) == list(map(plain, stored)), state


@slow
@given(blocks)
def test_headers_agree_with_what_they_head(made: list[Parts]) -> None:
    """Counts, times, patterns: a question that is answered from them is answered."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        for state, path, _ in states(Path(folder), made):
            reader = Reader(path)
            reader.refresh()
            ids = [header.id for header in reader.headers]
            headed = zip(
                reader.headers, reader.counts(ids), reader.patterns(ids), strict=True
            )
            for header, counts, patterns in headed:
                block = reader.load(header)
                times = block.batch.columns["timestamp"].numbers
                codes = pattern_ids(block.batch.columns["message"])

                assert int(counts.counts.sum()) == header.rows == block.rows, state
                assert (int(times.min()), int(times.max())) == header[3:5]
                for key, count in zip(patterns.ids, patterns.counts, strict=True):
                    assert int((codes == key).sum()) >= count
            reader.close()
