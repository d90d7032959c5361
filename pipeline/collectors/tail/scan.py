"""Finds the files that are to be followed, and their older selves under new names."""

from __future__ import annotations

import os
import re
import stat
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from pipeline.collectors.tail.identity import Inode
from pipeline.collectors.tail.walk import Walk, is_at
from pipeline.settings.model import Files

FILES_MAX: Final = 4096
"""Followed at once: those that were written to last."""

OLDER_MAX: Final = 64
"""Rotated files that are looked at for each name."""

_ROTATED: Final = re.compile(
    r"[._~-]?(?:[\dTZ:._+-]*\d[\dTZ:._+-]*|old|bak|prev|orig|save)", re.IGNORECASE
)
"""What rotation puts behind a name: .1, -20261122, .2026-11-22T10:00, .old. Anything
else is another kind of file: a lock, an editor's, one that was compressed."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file that was found, as it was then."""

    path: str
    inode: Inode
    size: int
    modified: int
    group: Files
    primary: str
    """The followed file whose name this one's begins with; mostly its own."""

    is_matched: bool
    """Whether a pattern names it, and not only the name that it had before."""

    others: tuple[Inode, ...] = ()
    """Files whose content it may be a copy of."""

    @property
    def is_rotated(self) -> bool:
        """Whether its name is a followed one's with more, as rotation names files."""
        rest = self.path[len(self.primary) :]
        return bool(rest) and _ROTATED.fullmatch(rest) is not None


@dataclass(slots=True)
class Scan:
    """What one look around has found."""

    files: list[Found]
    beyond: int = 0
    """Files that were left alone because there are too many."""

    unlisted: dict[str, str] = field(default_factory=dict)
    """Folders of which not all could be seen, each with why."""

    is_partial: bool = False
    """Whether files may be anywhere and not be seen: out of descriptors, say."""

    @property
    def problem(self) -> str:
        """What could not be seen, in one line; mostly nothing."""
        for folder, problem in self.unlisted.items():
            more = len(self.unlisted) - 1
            others = f" and {more} others" if more else ""
            return f"can't see all of {folder}{others}: {problem}"
        return ""

    def hides(self, file: Found) -> bool:
        """Whether one that wasn't found may be there all the same."""
        if self.is_partial:
            return True
        within = any(
            file.path.startswith(os.path.join(folder, "")) for folder in self.unlisted
        )
        return within and is_at(file.path, *file.inode)


def scan(groups: Sequence[Files]) -> Scan:
    """All files of all groups; one that two groups name belongs to the first."""
    found: dict[Inode, Found] = {}
    walk = Walk()
    for group in groups:
        for file in _group(group, walk):
            found.setdefault(file.inode, file)
    files = sorted(found.values(), key=lambda file: file.modified, reverse=True)
    beyond = max(0, len(files) - FILES_MAX)
    return Scan(files[:FILES_MAX], beyond, walk.unlisted, walk.is_partial)


def _group(group: Files, walk: Walk) -> Iterator[Found]:
    folders: dict[str, set[str]] = {}
    for pattern in map(os.path.expanduser, group.paths):
        # One that is away for the moment still tells of those that it was before.
        for folder, name in walk.matches(os.path.abspath(pattern)):
            if not _is_excluded(folder, name, group.exclude):
                folders.setdefault(folder, set()).add(name)
    for folder, names in folders.items():
        yield from _folder(folder, names, group, walk)


def _is_excluded(folder: str, name: str, exclude: Sequence[str]) -> bool:
    path = os.path.join(folder, name)
    return any(fnmatch(path if "/" in glob else name, glob) for glob in exclude)


def _folder(
    folder: str, matched: set[str], group: Files, walk: Walk
) -> Iterator[Found]:
    # A folder that can't be listed may still be entered.
    names = sorted({*matched, *(name.text for name in walk.names(folder))})
    primaries: dict[str, str] = {}
    for name in sorted(matched):  # the shortest first, so that it stays
        for other in _beginning_with(name, names):
            primaries.setdefault(other, name)
    members: dict[str, list[Found]] = {}
    for name, primary in primaries.items():
        if name not in matched and _is_excluded(folder, name, group.exclude):
            continue
        found = _found(folder, name, primary, group, name in matched, walk)
        if found is not None:
            members.setdefault(primary, []).append(found)
    for family in members.values():
        yield from _family(family)


def _beginning_with(prefix: str, names: Sequence[str]) -> Iterator[str]:
    for place in range(bisect_left(names, prefix), len(names)):
        if not names[place].startswith(prefix):
            return
        yield names[place]


def _found(
    folder: str, name: str, primary: str, group: Files, is_matched: bool, walk: Walk
) -> Found | None:
    path = os.path.join(folder, name)
    seen = walk.look(path)
    if seen is None or not stat.S_ISREG(seen.st_mode):
        return None
    inode = Inode(seen.st_dev, seen.st_ino)
    full = os.path.join(folder, primary)
    times = (seen.st_size, seen.st_mtime_ns)
    return Found(path, inode, *times, group, full, is_matched)


def _family(family: list[Found]) -> Iterator[Found]:
    """One name and those that begin with it; a copy's original has the name itself."""
    original = tuple(file.inode for file in family if file.path == file.primary)
    left = OLDER_MAX
    for file in sorted(family, key=lambda file: file.modified, reverse=True):
        left -= not file.is_matched
        if file.path == file.primary:
            yield file
        elif file.is_matched or left >= 0:
            yield replace(file, others=original)


def source_of(path: str | Path) -> str:
    """A file's name without its extension."""
    return Path(path).stem
