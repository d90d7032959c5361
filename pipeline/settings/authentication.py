"""The settings of who may call the gateway."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from pipeline.errors import ConfigError
from pipeline.settings.declare import setting


@dataclass(frozen=True, slots=True)
class Authentication:
    """Who may call the gateway."""

    enabled: bool = setting(
        False,
        "Whether callers need a token of `pipeline token create`; off, the gateway"
        " listens on this machine's own addresses alone.",
    )
    token_file: str = setting(
        "", "Where tokens' hashes are kept; empty: beside the database, .tokens."
    )
    failures_per_minute: int = setting(
        120,
        "Requests without a valid token that an address may send in a minute; beyond it"
        " only tokens that were valid from there before are looked at.",
        minimum=1,
        maximum=1_000_000,
    )


def exposure(host: str, *, is_enabled: bool) -> ConfigError | None:
    """Why a gateway may not listen there; None when it may."""
    if is_enabled or is_loopback(host):
        return None
    problem = f"{host} is reached by other machines, and nobody needs a token"
    expected = "authentication.enabled: true (`pipeline token create`), or 127.0.0.1"
    return ConfigError("server.host", problem, expected)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name may come to point anywhere
        return False
