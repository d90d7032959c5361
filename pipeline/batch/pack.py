"""One value as msgpack: what a PACKED column holds. Runs in every service."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final

import msgpack

from pipeline.limits import NESTING


def _unpackable(value: object) -> str:
    """What msgpack has no form for (dates, decimals, huge integers) is kept as text."""
    return str(value)


class _Packers(threading.local):
    """A Packer for each thread: `str` of an object may be Python code, during which
    another thread would go on in the same buffer."""

    def __init__(self) -> None:
        self.packer = msgpack.Packer(
            default=_unpackable, unicode_errors="backslashreplace"
        )


_packers: Final = _Packers()


def pack(value: object) -> bytes:
    """One msgpack object; a value that msgpack can't hold becomes text.

    Raises ValueError when it is nested too deep.
    """
    if type(value) is dict or type(value) is list:
        _check_depth(value, NESTING)
    packer = _packers.packer
    try:
        return packer.pack(value)  # type: ignore[no-any-return]
    except (OverflowError, ValueError):
        packer.reset()
        return packer.pack(str(value))  # type: ignore[no-any-return]


def _check_depth(value: object, depth: int) -> None:
    if depth == 0:
        raise ValueError(f"a value is nested deeper than {NESTING}")
    items: Iterable[object] = ()
    if type(value) is dict:
        items = value.values()
    elif type(value) is list or type(value) is tuple:
        items = value
    for item in items:
        if type(item) in (dict, list, tuple):
            _check_depth(item, depth - 1)
