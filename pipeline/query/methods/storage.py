"""`storage`: what each source takes, for the gateway's metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from pipeline.query.budget import Budget
from pipeline.query.committed import StorageReply, StorageRequest
from pipeline.query.filters import Everything
from pipeline.query.methods.method import Context, read_params
from pipeline.query.plan import Plan
from pipeline.query.scan import Scan

NAME: Final = "storage"


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> StorageReply:
    """The sources with most bytes first: of a block each has its entries' share."""
    del now
    request = read_params(params, StorageRequest)
    newest = context.own.refresh()
    scan = Scan(context.own, Plan(Everything(), mark=newest), budget)
    entries: dict[str, int] = {}
    sizes: dict[str, float] = {}
    for header in scan.visit(descending=True):
        counts = scan.maybe_counts(header)
        if counts is None:
            continue
        sums = np.bincount(counts.source_codes, counts.counts, len(counts.sources))
        for name, rows in zip(counts.sources, sums.astype(int).tolist(), strict=True):
            entries[name] = entries.get(name, 0) + rows
            share = header.size * rows / max(header.rows, 1)
            sizes[name] = sizes.get(name, 0.0) + share
    largest = sorted(sizes, key=lambda name: -sizes[name])
    return StorageReply(
        {
            name: {"entries": entries[name], "bytes": round(sizes[name])}
            for name in largest[: request.limit]
        },
        len(sizes),
    )
