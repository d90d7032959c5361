"""Tokens at rest: a file of hashes, for its owner alone, replaced whole.

A token is 256 random bits: nobody can try them all, so one SHA-256 is as good as a
slow hash, which is made for passwords that people choose, and costs a call nothing.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from pipeline.errors import PipelineError
from pipeline.gateway.principal import ADMIN, ROLES
from pipeline.scope import EVERYTHING, Scope, make_scope

PREFIX: Final = "plt_"
"""Scanners for secrets, and people, recognise one by it."""

_MODE: Final = 0o600
_OTHERS: Final = 0o077


class Token(msgspec.Struct, frozen=True):
    """What is kept of a token; times in nanoseconds, `expires` 0: never."""

    id: str
    name: str
    role: str
    hash: str
    created: int
    expires: int = 0
    sources: list[str] = msgspec.field(default_factory=list)
    hidden_fields: list[str] = msgspec.field(default_factory=list)

    def is_valid(self, now: int) -> bool:
        """Whether it has not expired."""
        return not self.expires or now < self.expires

    @property
    def scope(self) -> Scope:
        """What it is for; raises ValueError."""
        scope = make_scope(self.sources, self.hidden_fields)
        if self.role == ADMIN and scope != EVERYTHING:
            raise ValueError("an admin's token has no scope; use role read or write")
        return scope


def path_of(token_file: str, db_path: str) -> Path:
    """Where the tokens are kept."""
    return Path(token_file) if token_file else Path(f"{db_path}.tokens")


def digest(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def new(
    name: str,
    role: str,
    now: int,
    expires: int,
    sources: Sequence[str] = (),
    hidden_fields: Sequence[str] = (),
) -> tuple[Token, str]:
    """A token, and the secret that is shown once; raises ValueError."""
    secret = PREFIX + secrets.token_urlsafe(32)
    identity = secrets.token_hex(4)
    what = list(sources), list(hidden_fields)
    made = Token(identity, name or identity, role, digest(secret), now, expires, *what)
    made.scope  # noqa: B018 - one that can't be is refused here
    return made, secret


def read(path: Path) -> list[Token]:
    """All tokens; none without a file. Raises PipelineError."""
    try:
        if path.stat().st_mode & _OTHERS:
            raise PipelineError(f"{path}: others may read it; chmod 600 {path}")
        found = msgspec.json.decode(path.read_bytes(), type=list[Token])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PipelineError(f"{path}: {error}; expected tokens as written") from None
    for token in found:
        if token.role not in ROLES:
            raise PipelineError(f"{path}: role {token.role!r}, not {', '.join(ROLES)}")
        try:
            token.scope  # noqa: B018
        except ValueError as error:
            raise PipelineError(f"{path}: token {token.id}: {error}") from None
    return found


def write(path: Path, tokens: list[Token]) -> None:
    """Replace the file as a whole; raises PipelineError."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        beside.unlink(missing_ok=True)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        with open(handle, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(tokens)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise PipelineError(f"{path}: {error.strerror}; a folder to write to") from None
