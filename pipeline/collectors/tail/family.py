"""A followed name and its older selves: which of them are read, and in what order.

Pure.  They are read one after another, the oldest first.  As long as the ingester has
nothing of any that is older, none is begun before it has something of the one before:
whenever the process ends, all that still has to be read is newer than a file that the
ingester has, and so it is known from what was there before anything was followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, auto
from typing import Final

from pipeline.collectors.tail.followed import Followed, Stage

_NOW: Final = 1 << 63


class Choice(Enum):
    """How a file is begun."""

    READ = auto()
    SKIP = auto()
    """From its end on."""

    IGNORE = auto()


def choose(members: Sequence[Followed], since: int) -> list[tuple[Followed, Choice]]:
    """How to begin those of a name and its older selves that nobody has seen.

    None before all are known.  An older self that no pattern names is read when it was
    written to after one that was read, or `since` the process began: it came and went
    while nobody looked.  Otherwise it was there before anything was followed.
    """
    if any(file.stage is Stage.ASKING for file in members):
        return []
    known = [file.last_change for file in members if file.is_known]
    oldest = min(known, default=None)
    return [
        (file, _choose(file, oldest, since))
        for file in members
        if file.stage is Stage.UNSEEN
    ]


def _choose(file: Followed, oldest: int | None, since: int) -> Choice:
    if file.found.is_matched or file.is_known:
        is_late = oldest is not None or not file.is_early
        at_once = is_late or file.found.group.start == "beginning"
        return Choice.READ if at_once else Choice.SKIP
    is_newer = oldest is not None and file.last_change > oldest
    is_new = not file.is_early and file.last_change >= since
    is_read = file.found.is_rotated and (is_newer or is_new)
    return Choice.READ if is_read else Choice.IGNORE


def readable(files: Iterable[Followed]) -> list[Followed]:
    """Files that have something to read, but for those whose older selves have, too."""
    files = list(files)
    known: dict[str, int] = {}
    for file in files:
        if _is_stored(file):
            _lower(known, file)
    first: dict[str, int] = {}
    for file in files:
        if file.is_past and _is_unfinished(file, known):
            _lower(first, file)
    reading = (file for file in files if file.stage is Stage.READING and file.is_due)
    return [file for file in reading if _is_next(file, first)]


def unclosed(files: Iterable[Followed]) -> list[Followed]:
    """Older selves read to their end, whose last entry must not wait for another line.

    For newer ones have something to read: their entries come later.
    """
    files = list(files)
    latest: dict[str, int] = {}
    for file in files:
        if file.stage is not Stage.READING or not file.is_due:
            continue
        name, change = file.found.primary, file.last_change
        latest[name] = max(change, latest.get(name, change)) if file.is_past else _NOW
    return [
        file
        for file in files
        if file.is_past and not file.is_due and file.feed is not None
        if file.feed.cutter.is_open
        if file.last_change < latest.get(file.found.primary, 0)
    ]


def _lower(changes: dict[str, int], file: Followed) -> None:
    """Keep the oldest of a name."""
    name, change = file.found.primary, file.last_change
    changes[name] = min(change, changes.get(name, change))


def _is_stored(file: Followed) -> bool:
    """Whether the ingester has something of it."""
    if file.feed is None:
        return file.is_known and file.stage is Stage.CLOSED
    return file.feed.window.durable > 0


def _is_next(file: Followed, first: dict[str, int]) -> bool:
    oldest = first.get(file.found.primary)
    return oldest is None or (file.is_past and file.last_change <= oldest)


def _is_unfinished(file: Followed, known: Mapping[str, int]) -> bool:
    if file.stage is Stage.ASKING:
        return True  # it may have more
    if file.stage is not Stage.READING:
        return False
    if file.is_due:
        return True
    oldest = known.get(file.found.primary)
    is_first = oldest is None or file.last_change <= oldest
    return is_first and not file.found.is_matched and not _is_stored(file)
