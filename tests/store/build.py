"""A store on disk with the blocks that a test wants, written as the ingester does."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.delivery.stream import Stream
from pipeline.entry import Entry
from pipeline.store.block import Part, seal_block
from pipeline.store.writer import Writer
from pipeline.wire.codec import batch_of

PRODUCER = bytes(range(16))


def build_store(
    path: Path, blocks: Sequence[Sequence[Entry]], producer: bytes = PRODUCER
) -> None:
    """One block for each inner list, its rows numbered on from the block before."""
    writer = Writer(path)
    stream = writer_stream(writer, producer)
    for rows in blocks:
        batch = batch_of(rows).batch
        assert batch is not None
        part = Part(batch, producer, stream.accepted + 1, None)
        stream.accepted += len(rows)
        stream.stored += len(rows)
        writer.commit([seal_block([part])], [stream], [], [], now=1)
    writer.close()


def writer_stream(writer: Writer, producer: bytes) -> Stream:
    """What the database knows of the producer, or a new stream."""
    known = {stream.producer: stream for stream in writer.streams()}
    return known.get(producer, Stream(producer))
