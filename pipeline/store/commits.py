"""Which rows of a block came with which commit, so that a block's past stays exact.

A page's cursor and a tail say "up to commit n": whatever was compacted since, the rows
of later commits are known, because a compacted block keeps its rows in commit order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.batch.decode import Mask
from pipeline.batch.read import Ints, bad, read_integers
from pipeline.batch.seal import integers
from pipeline.store.sections import pack_sections, read_sections


class Commits(NamedTuple):
    """Numbers of commits, ascending, and how many of the block's rows each brought."""

    numbers: Ints
    rows: Ints

    def rows_between(self, after: int, mark: int) -> tuple[int, int]:
        """The range of rows of commits above `after` and up to `mark`."""
        ends = np.concatenate([[0], np.cumsum(self.rows)])
        first, last = np.searchsorted(self.numbers, [after, mark], "right").tolist()
        low = int(ends[first])
        return low, max(low, int(ends[last]))


def single_commit(number: int, rows: int) -> Commits:
    """Of a block as it was committed."""
    return Commits(np.array([number], np.int64), np.array([rows], np.int64))


def join_commits(blocks: Sequence[Commits], keep: Sequence[Mask | None]) -> Commits:
    """The commits of the rows that are kept of blocks, in the blocks' order."""
    numbers, rows = [], []
    for commits, mask in zip(blocks, keep, strict=True):
        numbers.append(commits.numbers)
        if mask is None:
            rows.append(commits.rows)
            continue
        kept = np.concatenate([[0], np.cumsum(mask)])
        ends = np.cumsum(commits.rows)
        rows.append(kept[ends] - kept[ends - commits.rows])
    joined = Commits(np.concatenate(numbers), np.concatenate(rows))
    there = joined.rows > 0
    return Commits(joined.numbers[there], joined.rows[there])


def pack_commits(commits: Commits) -> bytes:
    """The blob of a header."""
    sections = [integers(commits.numbers), integers(commits.rows)]
    return pack_sections(len(commits.numbers), sections)


def parse_commits(data: bytes, rows: int) -> Commits:
    """Commits from a header of a block of so many rows; raises FrameError."""
    size, (numbers, counts) = read_sections(data, 2)
    commits = Commits(read_integers(numbers, size), read_integers(counts, size))
    if int(commits.rows.sum()) != rows or bool((np.diff(commits.numbers) <= 0).any()):
        raise bad(f"commits that don't add up to {rows} rows")
    return commits
