"""From an id to the entry: the blocks whose times span it, and the row in one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.entry import decode_id
from pipeline.errors import EntryError
from pipeline.query.budget import Budget
from pipeline.query.cursor import Key
from pipeline.query.filters import Everything
from pipeline.query.methods.method import Context
from pipeline.query.plan import Plan
from pipeline.query.requests import FieldError
from pipeline.query.rows import Renderer, Row
from pipeline.query.scan import Scan
from pipeline.query.view import View
from pipeline.store.reader import Header
from pipeline.timestamp import TIMESTAMP_MAX

_GONE_HINT = "it may have been deleted, or be older than what is kept"


class Located(NamedTuple):
    """Where an entry is; `scan` has its block open."""

    scan: Scan
    header: Header
    view: View
    place: int
    key: Key

    def row(self, renderer: Renderer, context: bool | None = None) -> Row:
        """The entry as replies have it."""
        (row,) = renderer.rows(self.view, np.array([self.place]), context)
        return row


def locate(context: Context, identity: str, budget: Budget) -> Located:
    """The entry with this id; raises FieldError, also when it isn't there."""
    try:
        key = decode_id(identity)
    except EntryError as error:
        raise FieldError("id", error.problem, hint=error.expected) from None
    newest = context.headers.refresh()
    scan = Scan(context.headers, _moment(key[0], newest), budget)
    for header in scan.visit(descending=True):
        view = scan.open(header)
        if view is None:
            continue
        places = np.flatnonzero(view.timestamps() == key[0])
        identities = view.block.identities(places) if len(places) else []
        for place, found in zip(places.tolist(), identities, strict=True):
            if found == key[1:]:
                return Located(scan, header, view, place, key)
    raise FieldError("id", "no entry has this id", hint=_GONE_HINT)


def bounded(moment: int) -> int | None:
    """The first nanosecond after this one; None after the last."""
    return None if moment >= TIMESTAMP_MAX else moment + 1


def _moment(timestamp: int, newest: int) -> Plan:
    return Plan(Everything(), timestamp, bounded(timestamp), newest)
