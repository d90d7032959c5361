"""The Batch: n entries as parallel columns, the one structure from sender to query.

`layout` has the kinds and byte layouts; `encode` (standard library only) makes columns
from rows in the service that logs; `decode` (numpy) reads and checks them; `seal` joins
many batches into a block.  Nothing is imported here, so that a service that only sends
never loads numpy.
"""
