"""The OpenRPC document: made from the types that check the calls, never by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from pipeline.gateway.errors import INVALID_PARAMS, MESSAGES
from pipeline.gateway.methods.method import Method

VERSION: Final = "1.3.2"

PIPELINE_VERSION: Final = "0.1.0"
"""That of pyproject.toml, which a test compares: importlib.metadata costs 2.7 MB."""

_REFERENCE: Final = "#/components/schemas/{name}"


def document(methods: Iterable[Method]) -> dict[str, Any]:
    """The document as a map."""
    known = list(methods)
    types = [kind for method in known for kind in (method.params, method.result)]
    _, schemas = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    return {
        "openrpc": VERSION,
        "info": {
            "title": "Recursive Log Pipeline",
            "version": PIPELINE_VERSION,
            "description": "Logs in and out over JSON-RPC 2.0: POST /rpc, or /ws.",
        },
        "methods": [_method(method, schemas) for method in known],
        "components": {"schemas": schemas},
    }


def encode(methods: Iterable[Method]) -> bytes:
    """The document as JSON text."""
    return msgspec.json.encode(document(methods))


def _method(method: Method, schemas: dict[str, Any]) -> dict[str, Any]:
    codes = (INVALID_PARAMS, *method.errors)
    return {
        "name": method.name,
        "summary": method.summary,
        "paramStructure": "either",
        "params": _params(schemas[method.params.__name__]),
        "result": {
            "name": "result",
            "schema": {"$ref": _REFERENCE.format(name=method.result.__name__)},
        },
        "errors": [{"code": code, "message": MESSAGES[code]} for code in codes],
    }


def _params(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """One content descriptor per param, in the order of positions."""
    required = schema.get("required", ())
    return [
        {
            "name": name,
            "required": name in required,
            "description": _description(field),
            "schema": field,
        }
        for name, field in schema["properties"].items()
    ]


def _description(field: dict[str, Any]) -> str:
    """The field's own, or that of the one of its kinds that has one."""
    choices = [field, *field.get("anyOf", ())]
    return next((text for c in choices if (text := c.get("description"))), "")
