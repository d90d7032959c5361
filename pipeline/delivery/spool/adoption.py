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

from pipeline.delivery.spool.lock import SUFFIX, maybe_lock, open_file
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
        paths = sorted(folder.glob(f"{producer.hex()}.*{SUFFIX}"))
        segments = [
            segment
            for path in paths
            if _NAME.fullmatch(path.name)
            if (segment := _maybe_segment(path, producer, report)) is not None
        ]
        segments = _numbered(segments, report)
    except OSError:
        lock.release(remove=False)
        raise
    if not segments:
        lock.release(remove=True)
        return None
    return Spool(
        folder, producer, limit_bytes=0, fsync="none", lock=lock, segments=segments
    )


def _maybe_segment(path: Path, producer: bytes, report: Report) -> Segment | None:
    """A segment of this version; what its writer had only begun is removed."""
    descriptor = open_file(path, os.O_RDONLY | os.O_NONBLOCK)  # it may be a pipe
    try:
        status = os.fstat(descriptor)
        data = os.read(descriptor, HEAD_BYTES)
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        report(f"{path}: it is not a file of this user; left alone")
        return None
    head = maybe_head(data)
    if head is None or head.producer != producer:
        if _is_begun(path, data):
            path.unlink(missing_ok=True)
        else:
            report(f"{path}: {_unknown(data)}; left alone")
        return None
    return Segment(path, head, status.st_size)


def _is_begun(path: Path, data: bytes) -> bool:
    """Whether the power went before the head was there: then no record is, either."""
    if len(data) < HEAD_BYTES and (data + MAGIC).startswith(MAGIC):
        return True
    return not any(data) and not any(path.read_bytes())


def _unknown(data: bytes) -> str:
    magic = data[: len(MAGIC)]
    if magic[:3] == MAGIC[:3] and magic != MAGIC:
        return f"version {magic!r}; known: {MAGIC!r}"
    return f"no head of a spool, got {magic!r}; must be {MAGIC!r}"


def _numbered(segments: list[Segment], report: Report) -> list[Segment]:
    """Segments with their last numbers; of the last one they must be looked for.

    The others end before the next one begins.
    """
    for segment, following in pairwise(segments):
        segment.last = following.first - 1
    while segments:
        torn = segments[-1].measure()
        if torn:
            report(f"{segments[-1].path}: {torn:,} bytes torn at its end are cut off")
            segments[-1].cut(segments[-1].size - torn)
        if segments[-1].rows:
            break
        segments.pop().remove()
    return segments
