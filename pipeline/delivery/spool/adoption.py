"""What dead processes have left: found, locked and opened, to be sent by a later one.

A segment of another user, of an unknown version or without a readable head is reported
and left alone.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

from pipeline.delivery.spool.lock import SUFFIX, Lock, is_free, maybe_lock, open_file
from pipeline.delivery.spool.mark import Mark, maybe_mark
from pipeline.delivery.spool.records import HEAD_BYTES, MAGIC, maybe_head
from pipeline.delivery.spool.segment import Segment
from pipeline.delivery.spool.spool import Spool

Report = Callable[[str], None]
"""Told of each file that can't be adopted, and of torn tails."""

_NAME: Final = re.compile(rf"([0-9a-f]{{32}})\.(\d{{20}}){re.escape(SUFFIX)}")


def orphans(folder: Path, report: Report = lambda _: None) -> Iterator[Spool]:
    """The spools whose owners are dead, each locked for who iterates; close them.

    Of several adopters one gets a spool. Its numbers are known, a torn tail is cut off.
    """
    for producer in sorted(_producers(folder, report)):
        try:
            spool = _maybe_spool(folder, producer, report)
        except OSError as error:
            report(f"spool {folder}: {producer.hex()}: {error.strerror or error}")
            continue
        if spool is not None:
            yield spool


def _producers(folder: Path, report: Report) -> set[bytes]:
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return set()
    except OSError as error:
        report(f"spool {folder}: {error.strerror or error}")
        return set()
    return {bytes.fromhex(found[1]) for found in map(_NAME.fullmatch, names) if found}


def _maybe_spool(folder: Path, producer: bytes, report: Report) -> Spool | None:
    """The spool, locked; None when it has an owner, or nothing that can be sent."""
    lock = maybe_lock(folder, producer)
    if lock is None:
        return None
    try:
        segments = _segments(folder, producer, report)
        torn = _number(segments or [], report)
        mark = _mark(lock, producer, report)
    except OSError:
        lock.release(remove=False)
        raise
    if not segments:
        lock.release(remove=segments is not None)
        return None
    spool = Spool(folder, producer, limit_bytes=0, lock=lock, segments=segments)
    spool.torn_bytes = torn
    spool.mark = mark
    return spool


def _mark(lock: Lock, producer: bytes, report: Report) -> Mark:
    data = lock.read()
    mark = maybe_mark(data)
    if mark is None and any(data):
        report(f"spool of {producer.hex()}: its lock file has no mark that is known")
    return mark or Mark()


def _segments(folder: Path, producer: bytes, report: Report) -> list[Segment] | None:
    """Those that can be sent, in order; None when one is in use."""
    segments = []
    for path in sorted(folder.glob(f"{producer.hex()}.*{SUFFIX}")):
        if not _NAME.fullmatch(path.name):
            continue
        descriptor = open_file(path, os.O_RDONLY | os.O_NONBLOCK)  # it may be a pipe
        try:
            if not is_free(descriptor):
                return None
            segment = _maybe_segment(path, producer, descriptor, report)
        finally:
            os.close(descriptor)
        if segment is not None:
            segments.append(segment)
    return segments


def _maybe_segment(
    path: Path, producer: bytes, descriptor: int, report: Report
) -> Segment | None:
    """A segment of this version; what its writer had only begun is removed."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        report(f"{path}: it is not a file of this user; left alone")
        return None
    data = os.read(descriptor, HEAD_BYTES)
    head = maybe_head(data)
    if head is not None and head.producer == producer:
        return Segment(path, head, status.st_size)
    if _is_begun(path, data):
        path.unlink()
    else:
        report(f"{path}: {_unknown(data)}; left alone")
    return None


def _is_begun(path: Path, data: bytes) -> bool:
    """Whether the power went before the head was there: then no record is, either."""
    if len(data) < HEAD_BYTES and (data.startswith(MAGIC) or MAGIC.startswith(data)):
        return True
    return not any(data) and not any(path.read_bytes())


def _unknown(data: bytes) -> str:
    magic = data[: len(MAGIC)]
    if magic[:3] == MAGIC[:3] and magic != MAGIC:
        return f"version {magic!r}; known: {MAGIC!r}"
    return f"no head of a spool, got {magic!r}; must be {MAGIC!r}"


def _number(segments: list[Segment], report: Report) -> int:
    """Give segments their last numbers; bytes of the torn tail, which is cut off.

    Each ends before the next one begins; of the last one it must be looked for.
    """
    cut = 0
    for segment, following in pairwise(segments):
        segment.last = following.first - 1
    while segments:
        last = segments[-1]
        torn = last.measure()
        cut += torn
        if torn:
            report(f"{last.path}: {torn:,} bytes torn at its end are cut off")
        if last.size - torn > HEAD_BYTES:
            if torn:
                last.cut(last.size - torn)
            break
        segments.pop().remove()
    return cut
