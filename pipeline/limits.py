"""Every limit on what comes in, each with its reason; checked before a length is used.

The wire, the plain senders, JSON-RPC and standard input all share this one list.
"""

from __future__ import annotations

from typing import Final

MESSAGE_BYTES: Final = 1 << 20
"""A message: 1 MiB holds the longest stack traces seen; a bigger one is a file."""

METADATA_BYTES: Final = 256 << 10
"""An entry's metadata as msgpack: Vector and Loki cap structured metadata lower."""

METADATA_KEYS: Final = 1024
"""Metadata keys of one entry: each may become a column."""

METADATA_KEY_BYTES: Final = 256
"""One metadata key: it is a column's name, and is stored once a block."""

NESTING: Final = 32
"""Depth of nested maps and lists: decoders recurse, and a thread's stack is small."""

SOURCE_BYTES: Final = 256
"""A source is a name, repeated in every count and listing."""

TAGS: Final = 64
"""Tags of one entry: beyond that they are data and belong in metadata."""

TAG_BYTES: Final = 256
"""One tag is a name."""

TRACE_ID_BYTES: Final = 256
"""W3C trace ids have 32 characters; other systems' ids are longer, never by much."""

BATCH_ROWS: Final = 65_536
"""Rows of a batch or block: row codes fit u16, a column stays in the L2 cache."""

BATCH_COLUMNS: Final = 128
"""Metadata columns of a batch; the rarest keys beyond share one PACKED column."""

BLOCK_COLUMNS: Final = 1024
"""Columns of a block, which joins batches of many senders: 20 with 50 keys each."""

FRAME_BYTES: Final = 16 << 20
"""A wire frame, and ZMQ_MAXMSGSIZE: one peer can't make the ingester allocate more."""

PLAIN_BYTES: Final = 4 << 20
"""A plain message: its rows become objects before they can be checked, at up to 64
bytes of memory for each byte."""

PAYLOAD_BYTES: Final = 64 << 20
"""A payload after decompression: 65,536 rows of 1 KiB; a bomb is refused before it
is inflated."""

BLOCK_BYTES: Final = 1 << 30
"""A block after decompression, at most: the ingester joins PAYLOAD_BYTES of batches,
and columns that they give different kinds may grow. A reader opens one at a time."""

SUBSCRIPTION_BYTES: Final = 256
"""XPUB's ZMQ_MAXMSGSIZE: one raw 8 MB subscription cost 927 MB without it."""

REQUEST_BYTES: Final = 1 << 20
"""A request to the ingester's control socket: a filter with its longest lists."""

PEERS: Final = 16_384
"""Descriptors that the ingester allows itself: with 1,024, which is usual, a thousand
connections that say nothing keep others out, and libzmq spins on those it can't take.
"""

DEAD_LETTER_BYTES: Final = 4096
"""The copy kept of a refused frame: enough to recognise who sent it."""

NUMBER_MAX: Final = 1 << 62
"""Sequence numbers stay below: SQLite's integers are signed 64 bit."""
