"""Stretches of bytes or values from anywhere, put one after another: without a loop."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.batch.read import Ints

U8 = npt.NDArray[np.uint8]

_NEWLINE: Final = 0x0A


def places_of(starts: Ints, sizes: Ints) -> tuple[Ints, Ints]:
    """Every place of the stretches, and where each stretch begins among them."""
    ends = np.cumsum(sizes)
    begins = ends - sizes
    places = np.repeat(starts - begins, sizes)
    places += np.arange(len(places))
    return places, begins


def copy_segments(source: U8, starts: Ints, sizes: Ints) -> bytes:
    """The stretches' bytes."""
    return bytes(source[places_of(starts, sizes)[0]])


def copy_long(source: bytes, starts: Ints, sizes: Ints) -> bytes:
    """As copy_segments, of stretches so long (30 bytes) that slices cost less."""
    places = map(slice, starts.tolist(), (starts + sizes).tolist())
    return b"".join(map(source.__getitem__, places))


def gather(data: bytes, starts: Ints, sizes: Ints) -> bytes:
    """Their bytes, with a newline behind each; one more byte of data follows each."""
    places, begins = places_of(starts, sizes + 1)
    found = np.frombuffer(data, np.uint8)[places]
    found[begins + sizes] = _NEWLINE
    return bytes(found)
