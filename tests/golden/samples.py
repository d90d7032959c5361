"""What the golden files hold, as values; `files` makes their bytes of today's code."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from zlib import crc32

import msgpack

from pipeline.batch.decode import Batch, parse
from pipeline.batch.encode import encode_rows
from pipeline.batch.joined import pack_parts
from pipeline.batch.seal import seal
from pipeline.compression import compress
from pipeline.delivery.spool.records import (
    BATCH,
    ROW,
    Head,
    RowPacker,
    pack_head,
    pack_record,
)
from pipeline.delivery.spool.records import Batch as SpooledBatch
from pipeline.delivery.spool.records import pack_batch as pack_spooled
from pipeline.entry import Entry
from pipeline.store.block import Block, Part, seal_block
from pipeline.store.chain import (
    BEGUN,
    DELETION,
    NO_HASH,
    Held,
    State,
    added,
    compacted_head,
    digest_of,
    fresh_head,
    hash_of,
    restated,
    swapped,
)
from pipeline.store.chain import pack as pack_event
from pipeline.store.compacted import Compacted, compact
from pipeline.wire.frame import (
    Acknowledgement,
    Codec,
    Flag,
    Header,
    Reply,
    Status,
    pack_acknowledgement,
    pack_header,
)

FOLDER: Final = Path(__file__).parent
PRODUCER: Final = bytes(range(16))
OTHER: Final = bytes(range(16, 32))
BOOT: Final = bytes(range(0xF0, 0x100))
START: Final = 1_763_800_000_000_000_000

TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
EVERY_KIND: Final = {
    "int": 7,
    "float": 0.25,
    "bool": True,
    "same": "eu-west-1",
    "text": "first",
    "mixed": [1, None, {"a": b"\xff"}],
    "null": None,
}
ENTRIES: Final = (
    Entry(START, "web", 9, "héllo", EVERY_KIND, ["a", "b"], TRACE),
    Entry(START + 5, "web", 17, "line\nbreak", {**EVERY_KIND, "text": "b"}, [], None),
    Entry(START + 9, "api", 13, "", {"same": "eu-west-1", "int": -300}, ["a"], None),
    Entry(START + 9, "web", 1, "bare", {}, [], None),
)
"""Every kind of a column: INT64, FLOAT64, BOOL, DICT, TEXT, PACKED, BYTES16, U8, SHAPE;
`float` is a decimal, and sealed, the times become differences."""

LATER: Final = (
    Entry(-1, "web", 24, "before 1970", {"int": 2.5}, [], "not-hex"),
    Entry((1 << 63) - 1, "a\nb\\", 5, "end", {"float": 1e300}, [], None),
)
"""Joined with ENTRIES: `int` is of two kinds, trace ids are hex and not."""

ALIKE: Final = tuple(
    Entry(START + n, "web", 9, f"user {n} of ord_{n:05} at {n:08x}", {}, [], None)
    for n in range(40)
)
"""Messages of one template: its variables are numbers, marked numbers and hex."""

NUMBERS: Final = (0, 5)
HEADER: Final = Header(Flag.FLUSH | Flag.FIN, Codec(0), PRODUCER, 1001, 501, 4, 4, 0, 2)
REPLY: Final = Acknowledgement(
    Reply.NACK, Status.DISK_FULL, 250, BOOT, 1000, 1004, 3, 16 << 20
)
SPOOL_HEAD: Final = Head(bytes([0xA1, 0xB2, 0xC3, 0xD4]), PRODUCER, 7)
SPOOL_ROW: Final = (9, "web", 9, "hi", {"n": 1}, None, None)
SPOOL_BATCH: Final = SpooledBatch(8, 3, 2, 0, b"abc")
PLAIN_MAP: Final = {"source": "web", "level": "warn", "message": "héllo", "n": 1}
PLAIN_ARRAY: Final = [PLAIN_MAP, {"source": "web"}, {**PLAIN_MAP, "timestamp": 1.5}]


def batches() -> list[Batch]:
    """ENTRIES and LATER, as two senders give them."""
    return [parse(encode_rows(list(rows))) for rows in (ENTRIES, LATER)]


def parts() -> list[Part]:
    """Their batches with numbers."""
    first, second = batches()
    return [
        Part(first, PRODUCER, 1001, None),
        Part(second, OTHER, 7, None),
        Part(second, OTHER, 9, None),
    ]


def compacted() -> Compacted:
    """Two fresh blocks as one: messages with a template and without."""
    alike = parse(encode_rows(list(ALIKE)))
    sealed = seal_block(parts()), seal_block([Part(alike, PRODUCER, 1005, None)])
    blocks = [
        Block(number, each.data, each.runs, START + number)
        for number, each in enumerate(sealed, 1)
    ]
    return compact(blocks, 3)


def spool() -> bytes:
    """A segment with a row and a batch."""
    data = pack_head(SPOOL_HEAD)
    row, batch = RowPacker().pack(SPOOL_ROW), pack_spooled(SPOOL_BATCH)
    for kind, number, body in ((ROW, 7, row), (BATCH, 8, batch)):
        data += pack_record(SPOOL_HEAD.marker, kind, number, body, len(data))
    return data


def chained() -> list[tuple[int, bytes, bytes]]:
    """A chain that begins, two fresh blocks, and one in their place without a row."""
    made: list[tuple[int, bytes, bytes]] = []
    head = NO_HASH
    digest = digest_of(fresh_head(*range(9)), [b"counts"], [b"runs"], [b"data"])
    blocks = [Held(number, number, number, 8, digest, True) for number in (1, 2)]
    numbers = digest_of(compacted_head(range(9), 9, bytes(20)))
    merged = Held((1 << 40) + 1, 1, 2, 15, numbers, False)
    for event in (
        restated([], State(), BEGUN, NO_HASH, START),
        added(blocks, START + 1),
        swapped(merged, [1, 2], DELETION, START + 2),
    ):
        packed = pack_event(event)
        head = hash_of(head, packed)
        made.append((len(made) + 1, head, packed))
    return made


def files() -> dict[str, bytes]:
    """Name and content of every file."""
    payload = encode_rows(list(ENTRIES))
    block = seal_block(parts())
    return {
        "header": pack_header(HEADER, crc32(payload)),
        "payload": payload,
        "payload_numbers": encode_rows(list(LATER), list(NUMBERS)),
        "payload_zstd": compress(payload),
        "acknowledgement": pack_acknowledgement(REPLY),
        "plain_map": msgpack.packb(PLAIN_MAP),
        "plain_array": msgpack.packb(PLAIN_ARRAY),
        "sealed": seal(batches(), 1),
        "sealed_zstd": seal([parse(encode_rows(list(ENTRIES * 30)))], 1),
        "parts": pack_parts(batches()),
        "counts": block.counts,
        "runs": block.runs,
        "spool": spool(),
        "compacted": compacted().pack(),
        "chain": msgpack.packb(chained()),
    }


def golden(name: str) -> bytes:
    """A file as it was when it was written."""
    return bytes.fromhex((FOLDER / f"{name}.hex").read_text())


def written(content: bytes) -> str:
    """A file's text: 32 bytes a line."""
    lines = (content[at : at + 32] for at in range(0, len(content), 32))
    return "".join(line.hex(" ", 4) + "\n" for line in lines)
