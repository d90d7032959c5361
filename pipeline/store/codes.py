"""The codes of a block's messages: which template each row has, or none."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.batch.read import Ints, bad
from pipeline.compression import Bytes


def ranks_of(codes: Ints) -> Ints:
    """The how-manieth row of its code each row is."""
    narrow = codes.astype(np.uint16)
    order = np.argsort(narrow, kind="stable")
    counts = np.bincount(codes)
    ranks = np.empty(len(codes), np.int64)
    ranks[order] = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    return ranks


def read_codes(data: Bytes, rows: int) -> npt.NDArray[np.uint16]:
    """The code of each row."""
    width = data[0] if len(data) else 0
    if width not in (1, 2) or len(data) != 1 + width * rows:
        raise bad(f"codes of {rows} messages in {len(data)} bytes")
    planes = np.frombuffer(data, np.uint8)[1:].reshape(width, rows)
    codes: npt.NDArray[np.uint16] = planes[0].astype(np.uint16)
    if width == 2:
        codes += planes[1].astype(np.uint16) << np.uint16(8)
    return codes
