"""The spool: what a sender has numbered and the ingester has not acknowledged, on disk.

`records` and `mark` are its format (pure), `segment` is one file, `lock` who owns it,
`holding` what is there, `spool` the whole of one producer and `adoption` what dead ones
left; SPOOL.md is their page.
"""

from pipeline.delivery.spool.adoption import orphans
from pipeline.delivery.spool.holding import Extent
from pipeline.delivery.spool.mark import Mark
from pipeline.delivery.spool.records import Batch, Record, Rows
from pipeline.delivery.spool.spool import Fsync, Spool
from pipeline.errors import SpoolFullError

__all__ = [
    "Batch",
    "Extent",
    "Fsync",
    "Mark",
    "Record",
    "Rows",
    "Spool",
    "SpoolFullError",
    "orphans",
]
