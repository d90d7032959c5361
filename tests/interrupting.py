"""A time limit that ends again and again, wherever the pipeline's code is."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pipeline

_OURS = str(Path(pipeline.__file__).parent)


class TimeLimitError(Exception):
    """What the signal's handler raises; never into the code of a test."""


@contextmanager
def interrupted(seconds: float = 0.0007) -> Iterator[None]:
    """Raise so often, on this thread."""

    def end(number: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_code.co_filename.startswith(_OURS):
            raise TimeLimitError

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def at_point(number: int, handler: Callable[[], None]) -> Iterator[list[str]]:
    """Call it once: at this point of the pipeline's code, on this thread.

    A point is where Python looks for signals: as a function of ours begins, and as one
    in C has returned. Yields the points that were passed.
    """
    passed: list[str] = []

    def interrupt(frame: FrameType, event: str, _: object) -> None:
        is_ours = frame.f_code.co_filename.startswith(_OURS)
        if not is_ours or event not in ("call", "c_return"):
            return
        passed.append(f"{event} {frame.f_code.co_qualname}:{frame.f_lineno}")
        if len(passed) == number:
            handler()

    sys.setprofile(interrupt)
    try:
        yield passed
    finally:
        sys.setprofile(None)
