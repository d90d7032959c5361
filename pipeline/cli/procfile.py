"""Which processes `up` starts, in order: a Procfile's, or the same built-in list."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.errors import ConfigError

BUILT_IN: Final = {
    "ingester": "ingester",
    "gateway": "gateway",
    "analyzer": "analyzer",
    "collector": "collect",
}
"""Commands by name, in the order of starting; each stops before the ones that it sends
to."""

OWN: Final = ("python", "-m", "pipeline")
LINE: Final = re.compile(r"^([A-Za-z0-9_-]+):\s*(\S.*)$")


@dataclass(frozen=True, slots=True)
class Program:
    """One process to run; `own` ones take the flags of `up` and say when they serve."""

    name: str
    words: tuple[str, ...]

    @property
    def own(self) -> bool:
        """Whether it is a process of this package."""
        return self.words[:3] == OWN

    @property
    def starts_early(self) -> bool:
        """Whether it starts beside those before it, and waits for them itself.

        The pipeline answers once ingester and gateway serve: one after the other
        that takes 1.7 s, beside each other 1.1 s if the rest leaves them the
        processors (node/bench/start.js).
        """
        return self.words[:4] == (*OWN, "gateway")

    def command(self, flags: list[str]) -> list[str]:
        """What to execute: `python` is the interpreter that runs now."""
        first, *rest = self.words
        program = sys.executable if first in ("python", "python3") else first
        return [program, *rest, *(flags if self.own else ())]


def programs(path: str | None) -> list[Program]:
    """Those of the Procfile at `path`; without one, ./Procfile if it is a pipeline's.

    A Procfile in the working directory may well be that of another application.
    """
    if path is not None:
        return _read(Path(path))
    here = Path("Procfile")
    if here.is_file():
        found = _read(here)
        if all(program.own for program in found):
            return found
    return [Program(name, (*OWN, word)) for name, word in BUILT_IN.items()]


def _read(path: Path) -> list[Program]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), str(error), "a readable Procfile") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = LINE.match(line)
        if match is None:
            raise ConfigError(f"{path} line {number}", repr(line), "name: command")
        found.append(Program(match[1], tuple(shlex.split(match[2]))))
    if not found:
        raise ConfigError(str(path), "names no process", "lines of name: command")
    return found
