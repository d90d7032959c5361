"""Which channels the settings name, with their secrets in place of the references.

Standard library only: `pipeline up` checks them before it starts anything. No error
here shows a secret, and `Channel.url` of what is returned must be shown to nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pipeline.errors import ConfigError
from pipeline.settings.alerts import REFERENCE, Channel

NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "console": (),
    "file": ("path",),
    "webhook": ("url",),
    "slack": ("url",),
    "discord": ("url",),
    "email": ("host", "sender", "to"),
    "alertmanager": ("url",),
    "apprise": ("url",),
}
"""The keys that each type can't do without."""

SECRET_URLS: Final = frozenset({"slack", "discord", "apprise"})
"""Types whose URL is a secret: who has it can write."""

_HTTP: Final = frozenset({"webhook", "slack", "discord", "alertmanager"})
_HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")
_SENSITIVE: Final = re.compile(r"auth|cookie|key|pass|secret|token", re.IGNORECASE)
_FILE: Final = "file:"


def read_channels(
    given: Iterable[str | Channel], environ: Mapping[str, str]
) -> list[Channel]:
    """The channels, complete; raises ConfigError, which names the key."""
    channels = []
    for number, one in enumerate(given):
        path = f"alerts.channels[{number}]"
        channel = Channel(type=one) if isinstance(one, str) else one
        channels.append(_read(channel, path, environ))
    names = [channel.name for channel in channels]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        problem = f"two channels are called {twice[0]!r}"
        raise ConfigError("alerts.channels", problem, "a name for each of them")
    return channels


def _read(channel: Channel, path: str, environ: Mapping[str, str]) -> Channel:
    if channel.type not in NEEDS:
        problem = f"no channel {channel.type!r}"
        raise ConfigError("alerts.channels", problem, ", ".join(NEEDS))
    for key in NEEDS[channel.type]:
        if not getattr(channel, key):
            problem = f"is missing, and {channel.type} needs it"
            raise ConfigError(f"{path}.{key}", problem, _expected(key))
    if channel.type == "file":
        _check_file(Path(channel.path), f"{path}.path")
    if channel.type in SECRET_URLS and not re.search(REFERENCE, channel.url):
        _refuse_secret(f"{path}.url")
    if channel.user and not channel.password:
        problem = "is missing, and user needs it"
        raise ConfigError(f"{path}.password", problem, _REFERENCE)
    if channel.user and channel.encryption == "none" and channel.host not in _HERE:
        problem = "none would show the password to the network"
        raise ConfigError(f"{path}.encryption", problem, "starttls or tls")
    read = replace(
        channel,
        name=channel.name or channel.type,
        url=_resolve(channel.url, f"{path}.url", environ),
        headers=_headers(channel, path, environ),
        user=_resolve(channel.user, f"{path}.user", environ),
        password=_resolve(channel.password, f"{path}.password", environ),
    )
    if channel.type in _HTTP:
        _check_url(channel, read.url, f"{path}.url")
    return read


_REFERENCE: Final = "${NAME} of the environment, or file:/path"


def _refuse_secret(path: str) -> None:
    raise ConfigError(path, "is a secret that stands in the file", _REFERENCE)


def _expected(key: str) -> str:
    kinds = {"url": "https://host/path, or " + _REFERENCE, "to": "a list of addresses"}
    return kinds.get(key, f"a text, like {key}: ...")


def _headers(
    channel: Channel, path: str, environ: Mapping[str, str]
) -> Mapping[str, str]:
    read = {}
    for name, value in channel.headers.items():
        where = f"{path}.headers.{name}"
        if not isinstance(value, str) or not re.fullmatch(r"[\w-]+", name, re.ASCII):
            raise ConfigError(where, "is no header", "Name: text")
        if _SENSITIVE.search(name) and not re.search(REFERENCE, value):
            _refuse_secret(where)
        read[name] = _resolve(value, where, environ)
        if not read[name].isascii() or not read[name].isprintable():
            raise ConfigError(where, "has characters that no header has", "ASCII text")
    return read


def _resolve(text: str, path: str, environ: Mapping[str, str]) -> str:
    """The text with what it refers to; raises ConfigError."""
    if text.startswith(_FILE):
        place = Path(text.removeprefix(_FILE))
        try:
            read = place.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError, ValueError) as error:
            problem = getattr(error, "strerror", None) or "is no UTF-8 text"
            raise ConfigError(path, f"{place}: {problem}", "a readable file") from None
        if not read:
            raise ConfigError(path, f"{place} is empty", "a file with the secret")
        return read

    def variable(found: re.Match[str]) -> str:
        name = found[1]
        if not environ.get(name):
            problem = f"the environment has no {name}"
            raise ConfigError(path, problem, f"{name} set where the analyzer starts")
        return environ[name]

    return _VARIABLE.sub(variable, text)


def _check_file(file: Path, path: str) -> None:
    """It is made when it is first written to; its folder is not."""
    if not file.parent.is_dir():
        problem = f"{file.parent} is no folder"
        raise ConfigError(path, problem, "a file in a folder that is there")
    if file.is_dir():
        raise ConfigError(path, f"{file} is a folder", "a file in it")


def _check_url(given: Channel, url: str, path: str) -> None:
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname)
        whole = whole and (parts.port is None or parts.port > 0)
    except ValueError:
        whole = False
    if not whole or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigError(path, "is no URL", "https://host/path or http://host:port/")
    if parts.username is not None and not re.search(REFERENCE, given.url):
        _refuse_secret(path)
