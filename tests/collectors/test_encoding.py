"""Rows become batches that a frame holds, and what can't be kept keeps its number."""

from typing import Any

import numpy as np
import pytest

from pipeline.batch.decode import parse
from pipeline.batch.encode import Row, unpacked_bytes
from pipeline.batch.layout import NUMBER
from pipeline.collectors.encoding import PAYLOAD_BYTES, Encoder

DEEP: Any = 1
for _ in range(40):
    DEEP = [DEEP]

KINDS: dict[str, dict[str, Any]] = {
    "good": {"k": "v"},
    "large": {"k": "x" * 250_000},
    "deep": {"k": DEEP},
    "much": {f"k{key}": "x" * 200_000 for key in range(30)},
}


def rows(*kinds: str) -> list[Row]:
    """One of each kind, which is its message."""
    return [(1, "app", 9, kind, KINDS[kind], None, None) for kind in kinds]


@pytest.mark.parametrize(
    "kinds",
    [
        ["good"],
        ["much"],
        ["deep", "deep"],
        ["good", "much"],
        ["much", "good", "much"],
        ["good", "deep", "good"],
        ["deep", *["large"] * 40, "deep", "much", *["large"] * 40, "good"],
        ["large"] * 50,
    ],
)
def test_every_row_is_in_a_batch_with_its_number_or_refused(kinds: list[str]) -> None:
    """Whatever stands beside it."""
    refused: list[str] = []
    encoder = Encoder(None, lambda error: refused.append(error.field))

    batches = list(encoder.encode(rows(*kinds)))

    found = {}
    first = 0
    for payload, count, span in batches:
        assert not payload or unpacked_bytes(payload) <= PAYLOAD_BYTES
        if payload:
            batch = parse(payload)
            places = list(range(span))
            if NUMBER in batch.columns:
                places = batch.columns[NUMBER].values(np.arange(count))
            entries = batch.entries(np.arange(count))
            for place, entry in zip(places, entries, strict=True):
                found[first + place] = entry.message
        first += span
    bad = ("deep", "much")
    kept = {place: kind for place, kind in enumerate(kinds) if kind not in bad}
    assert (first, found) == (len(kinds), kept)
    assert len(refused) == len(kinds) - len(kept)
