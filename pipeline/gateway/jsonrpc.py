"""JSON-RPC 2.0: bytes to calls, results to bytes; no I/O and no method in it.

`parse` gives the calls of a body with params undecoded; whoever answers gives the
result as JSON text, which is spliced into the reply as it is, and so is the id:
neither is decoded and encoded again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Raw

from pipeline.gateway.errors import (
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    RpcError,
    refused,
    wrong_param,
)
from pipeline.gateway.lenient import FLAWS, elements, first_byte, members
from pipeline.gateway.repeats import repeated_member
from pipeline.gateway.split import MalformedError

Params = dict[str, Raw] | list[Raw]

NULL: Final = Raw(b"null")
_VERSION: Final = "2.0"
_Id = str | int | float | None


@dataclass(frozen=True, slots=True)
class Call:
    """One request; without an `id` (as it was written) it wants no reply."""

    method: str
    params: Params
    id: Raw | None


@dataclass(frozen=True, slots=True)
class Refused:
    """A member of a body that is no request; `id` is null where it can't be read."""

    error: RpcError
    id: Raw


@dataclass(frozen=True, slots=True)
class Request:
    """The calls of one body; replies to a batch are a list."""

    calls: list[Call | Refused]
    is_batch: bool


class _Failure(msgspec.Struct, omit_defaults=True):
    code: int
    message: str
    data: dict[str, object] | None = None


def parse(body: bytes, calls_max: int) -> Request:
    """The calls of a body; raises RpcError when it has none that could be answered."""
    kind = first_byte(body)
    try:
        if kind == b"{":
            return Request([_call(members(body))], is_batch=False)
        if kind == b"[":
            return Request(_batch(elements(body), calls_max), is_batch=True)
        msgspec.json.decode(body)
    except (MalformedError, *FLAWS) as error:
        raise refused(PARSE_ERROR, str(error), "JSON") from None
    raise _no_request("neither a map nor a list")


def reply(identity: Raw, result: bytes) -> bytes:
    """The reply to a call that succeeded; `result` is JSON."""
    return b'{"jsonrpc":"2.0","result":%b,"id":%b}' % (result, bytes(identity))


def failure(identity: Raw, error: RpcError) -> bytes:
    """The reply to a call that failed."""
    text = msgspec.json.encode(_Failure(error.code, error.message, error.data))
    return b'{"jsonrpc":"2.0","error":%b,"id":%b}' % (text, bytes(identity))


def join(replies: Iterable[bytes]) -> bytes:
    """The reply to a batch."""
    return b"[%b]" % b",".join(replies)


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Known names that look like this one, the likeliest first."""
    # imported here: most gateways never need it
    from difflib import get_close_matches

    lower = {candidate.lower(): candidate for candidate in known}
    found = get_close_matches(name[:64].lower(), lower, n=3, cutoff=0.6)
    return [lower[candidate] for candidate in found]


def unknown_method(name: str, known: Iterable[str]) -> RpcError:
    """-32601, with the methods that the caller may have meant."""
    names = sorted(known)
    return RpcError(
        METHOD_NOT_FOUND,
        {
            "problem": f"there is no method {name[:64]!r}",
            "nearest": nearest(name, names),
            "expected": names,
        },
    )


def _batch(pieces: list[Raw], calls_max: int) -> list[Call | Refused]:
    if not pieces:
        raise _no_request("an empty batch", "at least one call")
    if len(pieces) > calls_max:
        problem = f"a batch of {len(pieces):,} calls"
        raise _no_request(problem, f"at most {calls_max:,}")
    return [
        _call(members(piece))
        if first_byte(piece) == b"{"
        else Refused(_no_request("not a map"), NULL)
        for piece in pieces
    ]


def _call(parts: dict[str, Raw]) -> Call | Refused:
    try:
        identity = _identity(parts.get("id"))
    except RpcError as error:
        return Refused(error, NULL)
    try:
        if _text(parts, "jsonrpc") != _VERSION:
            raise _no_request("another version", '"2.0"', field="jsonrpc")
        return Call(_text(parts, "method"), _params(parts.get("params")), identity)
    except RpcError as error:
        return Refused(error, NULL if identity is None else identity)


def _identity(written: Raw | None) -> Raw | None:
    if written is not None:
        try:
            msgspec.json.decode(written, type=_Id)
        except FLAWS:
            expected = "a text, a number or null"
            raise _no_request("an id of another kind", expected, field="id") from None
    return written


def _text(parts: dict[str, Raw], field: str) -> str:
    if field not in parts:
        raise _no_request("missing", "text", field=field)
    try:
        return msgspec.json.decode(parts[field], type=str)
    except FLAWS:
        raise _no_request("no text", "text", field=field) from None


def _params(written: Raw | None) -> Params:
    kind = b"" if written is None else first_byte(written)
    if written is None:
        return {}
    if kind == b"{":
        found = members(written)
        repeated = repeated_member(written, found)
        if repeated is not None:
            raise wrong_param(repeated[:256], "stands twice", "each param once")
        return found
    if kind == b"[":
        return elements(written)
    raise _no_request("neither a map nor a list", "a map or a list", field="params")


def _no_request(
    problem: str, expected: str = "a JSON-RPC 2.0 request", **more: str
) -> RpcError:
    return refused(INVALID_REQUEST, problem, expected, **more)
