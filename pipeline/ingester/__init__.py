"""The ingester: pulls, checks, batches, commits, acknowledges, publishes.

`intake` and `batcher` decide without I/O; `committer` is the thread that compresses and
writes; `publisher` owns the XPUB socket; `ingester` is the loop that joins them.
"""
