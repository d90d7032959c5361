"""Parameters by name or position to a method's type; refusals name the field.

The type is a msgspec Struct. What would have been right is read from its JSON schema,
so that an error, the OpenRPC document and the check are the same words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, partial
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw, Struct

from pipeline.gateway.errors import INVALID_PARAMS, RpcError, refused, wrong_param
from pipeline.gateway.jsonrpc import Params, nearest
from pipeline.gateway.lenient import FLAWS, find_flaw

Shape = TypeVar("Shape", bound=Struct)

_VALUE_SHOWN: Final = 60
"""Characters of a wrong value that an error repeats."""

_PLACE: Final = re.compile(r"^(.*?)(?: - at `(?:key in )?\$\.?(.*?)`)?$", re.DOTALL)

_INDEX: Final = re.compile(r"\[([^\]]*)\]")
_TYPES: Final = re.compile(r"`?\b(str|int|float|array|object)\b`?")
_TYPE_NAMES: Final = {
    "str": "text",
    "int": "integer",
    "float": "number",
    "array": "list",
    "object": "map",
}

_KINDS: Final = {
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "object": "a map",
    "null": "null",
}


def bind(params: Params, shape: type[Shape]) -> Shape:
    """The params as the method's type; raises RpcError (-32602)."""
    named = by_name(params, shape.__struct_encode_fields__)
    check_names(named, shape.__struct_encode_fields__)
    for field in msgspec.structs.fields(shape):
        if field.required and field.encode_name not in named:
            raise wrong_param(
                field.encode_name, "missing", expectation(shape, field.encode_name)
            )
    text = b"{%b}" % b",".join(
        b'"%b":%b' % (name.encode(), bytes(value)) for name, value in named.items()
    )
    try:
        found = msgspec.json.decode(text, type=shape)
    except FLAWS as error:
        raise _explain(error, named, shape) from None
    pack_params(found)
    return found


def pack_params(params: Struct) -> Raw:
    """As msgpack, for another process; raises RpcError for a number beyond 64 bits."""
    try:
        return Raw(msgspec.msgpack.encode(params))
    except OverflowError:
        name = next(filter(partial(_is_beyond, params), params.__struct_fields__), "")
        problem = "a number beyond 64 bits"
        raise wrong_param(name, problem, expectation(type(params), name)) from None


def _is_beyond(params: Struct, name: str) -> bool:
    try:
        msgspec.msgpack.encode(getattr(params, name))
    except OverflowError:
        return True
    return False


def by_name(params: Params, names: Sequence[str]) -> dict[str, Raw]:
    """The params under their names; `names` is their order as positions."""
    if isinstance(params, dict):
        return params
    if len(params) > len(names):
        raise refused(
            INVALID_PARAMS,
            f"{len(params)} params by position",
            f"at most {len(names)}: {', '.join(names)}" if names else "no params",
        )
    return dict(zip(names, params, strict=False))


def check_names(given: dict[str, Raw], known: Sequence[str]) -> None:
    """Raise RpcError for the first param that the method doesn't have."""
    for name in given:
        if name not in known:
            more = {"nearest": found} if (found := nearest(name, known)) else {}
            expected = ", ".join(known) or "no params"
            raise wrong_param(name[:256], "unknown param", expected, **more)


@cache
def expectation(shape: type[Struct], field: str) -> str:
    """What a field's value may be, in words."""
    schema = msgspec.json.schema(shape)
    definition = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    return _words(definition["properties"].get(field, {}))


def _explain(error: Exception, named: dict[str, Raw], shape: type[Struct]) -> RpcError:
    if isinstance(error, msgspec.ValidationError):
        found = _PLACE.match(str(error))
        if found is not None and found[2]:
            path = _INDEX.sub(r".\1", found[2])
            top = path.partition(".")[0]
            given = bytes(named[top]).decode("utf-8", "replace")
            problem = f"{_clip(given)}: {_plain(found[1])}"
            return wrong_param(path, problem, expectation(shape, top))
    for name, value in named.items():
        try:
            msgspec.json.decode(value)
        except FLAWS:
            inside, problem, expected = find_flaw(value)
            return wrong_param(
                ".".join(filter(None, (name, inside))), problem, expected
            )
    return refused(INVALID_PARAMS, str(error), "params as rpc.discover has them")


def _clip(text: str) -> str:
    return text if len(text) <= _VALUE_SHOWN else text[: _VALUE_SHOWN - 3] + "..."


def _plain(message: str) -> str:
    """msgspec's sentence in JSON's words, without code marks and its capital."""
    words = _TYPES.sub(lambda found: _TYPE_NAMES[found[1]], message)
    return (words[:1].lower() + words[1:]).replace("`", "")


def _words(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_words(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        *some, last = [msgspec.json.encode(value).decode() for value in schema["enum"]]
        return f"{', '.join(some)} or {last}" if some else last
    kind = str(schema.get("type"))
    if kind == "array":
        items = _words(schema["items"]) if schema.get("items") else "values"
        bound = f" of at most {schema['maxItems']:,}" if "maxItems" in schema else ""
        return f"a list{bound} ({items} each)"
    return _KINDS.get(kind, "any value") + _range(schema)


def _range(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low:,} to {high:,}"
    if low is not None:
        return f" from {low:,}"
    if "pattern" in schema:
        return f" like {schema['pattern']}"
    if "maxLength" in schema:
        return f" of at most {schema['maxLength']:,} characters"
    return ""
