"""`subscribe` and `unsubscribe`: the live tail over a WebSocket; types only.

They need the connection, so `websocket` answers them.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class SubscribeResult(Struct):
    """The number that notifications of this subscription carry."""

    subscription: int
    last_block: Annotated[
        int, Meta(description="`after_block` to go on from here on a new connection.")
    ]


class UnsubscribeParams(Struct, forbid_unknown_fields=True):
    """The subscription to end."""

    subscription: int


class UnsubscribeResult(Struct):
    """Whether there was such a subscription."""

    ended: bool
