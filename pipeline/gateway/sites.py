"""Which names this server goes by, and which other sites' pages may use it. Pure.

A page of any site can have its own name resolve to 127.0.0.1 and then counts as this
server's own (DNS rebinding). Its requests still carry that name in `Host`: a name that
was not configured is refused. Addresses can't be made to point elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

_OWN: Final = "localhost"
_HOST: Final = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]*)?", re.ASCII)
"""Host = uri-host [ ":" port ], RFC 9110; names as programs resolve them."""


class Sites:
    """`hosts` are further names of this server; `origins` of pages that may ask it."""

    def __init__(self, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        self.change(hosts, origins)

    def change(self, hosts: Iterable[str], origins: Iterable[str]) -> None:
        """Go by these from now on."""
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    def knows(self, host: str | None) -> bool:
        """Whether a request with this `Host` is meant for this server.

        Programs of HTTP/1.0 send none; browsers always do.
        """
        if host is None:
            return True
        name = _name_of(host)
        if name is None:
            return False
        is_own = name == _OWN or name.endswith(f".{_OWN}")
        return is_own or name in self._hosts or _is_address(name)

    def allows(self, origin: str) -> bool:
        """Whether pages of this origin may read what this server answers."""
        return origin.lower() in self._origins

    def is_foreign(
        self, origin: str | None, site: str | None, host: str | None
    ) -> bool:
        """Whether a browser asks for a page that may not: `site` is Sec-Fetch-Site."""
        if origin is None:
            return site == "cross-site"
        return not self.allows(origin) and urlsplit(origin).netloc != host


def _name_of(host: str) -> str | None:
    """The name without its port; None for what is none."""
    found = _HOST.fullmatch(host.lower())
    return None if found is None else found["name"].strip("[]").rstrip(".") or None


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
