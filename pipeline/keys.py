"""Keys of the ingester's sockets: files of JSON, for their owner alone.

A key file has what one side needs: {"version", "name", "public", "secret", "server"},
the keys as Z85 of ZeroMQ's RFC 32, `server` the ingester's public one. Whoever may read
the ingester's own acts for it. A second file lists whose public keys are served, too.
CurveZMQ: RFC 26.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, NamedTuple

from pipeline.errors import PipelineError

VERSION: Final = 1
ROLES: Final = ("write", "read")
KEY_CHARACTERS: Final = 40
ALLOWED_MAX: Final = 10_000

_MODE: Final = 0o600
_OTHERS: Final = 0o077
_Z85: Final = frozenset(
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
)


class Key(NamedTuple):
    """One side's key pair, and the public key of the ingester."""

    name: str
    public: str
    secret: str
    server: str


class Allowed(NamedTuple):
    """A key that is served; `sources` are globs, none of them: every source.

    `write` sends entries and hears what became of them; `read` also follows what is
    committed.
    """

    name: str
    key: str
    role: str = "write"
    sources: tuple[str, ...] = ()

    def may_send(self, source: str) -> bool:
        """Whether it may log under this name."""
        return not self.sources or any(fnmatchcase(source, g) for g in self.sources)


def key_path(key_file: str, db_path: str) -> Path:
    """Where a machine's own key is."""
    return Path(key_file) if key_file else Path(f"{db_path}.curve")


def allow_path(allow_file: str, db_path: str) -> Path:
    """Where the keys are listed that are served."""
    return Path(allow_file) if allow_file else Path(f"{db_path}.keys")


def is_key(text: object) -> bool:
    """Whether it is a key's text: 40 characters of Z85."""
    return isinstance(text, str) and len(text) == KEY_CHARACTERS and set(text) <= _Z85


def read_key(path: Path) -> Key:
    """What a key file has; raises PipelineError."""
    try:
        found = _read(path)
    except FileNotFoundError:
        raise PipelineError(f"{path}: there is no such key file") from None
    fields = found if isinstance(found, dict) else {}
    if fields.get("version") != VERSION:
        raise PipelineError(f"{path}: no key of version {VERSION}")
    key = Key(*(fields.get(name) for name in Key._fields))  # type: ignore[arg-type]
    for name in ("public", "secret", "server"):
        if not is_key(getattr(key, name)):
            raise PipelineError(f"{path}: {name} is no key of 40 characters of Z85")
    return key


def write_key(path: Path, key: Key) -> None:
    """A new file with it; raises PipelineError, also when there is one already."""
    _write(path, {"version": VERSION, **key._asdict()}, is_new=True)


def server_key(path: Path, make: Callable[[], tuple[str, str]]) -> Key:
    """The ingester's; made by whichever process comes first. Raises PipelineError."""
    if not path.exists():
        public, secret = make()
        with suppress(FileExistsError):
            write_key(path, Key("ingester", public, secret, public))
    return read_key(path)


def read_allowed(path: Path) -> list[Allowed]:
    """All keys that are served; none without a file. Raises PipelineError."""
    try:
        found = _read(path)
    except FileNotFoundError:
        return []
    fields = found if isinstance(found, dict) else {}
    listed = fields.get("keys")
    if fields.get("version") != VERSION or not isinstance(listed, list):
        raise PipelineError(f"{path}: no list of keys of version {VERSION}")
    if len(listed) > ALLOWED_MAX:
        raise PipelineError(f"{path}: {len(listed):,} keys; at most {ALLOWED_MAX:,}")
    return [_allowed(path, number, each) for number, each in enumerate(listed)]


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """One at a time reads the list, changes it and writes it; raises PipelineError."""
    beside = path.with_name(f"{path.name}.lock")
    try:
        lock = os.open(beside, os.O_RDWR | os.O_CREAT, _MODE)
    except OSError as error:
        raise PipelineError(
            f"{beside}: {error.strerror}; a folder to write to"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def write_allowed(path: Path, allowed: Sequence[Allowed]) -> None:
    """Replace the list as a whole; raises PipelineError."""
    if len(allowed) > ALLOWED_MAX:
        raise PipelineError(f"{len(allowed):,} keys; at most {ALLOWED_MAX:,}")
    listed = [each._asdict() for each in allowed]
    _write(path, {"version": VERSION, "keys": listed}, is_new=False)


def _allowed(path: Path, number: int, found: Any) -> Allowed:
    where = f"{path}: key {number}"
    if not isinstance(found, dict) or not is_key(found.get("key")):
        raise PipelineError(f"{where}: `key` is no key of 40 characters of Z85")
    role, sources = found.get("role"), found.get("sources", [])
    if role not in ROLES:
        raise PipelineError(f"{where}: role {role!r}, not {' or '.join(ROLES)}")
    if not isinstance(sources, list) or not all(isinstance(s, str) for s in sources):
        raise PipelineError(f"{where}: sources must be a list of texts")
    return Allowed(str(found.get("name", "")), found["key"], role, tuple(sources))


def _read(path: Path) -> Any:
    import json

    try:
        if path.stat().st_mode & _OTHERS:
            raise PipelineError(f"{path}: others may read it; chmod 600 {path}")
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PipelineError(f"{path}: {error.strerror}; expected a key file") from None
    except ValueError as error:
        raise PipelineError(f"{path}: {error}; expected JSON") from None


def _write(path: Path, content: Any, *, is_new: bool) -> None:
    """Whole or not at all; FileExistsError where it must be new and isn't."""
    import json

    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        beside.unlink(missing_ok=True)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        with open(handle, "w") as file:
            file.write(json.dumps(content, indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        (os.link if is_new else os.replace)(beside, path)
    except FileExistsError:
        raise
    except OSError as error:
        raise PipelineError(f"{path}: {error.strerror}; a folder to write to") from None
    finally:
        with suppress(OSError):
            beside.unlink()
