"""Where a command's answer goes: standard output, or a pager when it is long.

On a terminal the lines wait until they are more than it shows; then $PAGER gets them,
with the options that git gives to `less`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, cast

if TYPE_CHECKING:
    import subprocess

Colour = Literal["auto", "always", "never"]

PAGER: Final = "less"
PAGER_ENVIRONMENT: Final = {"LESS": "FRX", "LV": "-c"}
"""Quit if it fits one screen, let colours through, leave the text there at the end."""

_NO_PAGER: Final = ("", "cat")


def wants_colour(choice: Colour) -> bool:
    """Whether to colour; a terminal gets colours unless NO_COLOR is set."""
    if choice != "auto":
        return choice == "always"
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain


class Output:
    """Takes lines; `flush` shows them at once, `close` ends the pager."""

    def __init__(self, colour: Colour = "auto", *, paged: bool = False) -> None:
        self.is_terminal = sys.stdout.isatty()
        self.colour = wants_colour(colour)
        self.columns, self._rows = _terminal_size() if self.is_terminal else (80, 0)
        self._encoding = sys.stdout.encoding or "utf-8"
        self._sink: BinaryIO = sys.stdout.buffer
        self._pager: subprocess.Popen[bytes] | None = None
        self._remarks: list[str] = []
        self.was_paged = False
        """Whether a pager was started."""
        self._held: list[bytes] | None = [] if paged and self.is_terminal else None

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def is_paged(self) -> bool:
        """Whether a pager has the terminal."""
        return self._pager is not None

    def line(self, text: str) -> None:
        """One line, or several with line breaks between."""
        self.raw(text.encode(self._encoding, "backslashreplace"))

    def raw(self, line: bytes) -> None:
        """The same, encoded."""
        if self._held is None:
            self._sink.write(line + b"\n")
            return
        self._held.extend(line.split(b"\n"))
        if len(self._held) >= self._rows:
            self._page()

    def write(self, data: bytes) -> None:
        """Any bytes, past the pager."""
        sys.stdout.buffer.write(data)

    def remark(self, text: str) -> None:
        """For a person only: standard error, once the answer stands there."""
        self._remarks.append(text)

    def flush(self) -> None:
        """Have what was written so far be seen; what waits for a pager stays."""
        if self._held is None:
            self._sink.flush()

    def close(self) -> None:
        """Show what waits, and wait until the pager is left."""
        held, self._held = self._held, None
        try:
            for line in held or ():
                self._sink.write(line + b"\n")
            self._sink.flush()
        except BrokenPipeError:
            if self._pager is None:
                raise
        finally:
            self._end_pager()
        if self.is_terminal and sys.stderr.isatty():
            for text in self._remarks:
                print(text, file=sys.stderr, flush=True)

    def _page(self) -> None:
        """Give what waits, and all that follows, to the pager, if there is one."""
        held, self._held = self._held or [], None
        command = os.environ.get("PAGER", PAGER).strip()
        if command not in _NO_PAGER:
            self._start_pager(command)
        self._sink.writelines(line + b"\n" for line in held)

    def _start_pager(self, command: str) -> None:
        # imported here: together they take longer than all else of this module
        import shlex
        import subprocess

        try:
            self._pager = subprocess.Popen(  # noqa: S603 - the user's own choice
                shlex.split(command),
                stdin=subprocess.PIPE,
                env={**PAGER_ENVIRONMENT, **os.environ},
            )
        except (OSError, ValueError):
            return
        self.was_paged = True
        assert self._pager.stdin is not None
        self._sink = cast("BinaryIO", self._pager.stdin)

    def _end_pager(self) -> None:
        if self._pager is None:
            return
        with contextlib.suppress(BrokenPipeError):  # left before it had read all
            self._sink.close()
        while self._pager.poll() is None:
            try:
                self._pager.wait()
            except KeyboardInterrupt:  # Ctrl-C is the pager's, as with git
                continue
        self._pager, self._sink = None, sys.stdout.buffer


def _terminal_size() -> tuple[int, int]:
    try:
        size = os.get_terminal_size(sys.stdout.fileno())
    except OSError:
        return 80, 24
    return size.columns or 80, size.lines or 24
