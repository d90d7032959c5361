"""The pipeline's own warnings and errors, as entries of source `pipeline`.

What a process has to complain of goes to stderr at once, and is noted here. The loop of
the process takes the notes and has them stored as any other entry. There is no loop of
another kind: notes are only taken from outside, what becomes of one is counted and
never noted, and the analyzer leaves the source alone.
"""

from __future__ import annotations

import json
import os
import threading
import traceback
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from pipeline import clock, service
from pipeline.entry import Entry
from pipeline.level import Level

SOURCE: Final = "pipeline"

BURST: Final = 30
EVERY_SECONDS: Final = 10.0
"""So many notes at once, then one so often: a process that is unwell says so without
end, and must not fill the store with it."""

WAITING_MAX: Final = 100
"""Notes that wait to be taken; beyond, the new ones are lost, and counted."""

SAME_SECONDS: Final = 60.0
"""The same words again are counted so long, and told with their next note."""

SAME_MAX: Final = 64
"""Different words that are remembered."""

TEXT_CHARACTERS: Final = 8_192
"""Kept of one text: its beginning; of a stack, which ends with the error, its end."""


@dataclass(slots=True)
class Fate:
    """What became of what was noted, since the process started."""

    stored: int = 0
    """Handed over to be stored."""
    repeated: int = 0
    """Of the same words as one within the last minute."""
    suppressed: int = 0
    """Too many at once."""
    lost: int = 0
    """Nobody had room for them."""


class Journal:
    """The notes of one process that wait to be stored; safe in threads.

    `now` is monotonic, in seconds.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._lock = threading.Lock()
        self._waiting: deque[Entry] = deque()
        self._same: OrderedDict[tuple[str, str], list[float]] = OrderedDict()
        """When the same words were noted last, and how often they came since."""
        self._allowed, self._allowed_at = float(BURST), 0.0
        self._untold = 0
        self._fate = Fate()

    def note(
        self,
        level: Level,
        process: str,
        text: str,
        more: Mapping[str, Any],
        now: float,
        timestamp: int,
    ) -> None:
        """Keep it to be stored, unless it was just said or too much is."""
        text = text[:TEXT_CHARACTERS]
        with self._lock:
            repeated = self._repeated((process, text), now)
            if repeated is None:
                return
            if len(self._waiting) >= WAITING_MAX:
                self._fate.lost += 1
                return
            metadata = {"process": process, "pid": self._pid, **more}
            if repeated:
                metadata["repeated"] = repeated
            if self._untold:
                metadata["suppressed"] = self._untold
                self._untold = 0
            row = Entry(timestamp, SOURCE, int(level), text, metadata, None, None)
            self._waiting.append(row)

    def take(self) -> list[Entry]:
        """What waits, for who stores it now."""
        if not self._waiting:  # asked at each turn of a loop
            return []
        with self._lock:
            taken = list(self._waiting)
            self._waiting.clear()
        return taken

    def store(self, write: Callable[[Entry], bool]) -> None:
        """Have what waits stored; `write` says whether it found room."""
        for entry in self.take():
            if write(entry):
                self._fate.stored += 1
            else:
                self._fate.lost += 1

    def told(self) -> dict[str, int]:
        """What became of the notes, by METRICS.md's words."""
        return asdict(self._fate)

    def _repeated(self, words: tuple[str, str], now: float) -> int | None:
        """How often this was left out since its last note; None: leave it out, too."""
        known = self._same.get(words)
        if known is not None and now - known[0] < SAME_SECONDS:
            known[1] += 1
            self._fate.repeated += 1
            return None
        gained = (now - self._allowed_at) / EVERY_SECONDS
        self._allowed = min(float(BURST), self._allowed + max(0.0, gained))
        self._allowed_at = now
        if self._allowed < 1:
            self._untold += 1
            self._fate.suppressed += 1
            return None
        self._allowed -= 1
        self._same[words] = [now, 0]
        self._same.move_to_end(words)
        if len(self._same) > SAME_MAX:
            self._same.popitem(last=False)
        return 0 if known is None else int(known[1])


own: Final = Journal(os.getpid())
"""That of this process."""


def warn(process: str, text: str, **more: Any) -> None:
    """Something is not as it should be, and goes on; stderr has it at once."""
    tell(Level.WARN, process, text, more)


def error(process: str, text: str, **more: Any) -> None:
    """Something has failed; stderr has it at once."""
    tell(Level.ERROR, process, text, more)


def tell(level: Level, process: str, text: str, more: Mapping[str, Any]) -> None:
    """Say it, and note it."""
    service.say(f"{process}: {text}")
    note(level, process, text, more)


def note(level: Level, process: str, text: str, more: Mapping[str, Any]) -> None:
    """Note what somebody else has said."""
    own.note(level, process, text, more, clock.monotonic(), clock.now_ns())


def note_others(process: str, told: Mapping[str, Any]) -> None:
    """Note what a worker of this process tells of itself: text, failed, more."""
    level = Level.ERROR if told["failed"] else Level.WARN
    note(level, process, told["text"], told["more"])


def stack_of(failure: BaseException) -> str:
    """Its traceback, of a length that can be stored."""
    return "".join(traceback.format_exception(failure))[-TEXT_CHARACTERS:]


def note_threads(process: str) -> None:
    """Note what ends a thread of this process, which otherwise only stderr has."""
    before = threading.excepthook

    def hook(ended: threading.ExceptHookArgs) -> None:
        before(ended)
        failure = ended.exc_value
        if failure is not None and not isinstance(failure, SystemExit):
            name = "a thread" if ended.thread is None else f"thread {ended.thread.name}"
            text = f"{name} ended with {type(failure).__name__}: {failure}"
            note(Level.ERROR, process, text, {"stack": stack_of(failure)})

    threading.excepthook = hook


def note_predecessor(told: str | None) -> None:
    """Note how the process ended in whose place this one was started: PREDECESSOR."""
    try:
        left = json.loads(told or "null")
        process, how, words = left["name"], left["how"], left["last_words"]
    except (ValueError, TypeError, KeyError):
        return
    text = f"{process} {how} and was started again"
    note(Level.ERROR, process, text, {"last_words": words})
