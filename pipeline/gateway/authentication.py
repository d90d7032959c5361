"""Who sends a request, by its token; what is open ends when its token does."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from aiohttp import web

from pipeline.errors import PipelineError
from pipeline.gateway import tokens
from pipeline.gateway.principal import Principal
from pipeline.gateway.tokens import Token

LOOK_SECONDS: Final = 1.0
"""How often the file is looked at: a token that is revoked ends within two looks."""

PROTOCOL: Final = "pipeline"
"""The WebSocket protocol of browsers, which can set no header: they offer it, and the
token as a second one. A URL would stand in logs and histories."""

_log = logging.getLogger(__name__)


class Authenticator:
    """The tokens of a file, as they are now."""

    def __init__(
        self,
        path: Path,
        now_ns: Callable[[], int],
        changed: Callable[[list[Token], list[Token]], None] = lambda _old, _new: None,
    ) -> None:
        """`changed` hears of a file that is another. Raises PipelineError when it
        can't be used."""
        self._path = path
        self._now_ns = now_ns
        self._changed = changed
        self._seen = self._mark()
        self._tokens = tokens.read(path)
        # a request has no hash
        self._open: dict[int, tuple[web.Request, Principal]] = {}

    def identify(self, request: web.Request) -> Principal | None:
        """Whose token the request has; None when it has none that is valid."""
        secret = _secret_of(request)
        if not secret.startswith(tokens.PREFIX):
            return None
        wanted, found = tokens.digest(secret), None
        for token in self._tokens:  # all of them: the time tells nothing
            if hmac.compare_digest(token.hash, wanted):
                found = token
        if found is None or not found.is_valid(self._now_ns()):
            return None
        return Principal(found.name, found.role, found.id, scope=found.scope)

    def enter(self, request: web.Request, principal: Principal) -> None:
        """Its connection is closed when the token ends."""
        self._open[id(request)] = request, principal

    def leave(self, request: web.Request) -> None:
        """It was answered."""
        self._open.pop(id(request), None)

    async def run(self, _app: web.Application) -> AsyncIterator[None]:
        """Look at the file while the server runs."""
        task = asyncio.create_task(self._watch())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Take over a changed file, and close what has no token any more."""
        mark = self._mark()
        if mark != self._seen:
            self._seen = mark
            before, self._tokens = self._tokens, self._read()
            self._changed(before, self._tokens)
        now = self._now_ns()
        valid = {(t.id, t.role, t.scope) for t in self._tokens if t.is_valid(now)}
        for request, principal in list(self._open.values()):
            if (principal.token, principal.role, principal.scope) not in valid:
                self.leave(request)
                if request.transport is not None:
                    request.transport.abort()

    def _read(self) -> list[Token]:
        try:
            return tokens.read(self._path)
        except PipelineError as error:
            # nobody may come in by a file that can't be trusted
            _log.error("no token is valid: %s", error)
            return []

    def _mark(self) -> tuple[int, int, int, int] | None:
        try:
            at = self._path.stat()
        except OSError:
            return None
        return at.st_mtime_ns, at.st_ino, at.st_size, at.st_mode


def _secret_of(request: web.Request) -> str:
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return secret.strip()
    if request.path == "/ws":
        offered = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
        for protocol in map(str.strip, offered):
            if protocol.startswith(tokens.PREFIX):
                return protocol
    return ""
