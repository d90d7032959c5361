"""Whose keys the ingester's sockets serve, and what each of them may do.

Who comes in is asked at the handshake; what a key may do, at each of its messages, so
that one that was revoked is not heard any more on the connection that it has.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, Final

from pipeline import audit, journal, transport
from pipeline.errors import EntryError, PipelineError
from pipeline.ingester.sources import Check, check_unaudited
from pipeline.keys import Allowed, Key, allow_path, key_path, read_allowed, server_key
from pipeline.reserved import check_reserved
from pipeline.settings import Settings

LOOK_SECONDS: Final = 1.0
"""Between two looks at the file of the keys."""

HANDSHAKES_A_TURN: Final = 64
"""Then entries are taken in again; the others wait in the socket."""

NAME: Final = "ingester"
NO_COUNTS: Final = {
    "handshakes_allowed": 0,
    "handshakes_refused": 0,
    "messages_of_revoked_keys": 0,
}


class Door:
    """The ZAP socket and the keys that are allowed; `now` in seconds, monotonic."""

    def __init__(self, own: Key, path: Path) -> None:
        """Whoever shows the ingester's own key may do everything. PipelineError."""
        self.socket = transport.zap()
        self.counters = Counter(NO_COUNTS)
        self._path = path
        self._own = Allowed("ingester", own.public, "read")
        self.notes: list[dict[str, Any]] = []
        """Keys that came and went, for the audit."""

        self._seen: tuple[int, ...] | None = None
        self._look_at = 0.0
        self._allowed: dict[str, Allowed] = {}
        self._take(read_allowed(path))
        self.notes.clear()  # what was there before is nobody's change

    def serve(self, now: float) -> None:
        """Let in whoever waits and is allowed; read the file when it has changed."""
        self.look(now)
        for _ in range(HANDSHAKES_A_TURN):
            is_in = transport.welcome(self.socket, self.knows)
            if is_in is None:
                return
            self.counters["handshakes_allowed" if is_in else "handshakes_refused"] += 1

    def look(self, now: float) -> None:
        """Take over the file of the keys; a wrong one changes nothing, and is told."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        self._read_anew()

    def _read_anew(self) -> None:
        try:
            found = self._path.stat()
            seen = (found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
        except OSError:
            seen = None
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._take(read_allowed(self._path))
        except PipelineError as error:
            journal.error(NAME, f"the keys stay as they are: {error}")

    def knows(self, key: str) -> bool:
        """Whether a key is served; one that is new may have been allowed just now."""
        if key not in self._allowed:
            self._read_anew()
        return key in self._allowed

    def allowed(self, key: str) -> Allowed | None:
        """What a key may do; None: it was revoked."""
        found = self._allowed.get(key)
        self.counters["messages_of_revoked_keys"] += found is None
        return found

    def check(self, sender: Allowed) -> Check:
        """What is asked of each of its sources."""
        return partial(check_sender, sender, is_own=sender is self._own)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close(0)

    def _take(self, allowed: list[Allowed]) -> None:
        before = self._allowed
        self._allowed = {each.key: each for each in allowed}
        self._allowed[self._own.key] = self._own
        for word, some, others in (
            ("revoked", before, self._allowed),
            ("allowed", self._allowed, before),
        ):
            self.notes += [
                _note(word, each)
                for each in some.values()
                if others.get(each.key) != each and each is not self._own
            ]


def door_of(settings: Settings) -> tuple[Door | None, Key | None]:
    """The door and the ingester's own key; neither without curve.enabled.

    Raises PipelineError.
    """
    curve, database = settings.curve, settings.storage.db_path
    if not curve.enabled:
        return None, None
    own = server_key(key_path(curve.key_file, database), transport.new_key_pair)
    return Door(own, allow_path(curve.allow_file, database)), own


def _note(word: str, key: Allowed) -> dict[str, Any]:
    """For the audit, without its time; whoever owns the file has written it."""
    more = {"key": key.key, "role": key.role, "sources": list(key.sources)}
    message = f"key {key.name!r} was {word}"
    return audit.entry(f"key {word}", "owner", message, 0, more)


def check_sender(sender: Allowed, source: str, *, is_own: bool = False) -> None:
    """Raises EntryError for a source that this key may not log under.

    A source of the pipeline's own is for its own key, and for one that names it.
    """
    check_unaudited(source)
    if not is_own and source not in sender.sources:
        check_reserved(source)
    if not sender.may_send(source):
        problem = f"{source!r} is not one of the key {sender.name!r}"
        expected = ", ".join(sender.sources)
        raise EntryError("source", problem, expected)
