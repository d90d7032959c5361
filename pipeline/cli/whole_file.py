"""A file that is there complete or not at all: written beside, then renamed."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final

from pipeline.errors import PipelineError

PART: Final = ".part"


class WholeFile:
    """Takes bytes into `<path>.part`; the end without an error gives it its name.

    What is no regular file (a pipe, /dev/null) is written as it is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_renamed = path.is_file() or not path.exists()
        part = path.with_name(path.name + PART)
        self._part = part if self._is_renamed else path
        try:
            self._file: BinaryIO = self._part.open("wb")
        except OSError as error:
            raise _problem(self._part, error) from None

    def __enter__(self) -> WholeFile:
        return self

    def write(self, data: bytes) -> None:
        """Add the bytes; raises PipelineError."""
        try:
            self._file.write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _problem(self._part, error) from None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._file.flush()
            if self._is_renamed and error is None:
                os.fsync(self._file.fileno())
                self._part.replace(self._path)
        except OSError as problem:
            error = problem
            raise _problem(self._part, problem) from None
        finally:
            self._close()
            if self._is_renamed and error is not None:
                self._part.unlink(missing_ok=True)

    def _close(self) -> None:
        try:
            self._file.close()
        except OSError:  # what waits can't be written: told by the flush before
            self._file = open(os.devnull, "wb")  # noqa: SIM115 - a file to forget
            self._file.close()


def _problem(path: Path, error: OSError) -> PipelineError:
    return PipelineError(f"{path} can't be written: {error.strerror}")
