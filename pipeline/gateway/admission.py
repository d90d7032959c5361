"""Who comes in: by token, and as often as it may; all else is refused before its body
is read.

An address that shows one bad token after another gets 429 for each further one, looked
at or not: guesses have a bound. A token that was valid from there before still passes,
so that one broken client locks out nobody behind the same address.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from aiohttp import web

from pipeline.gateway.authentication import Authenticator
from pipeline.gateway.errors import FORBIDDEN, INVALID_REQUEST, RpcError, busy, refused
from pipeline.gateway.principal import LOCAL, OPEN_ROUTES, Principal
from pipeline.gateway.rates import CALLERS, Rates

_CALLING: Final = ("POST", "/rpc")
"""What is called there is counted call by call, where calls are known."""

_NETWORK: Final = 64
"""Bits of an IPv6 address that are its owner's network: one has 2**64 addresses."""

_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_TOO_MANY: Final = 429


class DeniedError(Exception):
    """A request that is refused with this status."""

    def __init__(self, status: int, error: RpcError) -> None:
        super().__init__(status, error)
        self.status = status
        self.error = error


class Admission:
    """Finds who sends a request; counts what it refuses."""

    def __init__(
        self,
        authenticator: Authenticator | None = None,
        calls: Rates | None = None,
        failures: Rates | None = None,
        counters: Counter[str] | None = None,
    ) -> None:
        self._authenticator = authenticator
        self._calls = Rates() if calls is None else calls
        self._failures = Rates() if failures is None else failures
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._counters: Counter[str] = Counter() if counters is None else counters

    @property
    def has_tokens(self) -> bool:
        """Whether those who call need one."""
        return self._authenticator is not None

    @contextmanager
    def entered(self, request: web.Request, principal: Principal) -> Iterator[None]:
        """While it is answered, it ends when its token does."""
        if self._authenticator is None or not principal.token:
            yield
            return
        self._authenticator.enter(request, principal)
        try:
            yield
        finally:
            self._authenticator.leave(request)

    async def run(self, app: web.Application) -> AsyncIterator[None]:
        """Look at the tokens while the server runs."""
        if self._authenticator is None:
            yield
            return
        async for _ in self._authenticator.run(app):
            yield

    def admit(self, request: web.Request, now: float) -> Principal:
        """Who sends it; raises DeniedError. Probes come in as they are."""
        if request.path in OPEN_ROUTES:
            return LOCAL
        address = network_of(request.remote or "")
        principal = self._identified(request, address, now)
        wait = self._calls.wait(principal.caller, now)
        if wait:
            self._counters["rate_limited"] += 1
            raise DeniedError(_TOO_MANY, too_often(wait))
        if (request.method, request.path) != _CALLING:
            self.spend(principal, now)
        return principal

    def spend(self, principal: Principal, now: float) -> None:
        """What it sent counts as one call; of a body that is none, too."""
        self._calls.spend(principal.caller, 1, now)

    def _identified(self, request: web.Request, address: str, now: float) -> Principal:
        """Every route but the probes needs a token, while tokens are needed."""
        if self._authenticator is None:
            return _local(address)
        found = self._authenticator.identify(request)
        wait = self._failures.wait(address, now)
        if wait and (found is None or (address, found.token) not in self._known):
            self._counters["authentications_limited"] += 1
            raise DeniedError(_TOO_MANY, _guessed_too_often(wait))
        if found is None:
            self._failures.spend(address, 1, now)
            self._counters["authentications_failed"] += 1
            expected = "Authorization: Bearer, and a token"
            error = refused(INVALID_REQUEST, "no valid token", expected)
            raise DeniedError(_UNAUTHORIZED, error)
        self._remember(address, found.token)
        if not found.may_visit(request.path):
            problem = f"a {found.role} token may not use this path"
            error = refused(FORBIDDEN, problem, "a token of another role")
            raise DeniedError(_FORBIDDEN, error)
        return replace(found, address=address)

    def _remember(self, address: str, token: str) -> None:
        self._known[address, token] = None
        self._known.move_to_end((address, token))
        if len(self._known) > CALLERS:
            self._known.popitem(last=False)


def too_often(wait: float) -> RpcError:
    """-32003: the caller has asked more often than it may; seconds until it may."""
    return busy("calls come faster than gateway.calls_per_second", _milliseconds(wait))


def _guessed_too_often(wait: float) -> RpcError:
    problem = "requests without a valid token beyond failures_per_minute"
    return busy(problem, _milliseconds(wait))


def _milliseconds(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))


@lru_cache(maxsize=1024)
def _local(address: str) -> Principal:
    return replace(LOCAL, address=address)


@lru_cache(maxsize=1024)
def network_of(address: str) -> str:
    """The address, or the network of one that belongs to a whole network."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ip_network((found, _NETWORK), strict=False))
