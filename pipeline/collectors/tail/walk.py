"""Lists folders for one look around: each once, so many names, and what couldn't be.

A folder that can't be listed is told from one that isn't there: what may be in it must
not be taken for deleted.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from glob import has_magic
from itertools import islice
from typing import Final, NamedTuple

NAMES_MAX: Final = 200_000
"""Looked at in one look around, a folder counting as one; some seconds of work."""

_GONE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
_STARVED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Nothing about the folder: the same happens to all."""


class Name(NamedTuple):
    """What a folder holds."""

    text: str
    is_folder: bool
    is_link: bool


class Walk:
    """One look around."""

    def __init__(self, names_max: int | None = None) -> None:
        self.unlisted: dict[str, str] = {}
        """Folders of which not all could be seen, each with why."""

        self.is_partial = False
        """Whether files may be anywhere and not be seen."""

        self._left = NAMES_MAX if names_max is None else names_max
        self._listed: dict[str, list[Name]] = {}

    def names(self, folder: str) -> list[Name]:
        """What is in a folder, sorted; nothing if it can't be listed."""
        if folder not in self._listed:
            self._listed[folder] = self._list(folder)
        return self._listed[folder]

    def look(self, path: str) -> os.stat_result | None:
        """The file or folder that a path leads to, if it is there and can be seen."""
        try:
            return os.stat(path)
        except OSError as error:
            self._note(os.path.dirname(path), error)
            return None

    def matches(self, pattern: str) -> Iterator[tuple[str, str]]:
        """Folder and name of all that an absolute pattern may mean.

        As `glob` reads it: `**` is any number of folders, and what begins with a dot
        is named only by a dot.  A name without wildcards need not be there.
        """
        root, *parts = pattern.split("/")
        return self._expand(root or "/", parts)

    def _expand(self, folder: str, parts: Sequence[str]) -> Iterator[tuple[str, str]]:
        part, rest = parts[0], parts[1:]
        if part == "**":
            for below in self._folders(folder):
                yield from self._expand(below, rest or ["*"])
        elif rest:
            for name in self._named(folder, part):
                yield from self._expand(os.path.join(folder, name), rest)
        else:
            for name in self._named(folder, part):
                yield folder, name

    def _named(self, folder: str, part: str) -> Iterator[str]:
        if not has_magic(part):
            yield part
            return
        for name in self.names(folder):
            is_hidden = name.text.startswith(".") and not part.startswith(".")
            if not is_hidden and fnmatchcase(name.text, part):
                yield name.text

    def _folders(self, top: str) -> Iterator[str]:
        """A folder and those below it, each once; those behind links come last."""
        entered: set[tuple[int, int]] = set()
        waiting, linked = deque([top]), deque[str]()
        while waiting or linked:
            folder = waiting.popleft() if waiting else linked.popleft()
            seen = self.look(folder)
            if seen is None or not stat.S_ISDIR(seen.st_mode):
                continue
            if (seen.st_dev, seen.st_ino) in entered:
                continue
            entered.add((seen.st_dev, seen.st_ino))
            yield folder
            for name in self.names(folder):
                if name.text.startswith("."):
                    continue
                if name.is_folder:
                    waiting.append(os.path.join(folder, name.text))
                elif name.is_link:
                    linked.append(os.path.join(folder, name.text))

    def _list(self, folder: str) -> list[Name]:
        left = self._left - 1
        if left < 0:
            self.unlisted[folder] = f"more than {NAMES_MAX} names in all"
            return []
        try:
            with os.scandir(folder) as entries:
                names = [
                    Name(
                        item.name, item.is_dir(follow_symlinks=False), item.is_symlink()
                    )
                    for item in islice(entries, left + 1)
                ]
        except OSError as error:
            self._note(folder, error)
            return []
        if len(names) > left:
            self.unlisted[folder] = f"more than {NAMES_MAX} names in all"
        self._left = max(0, left - len(names))
        return sorted(names[:left])

    def _note(self, folder: str, error: OSError) -> None:
        if error.errno in _GONE:
            return
        self.unlisted[folder] = error.strerror or str(error)
        self.is_partial = self.is_partial or error.errno in _STARVED


def is_at(path: str, device: int, number: int) -> bool:
    """Whether a file may still have this path: it has, or that can't be told."""
    try:
        seen = os.stat(path)
    except OSError as error:
        return error.errno not in _GONE
    return (seen.st_dev, seen.st_ino) == (device, number)
