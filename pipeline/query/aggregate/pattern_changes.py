"""What patterns of one window have become of those of another."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.query.aggregate.patterns import Seen
from pipeline.query.text import Ints, Mask
from pipeline.store.templates import Ids

FACTOR: Final = 2.0
"""So many times as many entries a second, or as few, are a change."""

Floats = npt.NDArray[np.float64]


class Changes(NamedTuple):
    """All patterns of both windows, the places of those that differ, in their order."""

    ids: Ids
    counts: Ints
    before: Ints
    ratios: Floats
    """Entries a second now over those then; infinite where there were none."""

    new: Ints
    vanished: Ints
    changed: Ints

    def places(self, ids: Ids) -> Ints:
        """Where patterns stand that are among them."""
        return np.searchsorted(self.ids, ids)


def compare(now: Seen, then: Seen, scale: float) -> Changes:
    """Compare all patterns; `scale` is the length of then over that of now."""
    ids = np.concatenate([now.ids, then.ids])
    ids.sort()
    ids = ids[np.flatnonzero(np.append(ids[1:] != ids[:-1], [True] * bool(len(ids))))]
    counts, before = (_spread(ids, seen) for seen in (now, then))
    old = before > 0
    ratios = np.full(len(ids), np.inf)
    ratios[old] = counts[old] * scale / before[old]
    both = old & (counts > 0)
    changed = both & ((ratios >= FACTOR) | (ratios <= 1 / FACTOR))
    moved = np.abs(counts - before / scale)
    return Changes(
        *(ids, counts, before, ratios),
        _ordered(~old, counts),
        _ordered(counts == 0, before),
        _ordered(changed, moved),
    )


def _spread(ids: Ids, seen: Seen) -> Ints:
    found = np.zeros(len(ids), np.int64)
    found[np.searchsorted(ids, seen.ids)] = seen.counts
    return found


def _ordered(mask: Mask, weights: Ints | Floats) -> Ints:
    """The places, those of the largest weight first."""
    places = np.flatnonzero(mask)
    return places[np.argsort(-weights[places], kind="stable")]
