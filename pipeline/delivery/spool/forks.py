"""What a forked child must let go of: the files of a spool are its parent's."""

from __future__ import annotations

import os
import weakref
from typing import Final, Protocol


class _Owner(Protocol):
    def disown(self) -> None: ...


_owners: Final[weakref.WeakSet[_Owner]] = weakref.WeakSet()


def close_in_children(owner: _Owner) -> None:
    """Call its `disown` in every child that is forked from now on."""
    _owners.add(owner)


def _after_fork() -> None:
    for owner in list(_owners):
        owner.disown()


os.register_at_fork(after_in_child=_after_fork)
