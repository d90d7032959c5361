"""API.md and rpc.discover say what the types say."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path

import msgspec
import pytest

import pipeline.gateway
from pipeline.gateway.errors import MESSAGES
from pipeline.gateway.events import PARAMS
from pipeline.gateway.http import application
from pipeline.gateway.methods.entries import GivenEntry
from pipeline.gateway.methods.log import LogParams
from pipeline.gateway.methods.table import METHODS
from pipeline.gateway.openrpc import PIPELINE_VERSION, document
from pipeline.settings import load

PAGE = (Path(pipeline.gateway.__file__).parent / "API.md").read_text()
SECTIONS = dict(re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S))
EACH = pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))


@EACH
def test_every_method_has_its_params_on_the_page(method):
    """In the order of positions, the required ones bold."""
    rows = re.findall(r"^\| (\**)`(\w+)`\**\s*\|", SECTIONS[method.name], re.M)
    fields = msgspec.structs.fields(method.params)

    assert rows == [
        ("**" if field.required else "", field.encode_name) for field in fields
    ]


@EACH
def test_every_result_is_on_the_page(method):
    """Each name of its first level."""
    text = SECTIONS[method.name]
    names = [field.encode_name for field in msgspec.structs.fields(method.result)]
    shared = SECTIONS["query"] if method.name in ("search", "get_stats") else ""

    assert [name for name in names if name not in text + shared] == []


@EACH
def test_the_examples_fit_the_types(method):
    """The reply of the page decodes as the method's result."""
    call, reply = map(
        json.loads, re.findall(r"```json\n(.*?)\n```", SECTIONS[method.name], re.S)
    )

    assert call["method"] == method.name
    assert call["id"] == reply["id"]
    msgspec.convert(reply["result"], method.result)
    shape = GivenEntry if method.params is LogParams else method.params
    if method.name != "log_batch":
        msgspec.convert(call.get("params", {}), shape)


def test_every_code_is_on_the_page():
    """With its message."""
    rows = re.findall(r"^\| (-\d+) \| ([^|]+?) \|", PAGE, re.M)

    assert {int(code): message for code, message in rows} == MESSAGES


def test_every_path_is_on_the_page():
    """With its HTTP method."""
    routes = application(None, 1).router.routes()
    paths = {
        f"{route.method} {route.resource.canonical}"
        for route in routes
        if route.method != "HEAD"
    }

    assert paths == set(re.findall(r"^\| `((?:GET|POST) [^`]+)`", PAGE, re.M))


def test_every_filter_of_the_tail_is_on_the_page():
    """By its name."""
    text = PAGE[PAGE.index("## Live tail as events") :]

    assert [name for name in PARAMS if f"`{name}`" not in text] == []


def test_the_settings_on_the_page_exist():
    """With their defaults, where these are told."""
    settings = load()
    named = re.findall(r"`((?:gateway|query)\.[a-z_]+)`(?: \(([\d,]+)\b)?", PAGE)

    for path, default in named:
        section, _, key = path.partition(".")
        value = getattr(getattr(settings, section), key)
        if default and key != "request_bytes":
            assert f"{value:,g}" == default, path


def test_the_document_is_openrpc():
    """As its specification asks: names, descriptors, references that resolve."""
    found = json.loads(msgspec.json.encode(document(METHODS.values())))

    assert re.fullmatch(r"1\.\d+\.\d+", found["openrpc"])
    assert set(found["info"]) >= {"title", "version"}
    assert [method["name"] for method in found["methods"]] == list(METHODS)
    for method in found["methods"]:
        assert method["paramStructure"] in ("by-name", "by-position", "either")
        for descriptor in [*method["params"], method["result"]]:
            assert descriptor["name"]
            assert isinstance(descriptor["schema"], dict)
        needed = [param["required"] for param in method["params"]]
        assert all(isinstance(value, bool) for value in needed)
        assert all(
            isinstance(error["code"], int) and error["message"]
            for error in method["errors"]
        )
    schemas = found["components"]["schemas"]
    references = re.findall(r'"\$ref":"#/components/schemas/(\w+)"', json.dumps(found))
    assert set(references) <= set(schemas)


@EACH
def test_every_param_is_described_in_the_document(method):
    """A client needs nothing else."""
    (found,) = document([method])["methods"]

    assert [param["name"] for param in found["params"] if not param["description"]] == (
        ["subscription"] if method.name == "unsubscribe" else []
    )


def test_the_version_is_the_distribution_s():
    """It stands twice because importlib.metadata costs 2.7 MB."""
    assert version("recursive-log-pipeline") == PIPELINE_VERSION
