"""A producer's records under another one's id, when its own can't be used any more."""

from __future__ import annotations

from pipeline.delivery.spool.records import Record, Rows
from pipeline.delivery.spool.spool import Spool


def copy_records(
    old: Spool, new: Spool, first: int, last: int, shift: int, size: int
) -> int:
    """Append numbers `first` to `last` less `shift`; where it ends.

    About `size` bytes at a time. Raises DeliveryError.
    """
    number = first
    while number <= last:
        records = old.read(number, size, size)
        if not records:
            break
        for record in records:
            number = _copy(record, new, shift)
    return number - 1


def _copy(record: Record, new: Spool, shift: int) -> int:
    if isinstance(record, Rows):
        new.append_rows(record.number - shift, record.rows)
        return record.number + len(record.rows)
    fields = (record.span, record.count, record.codec, record.payload)
    new.append_batch(record.sequence - shift, *fields)
    return record.sequence + record.span
