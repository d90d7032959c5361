"""Calls that Hypothesis makes of the OpenRPC document: values of each param's schema,
edges first, and now and then any JSON at all, which its generator knows many kinds of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

ANYTHING: Final[SearchStrategy[Any]] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=8,
)

ODD_OF: Final = 8
"""One value of so many does not fit its schema."""

DEEP: Final = 6
LARGE: Final = 10**9


def bodies(document: Mapping[str, Any], number: int, count: int) -> list[bytes]:
    """About so many bodies of calls, the same for the same seed."""
    found: list[bytes] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(_call(document))
    def collect(call: dict[str, Any]) -> None:
        found.append(json.dumps(call).encode())

    collect()
    return found


@st.composite
def _call(draw: DrawFn, document: Mapping[str, Any]) -> dict[str, Any]:
    method = draw(st.sampled_from(document["methods"]))
    schemas = document["components"]["schemas"]
    params = {
        param["name"]: draw(_value(param["schema"], schemas))
        for param in method["params"]
        if param.get("required") or draw(st.booleans())
    }
    return {
        "jsonrpc": "2.0",
        "id": draw(st.integers() | st.text() | st.none()),
        "method": method["name"],
        "params": params,
    }


@st.composite
def _value(
    draw: DrawFn,
    schema: Mapping[str, Any],
    schemas: Mapping[str, Any],
    depth: int = 0,
) -> Any:
    if depth > DEEP or draw(st.integers(1, ODD_OF)) == ODD_OF:
        return draw(ANYTHING)
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return draw(_value(schemas[name], schemas, depth + 1))
    if "anyOf" in schema:
        chosen = draw(st.sampled_from(schema["anyOf"]))
        return draw(_value(chosen, schemas, depth + 1))
    if schema.get("type") == "array":
        items = _value(schema.get("items", {}), schemas, depth + 1)
        return draw(st.lists(items, max_size=4))
    if schema.get("type") == "object":
        wanted = schema.get("required", ())
        return {
            name: draw(_value(about, schemas, depth + 1))
            for name, about in schema.get("properties", {}).items()
            if name in wanted or draw(st.booleans())
        }
    known = [*schema.get("enum", ()), *schema.get("examples", ())]
    typed = _scalar(schema)
    return draw(st.sampled_from(known) | typed if known else typed)


def _scalar(schema: Mapping[str, Any]) -> SearchStrategy[Any]:
    low, high = schema.get("minimum", -LARGE), schema.get("maximum", LARGE)
    match schema.get("type"):
        case "integer":
            return st.integers(int(low), int(high))
        case "number":
            return st.floats(low, high)
        case "boolean":
            return st.booleans()
        case "string":
            most = min(schema.get("maxLength", 40), 40)
            return st.text(min_size=schema.get("minLength", 0), max_size=most)
        case "null":
            return st.none()
        case _:
            return ANYTHING
