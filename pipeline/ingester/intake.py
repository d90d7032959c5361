"""What a message means: a batch to keep, a duplicate, a dead letter, a plain entry.

No socket and no clock: frames go in, and what to do about them accumulates here until
`cut` hands it over as one commit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.batch.layout import SOURCE
from pipeline.batch.pack import pack
from pipeline.delivery.stream import Stream, Streams, Verdict
from pipeline.entry import Entry
from pipeline.errors import EntryError, FrameError
from pipeline.ingester.batcher import Batcher, Policy
from pipeline.ingester.sources import Check, check_batch, check_rows, check_unaudited
from pipeline.limits import BATCH_ROWS, DEAD_LETTER_BYTES, PLAIN_BYTES
from pipeline.store.block import Part
from pipeline.store.writer import DeadLetter
from pipeline.wire.codec import Rejected, batch_of, decode_batch, decode_plain
from pipeline.wire.frame import (
    HEADER_BYTES,
    MAGIC,
    Bytes,
    Flag,
    Header,
    Reply,
    crc_matches,
    parse_header,
)

LETTERS_MAX: Final = 1000
"""Dead letters of one commit: a flood of bad input must not become the store."""

DISK_FULL: Final = "disk_full"
"""Reason of plain entries that nobody holds when the disk is full."""

_PLAIN_ROWS: Final = 1000
_NAME_BYTES: Final = 256


@dataclass(frozen=True, slots=True)
class Cut:
    """What one commit must make durable."""

    blocks: list[list[Part]]
    marks: list[Stream]
    letters: list[DeadLetter]
    forgotten: list[bytes]


class Intake:
    """Judges messages and gathers the next commit."""

    def __init__(self, boot: bytes, known: Sequence[Stream], policy: Policy) -> None:
        self.streams = Streams(known)
        self.epoch = 0
        """Time of day less `now`, which is monotonic everywhere here; its owner looks
        anew each turn, for the time of day may be set."""
        self.batcher = Batcher(policy)
        self.is_refusing = False
        """Whether the disk has no room: nothing new is taken."""

        self.counters: Counter[str] = Counter()
        self.replies: dict[bytes, Reply] = {}
        """Producers to be answered now; a NACK outranks an ACK."""
        self._check: Check = check_unaudited
        self._plain = Stream(boot, kind="plain")
        self._plain_changed = False
        self._rows: list[Entry] = []
        self._row_bytes = 0
        self._marked: set[bytes] = set()
        self._undurable: set[bytes] = set()
        self._letters: list[DeadLetter] = []

    def receive(
        self,
        frames: Sequence[Bytes],
        now: int,
        *,
        is_own: bool = False,
        check: Check = check_unaudited,
    ) -> None:
        """Take in one message of either kind, whatever it holds.

        The ingester's own is taken also when others are refused. `check` raises
        EntryError for a source that the sender may not log under.
        """
        self.counters["messages"] += 1
        self._check = check
        is_batch = len(frames) == 2 and _is_header(frames[0])
        try:
            if is_batch:
                self._receive_batch(frames[0], frames[1], now)
            else:
                self._receive_plain(frames, now, is_own=is_own)
        except FrameError as error:
            if not is_batch:
                self.counters["rejected"] += 1
                self._count_plain({error.reason: 1}, now)
            self._bury(error.reason, error.detail, None, b"".join(frames), now)

    def due(self, now: int) -> bool:
        """Whether the next commit should start."""
        deadline = self.batcher.deadline()
        return self.batcher.full() or (deadline is not None and now >= deadline)

    def cut(self, now: int) -> Cut:
        """Everything gathered since the last cut, with copies of the marks."""
        self._seal_plain(now)
        marks = [
            stream.copy() for stream in map(self.streams.peek, self._marked) if stream
        ]
        if self._plain_changed:
            marks.append(self._plain.copy())
            self._plain_changed = False
            self._plain.durable = self._plain.accepted
        letters, self._letters = self._letters, []
        forgotten, self.streams.forgotten = self.streams.forgotten, []
        self._marked.clear()
        return Cut(self.batcher.cut(now), marks, letters, forgotten)

    def committed(self, cut: Cut) -> list[Stream]:
        """Raise the durable marks after a commit; the streams to acknowledge."""
        done = []
        for mark in cut.marks:
            stream = self.streams.peek(mark.producer)
            if stream is not None:
                stream.durable = mark.accepted
                done.append(stream)
                if stream.durable == stream.accepted:
                    self._undurable.discard(stream.producer)
        return done

    def undurable(self) -> list[Stream]:
        """Producers with batches that are accepted and not yet durable."""
        streams = map(self.streams.peek, self._undurable)
        return [stream for stream in streams if stream is not None]

    def _receive_batch(self, head: Bytes, payload: Bytes, now: int) -> None:
        header = parse_header(head)
        if not crc_matches(head, payload):
            detail = "header and payload differ from what their sender summed up"
            self._bury("bad_crc", detail, header.producer, bytes(payload), now)
            known = self.streams.peek(header.producer)
            if known is not None and known.refuse(now) is Verdict.NACK:
                self.replies[header.producer] = Reply.NACK
            return
        stream = self.streams.get(header.producer)
        self._check_owner(stream)
        verdict = stream.judge(header, now)
        stream.seen = now + self.epoch
        if verdict is Verdict.TAKE and self.is_refusing:
            self.counters["batches_refused"] += 1
            if stream.refuse(now) is Verdict.NACK:
                self.replies[header.producer] = Reply.NACK
        elif verdict is Verdict.TAKE:
            self._take(stream, header, payload, now)
        elif verdict is Verdict.DUPLICATE:
            if stream.duplicate(header):
                self._marked.add(header.producer)
                self.batcher.hasten(now + self.batcher.policy.age)
            self.counters["duplicates"] += header.rows
            self.replies.setdefault(header.producer, Reply.ACK)
        else:
            self.counters["gaps"] += 1
            if verdict is Verdict.NACK:
                self.replies[header.producer] = Reply.NACK
        if header.flags & Flag.FLUSH and stream.durable < stream.accepted:
            self.batcher.flush(now)

    def _check_owner(self, stream: Stream) -> None:
        """Its numbers are for who may log under the source that it began with: another
        could have what comes from there taken for repeated."""
        try:
            if stream.source:
                self._check(stream.source)
        except EntryError:
            detail = f"the producer is one of source {stream.source!r}"
            raise FrameError("foreign_producer", detail) from None

    def _take(self, stream: Stream, header: Header, payload: Bytes, now: int) -> None:
        batch, reasons = None, Counter[str]()
        try:
            found = decode_batch(header, payload, now + self.epoch)
            decoded = check_batch(found, self._check)
        except FrameError as error:
            self._bury(error.reason, error.detail, header.producer, bytes(payload), now)
            self.counters["rejected"] += header.rows
            reasons[error.reason] = header.rows
        else:
            batch = decoded.batch
            reasons = self._reject(decoded.rejected, header.producer, now)
        stream.began = stream.began or stream.seen
        if batch is not None:
            stream.source = stream.source or batch.columns[SOURCE].dictionary[0]
            part = Part(batch, header.producer, header.sequence, decoded.offsets)
            self._keep(part, len(payload), now)
        stream.take(header, reasons)
        self._marked.add(header.producer)
        self._undurable.add(header.producer)
        self.batcher.hasten(now + self.batcher.policy.age)

    def _receive_plain(
        self, frames: Sequence[Bytes], now: int, *, is_own: bool
    ) -> None:
        if not 0 < len(frames) <= 2:
            raise FrameError("bad_frames", f"{len(frames)} frames; must be 1 or 2")
        source = None
        if len(frames) == 2 and 0 < len(frames[0]) <= _NAME_BYTES:
            source = bytes(frames[0]).decode(errors="replace")
        rows = decode_plain(frames[-1], now + self.epoch, source)
        if not is_own:
            rows = check_rows(rows, self._check)
        if self.is_refusing and not is_own:
            count = len(rows.entries) + len(rows.rejected)
            self.counters["entries_refused"] += count
            self._count_plain({DISK_FULL: count}, now)
            return
        if len(self._rows) + len(rows.entries) > BATCH_ROWS:
            self._seal_plain(now)
        self._rows += rows.entries
        self._row_bytes += len(frames[-1])
        self.counters["plain_entries"] += len(rows.entries)
        unknown = sum("level_text" in (row.metadata or ()) for row in rows.entries)
        self.counters["unknown_levels"] += unknown
        self._count_plain(self._reject(rows.rejected, None, now), now)
        if len(self._rows) >= _PLAIN_ROWS or self._row_bytes >= PLAIN_BYTES:
            self._seal_plain(now)
        if rows.entries:
            self.batcher.hasten(now + self.batcher.policy.age)

    def _count_plain(self, rejected: Mapping[str, int], now: int) -> None:
        """In the ledger a message that can't be read is one rejected entry."""
        self._plain.reject(rejected)
        self._plain.seen = now + self.epoch
        self._plain.began = self._plain.began or self._plain.seen
        self._plain_changed = True

    def _seal_plain(self, now: int) -> None:
        """Plain entries get the boot id as producer and running numbers."""
        rows, self._rows = self._rows, []
        size, self._row_bytes = self._row_bytes, 0
        batch = batch_of(rows).batch if rows else None
        if batch is not None:
            plain = self._plain
            self._keep(Part(batch, plain.producer, plain.accepted + 1, None), size, now)
            plain.accepted += len(rows)
            plain.stored += len(rows)

    def _keep(self, part: Part, size: int, now: int) -> None:
        self.counters["entries"] += part.batch.rows
        self.counters["bytes"] += size
        self.batcher.add(part, now)

    def _reject(
        self, rejected: Sequence[Rejected], producer: bytes | None, now: int
    ) -> Counter[str]:
        """Bury what was rejected; how many by reason."""
        self.counters["rejected"] += len(rejected)
        reasons = Counter(_reason(error) for _, error, _ in rejected)
        for _, error, found in rejected[:LETTERS_MAX]:
            self._bury(_reason(error), str(error), producer, _copy(found), now)
        return reasons

    def _bury(
        self, reason: str, detail: str, producer: bytes | None, body: bytes, now: int
    ) -> None:
        self.counters[f"dead_letter.{reason}"] += 1
        if len(self._letters) >= LETTERS_MAX:
            self.counters["dead_letters_not_kept"] += 1
            return
        copy = bytes(body[:DEAD_LETTER_BYTES])
        time = now + self.epoch
        self._letters.append(
            DeadLetter(time, reason, detail[:1000], producer, len(body), copy)
        )
        self.batcher.hasten(now + self.batcher.policy.age)


def _reason(error: EntryError) -> str:
    return f"entry_{error.field.split('.')[0][:32]}"


def _copy(found: object) -> bytes:
    """A rejected entry as msgpack; of one nested too deep, the fields that are not."""
    try:
        return pack(found)
    except (ValueError, RecursionError):
        fields = found.items() if isinstance(found, dict) else ()
        return pack(
            {key: item for key, item in fields if not isinstance(item, dict | list)}
        )


def _is_header(frame: Bytes) -> bool:
    return bytes(frame[: len(MAGIC) - 1]) == MAGIC[:-1] or len(frame) == HEADER_BYTES
