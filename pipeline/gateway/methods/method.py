"""What a method is: types that check and document it, and what answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from msgspec import Struct

from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.services import Services

Answer = Callable[[Services, Params, bool], Awaitable[bytes]]
"""(services, params, is_notification) to the result as JSON text; raises RpcError."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the API; `errors` are the codes it has beside JSON-RPC's own."""

    name: str
    summary: str
    params: type[Struct]
    result: type[Struct]
    errors: tuple[int, ...]
    answer: Answer
