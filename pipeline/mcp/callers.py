"""Who may call the tools by HTTP: those who know the token, if one is required."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.errors import ConfigError

VARIABLE: Final = "PIPELINE_MCP_TOKEN"
SHORTEST: Final = 16
"""Characters of a token: shorter ones can be tried out."""

_TOKEN: Final = re.compile(rb"[!-~]+")
_REFUSED: Final = b'{"error":"this server wants Authorization: Bearer and its token"}'


def token_of(file: str | None, environ: Mapping[str, str]) -> bytes | None:
    """The token of a file, or of the environment; None without. Raises ConfigError.

    No option has it itself: every user of the machine can read the arguments of a
    process.
    """
    name, text = VARIABLE, environ.get(VARIABLE, "")
    if file is not None:
        name, text = "--token-file", _read(file)
    token = text.strip().encode()
    if not token and file is None:
        return None
    if len(token) < SHORTEST or not _TOKEN.fullmatch(token):
        expected = f"{SHORTEST} characters or more, such as `openssl rand -hex 32` has"
        raise ConfigError(name, "is no token", expected)
    return token


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = f"{file!r} can't be read: {error}"
        raise ConfigError("--token-file", problem, "a file with the token") from None


class WithToken:
    """An application that only answers requests with the token."""

    def __init__(self, app: ASGIApp, token: bytes) -> None:
        self._app = app
        self._wanted = b"bearer " + token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse before anything of the request is read."""
        if scope["type"] == "lifespan" or self._is_known(scope):
            await self._app(scope, receive, send)
            return
        headers = [
            (b"content-type", b"application/json"),
            (b"www-authenticate", b"Bearer"),
        ]
        status = HTTPStatus.UNAUTHORIZED.value
        await send(
            {"type": "http.response.start", "status": status, "headers": headers}
        )
        await send({"type": "http.response.body", "body": _REFUSED})

    def _is_known(self, scope: Scope) -> bool:
        given = [text for name, text in scope["headers"] if name == b"authorization"]
        if len(given) != 1:
            return False
        scheme, _, token = given[0].partition(b" ")
        return hmac.compare_digest(scheme.lower() + b" " + token.strip(), self._wanted)
