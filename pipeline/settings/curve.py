"""The settings of who may use the ingester's ZeroMQ sockets."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import ConfigError
from pipeline.settings.authentication import is_loopback
from pipeline.settings.declare import setting


@dataclass(frozen=True, slots=True)
class Curve:
    """Encryption of the ZeroMQ sockets, and keys for who uses them."""

    enabled: bool = setting(
        False,
        "Whether producers and subscribers need a key of `pipeline keys`; off, the"
        " sockets listen on this machine's own addresses alone.",
    )
    key_file: str = setting(
        "",
        "Secret key of this machine's processes: the server's own, or on another"
        " machine a producer's; empty: beside the database, .curve.",
    )
    allow_file: str = setting(
        "",
        "Which keys may do what, read anew when it changes; empty: beside the"
        " database, .keys.",
    )


def exposures(
    ingest: str, publish: str, control: str, *, is_enabled: bool
) -> list[ConfigError]:
    """Why the ingester may not listen at these endpoints; empty: it may."""
    found = []
    expected = "curve.enabled: true (`pipeline keys`), or tcp://127.0.0.1 or ipc://"
    for name, endpoint in (("ingest", ingest), ("publish", publish)):
        if not is_enabled and _is_reached(endpoint):
            problem = f"{endpoint} is reached by other machines, and nobody needs a key"
            found.append(ConfigError(f"{name}.endpoint", problem, expected))
    if _is_reached(control):
        problem = f"{control} is reached by other machines, and whoever is may delete"
        found.append(ConfigError("control.endpoint", problem, "ipc:// or loopback"))
    return found


def _is_reached(endpoint: str) -> bool:
    """Whether other machines may reach it."""
    host = endpoint.removeprefix("tcp://").rpartition(":")[0].strip("[]")
    return endpoint.startswith("tcp://") and not is_loopback(host)
