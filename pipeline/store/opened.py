"""An opened block of compacted columns: of it, only what is asked for is read."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

from pipeline.errors import FrameError, StoreError
from pipeline.store.block import Block
from pipeline.store.columns import Directory, Fetch, open_columns
from pipeline.store.commits import Commits, parse_commits
from pipeline.store.runs import Runs, parse_runs


class Covered(NamedTuple):
    """The fixed part of a compacted block's header, under its checksum."""

    id: int
    first: int
    last: int
    committed: int
    tier: int
    rows: int
    size: int
    minimum: int
    maximum: int


class CompactedBlock(Block):
    """A block whose columns, runs and commits are fetched when they are asked for.

    `blob` gives a blob of the header by its name, `column` a column's by its place.
    """

    def __init__(
        self,
        covered: Covered,
        directory: Directory,
        blob: Callable[[str], bytes],
        column: Fetch,
    ) -> None:
        self.id, self.first, self.last, self.committed, self.tier, *_ = covered
        self._blob = blob
        try:
            self.rows, columns = directory
            self.batch = open_columns(self.rows, columns, column, self.id)
        except FrameError as error:
            raise StoreError(f"block {self.id} can't be read: {error}") from None

    @cached_property
    def runs(self) -> Runs:
        """The producer runs."""
        return parse_runs(self._blob("runs"))

    @cached_property
    def commits(self) -> Commits:
        """The commits that its rows came with."""
        return parse_commits(self._blob("commits"), self.rows)
