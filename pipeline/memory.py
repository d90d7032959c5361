"""The C heap of a process, kept small: glibc's own defaults favour speed alone.

Without glibc these functions do nothing.
"""

from __future__ import annotations

import ctypes
from typing import Final

_MMAP_THRESHOLD: Final = -3
"""M_MMAP_THRESHOLD of <malloc.h>."""

_LARGE_BYTES: Final = 256 << 10


def return_large_blocks() -> None:
    """Have each large block given back when it is freed.

    glibc otherwise raises its threshold to the largest block that was ever freed, and
    keeps such blocks on the heaps of all threads: measured on the ingester flat out,
    112 MB at the peak against 97, for 3 % of its CPU.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
