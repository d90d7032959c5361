"""A followed name and its older selves: which of them are read, and in what order.

Pure.  They are read one after another, the oldest first, and none before the ingester
has something of the one before it: whenever the process ends, all that still has to be
read is newer than a file that the ingester has, and so it is known from what was there
before anything was followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum, auto

from pipeline.collectors.tail.followed import Followed, Stage


class Choice(Enum):
    """How a file is begun."""

    READ = auto()
    SKIP = auto()
    """From its end on."""

    IGNORE = auto()


def choose(members: Sequence[Followed]) -> list[tuple[Followed, Choice]]:
    """How to begin those of a name and its older selves that nobody has seen.

    None before all are known.  An older self that no pattern names is read when it was
    written to after one that was read: it came and went while nobody looked.  Otherwise
    it was there before anything was followed.
    """
    if any(file.stage is Stage.ASKING for file in members):
        return []
    known = [file.last_change for file in members if file.is_known]
    return [
        (file, _choose(file, known)) for file in members if file.stage is Stage.UNSEEN
    ]


def _choose(file: Followed, known: Sequence[int]) -> Choice:
    if file.found.is_matched or file.is_known:
        is_late = known or not file.is_early or file.found.group.start == "beginning"
        return Choice.READ if is_late else Choice.SKIP
    is_newer = file.found.is_rotated and any(t < file.last_change for t in known)
    return Choice.READ if is_newer else Choice.IGNORE


def readable(files: Iterable[Followed]) -> list[Followed]:
    """Files that have something to read, but for those whose older selves have, too."""
    reading = [file for file in files if file.stage is Stage.READING]
    first: dict[str, int] = {}
    for file in reading:
        if file.is_past and _is_unfinished(file):
            name, change = file.found.primary, file.last_change
            first[name] = min(change, first.get(name, change))
    return [file for file in reading if file.is_due and _is_next(file, first)]


def _is_next(file: Followed, first: dict[str, int]) -> bool:
    oldest = first.get(file.found.primary)
    return oldest is None or (file.is_past and file.last_change <= oldest)


def _is_unfinished(file: Followed) -> bool:
    assert file.feed is not None
    is_unknown = not file.found.is_matched and file.feed.window.durable == 0
    return file.is_due or is_unknown
