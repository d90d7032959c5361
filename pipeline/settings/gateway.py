"""The settings of what the gateway takes from its clients."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.settings.declare import setting


@dataclass(frozen=True, slots=True)
class Gateway:
    """Who may ask the gateway, and what one client of it may cost."""

    hosts: tuple[str, ...] = setting(
        (),
        "Further names that the gateway goes by; others are refused, but for addresses,"
        " localhost and server.host: any site's name may be made to point here.",
        pattern=r"^[A-Za-z0-9._-]+$",
        example="logs.example.org",
    )
    origins: tuple[str, ...] = setting(
        (),
        "Origins of other sites whose pages may ask the gateway.",
        pattern=r"^https?://[^/\s]+$",
        example="https://status.example.org",
    )

    request_bytes: int = setting(
        16 << 20, "Largest request body.", minimum=1 << 10, maximum=1 << 30
    )
    batch_calls: int = setting(
        100, "Most calls in one JSON-RPC batch.", minimum=1, maximum=10_000
    )
    pending_queries: int = setting(
        64, "Questions that may wait for a worker; beyond it: busy.", minimum=1
    )
    durable_timeout_seconds: float = setting(
        5.0,
        "Longest that `log` waits for its entry to be durable.",
        minimum=0.001,
        maximum=3600,
    )
    export_clients: int = setting(
        8, "Most exports at once; beyond it: busy.", minimum=1, maximum=1_000
    )
    tail_clients: int = setting(100, "Most clients of the live tail.", minimum=0)
    tail_queue: int = setting(
        1000,
        "Entries that wait for one slow client; what it misses is counted.",
        minimum=1,
        maximum=1_000_000,
    )
    connections: int = setting(
        512,
        "Connections at once; beyond it the one goes that has waited longest without a"
        " request, and if all have one, the new one is told when to come again. One"
        " token has at most half of them busy.",
        minimum=1,
        maximum=100_000,
    )
    head_seconds: float = setting(
        10.0,
        "Longest that the head of a request takes, the first from the connection's"
        " beginning.",
        minimum=0.1,
        maximum=3600,
    )
    body_seconds: float = setting(
        30.0, "Longest that a request's body takes.", minimum=0.1, maximum=3600
    )
    idle_seconds: float = setting(
        300.0,
        "Longest that a connection waits for its next request.",
        minimum=0.1,
        maximum=86_400,
    )
    calls_per_second: float = setting(
        2000.0,
        "Calls that a token may make in a second, on average; without tokens, an"
        " address. 0: any number.",
        minimum=0.0,
        maximum=1_000_000,
    )
    calls_burst: int = setting(
        10_000,
        "Calls that it may make at once after it has rested.",
        minimum=1,
        maximum=10_000_000,
    )
