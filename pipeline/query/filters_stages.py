"""The filter of stages: entries that match by fields that are read out of their texts.

It costs more than any other, so it is asked for rows that all others leave.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.query.compile import compile_tree
from pipeline.query.derived import Stages
from pipeline.query.filters import Filter
from pipeline.query.stages import Stage, Where, asked_fields
from pipeline.query.syntax import Node
from pipeline.query.text import Mask
from pipeline.query.view import View


class _Condition:
    """One condition, and the stages before it."""

    def __init__(self, before: Sequence[Stage], tree: Node) -> None:
        self._stages = Stages(before)
        self._filter = compile_tree(tree)
        self._names = asked_fields(tree)

    def rows(self, view: View, among: Mask) -> Mask:
        """Which of these rows match."""
        if not self._stages.changes(self._names):
            return self._filter.rows(view, among)
        found: Mask = np.zeros(view.rows, np.bool_)
        chosen = np.flatnonzero(among)
        for rows, derived in self._stages.pieces(view, chosen, self._names):
            wanted: Mask = np.zeros(view.rows, np.bool_)
            wanted[rows] = True
            found |= self._filter.rows(derived, wanted)
        return found


class Staged(Filter):
    """All conditions of the stages match."""

    cost = 1000

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._conditions = list(_conditions(stages))

    def rows(self, view: View, among: Mask) -> Mask:
        """Those that pass all, in their order."""
        for condition in self._conditions:
            if not among.any():
                break
            among = condition.rows(view, among)
        return among


def _conditions(stages: Sequence[Stage]) -> Iterator[_Condition]:
    for at, stage in enumerate(stages):
        if isinstance(stage, Where):
            yield _Condition(stages[:at], stage.condition)
