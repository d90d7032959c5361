"""The structure of the package: where imports may point, and where libraries live."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONGEST_FILE = 400

LAYERS = (
    {"wire", "delivery"},
    {"store"},
    {"backup", "collectors", "query"},
    {"ingester", "analyzer", "tools", "gateway"},
    {"mcp"},
    {"cli"},
)
"""Packages may import those of their own line and above; all else is a leaf."""

FORBIDDEN = (("store", "wire"), ("store", "query"), ("query", "gateway"))
"""Beyond the layers: blocks know neither how they came nor what is asked."""

HOMES = {
    "zmq": ("pipeline.transport",),
    "sqlite3": ("pipeline.store.database",),
    "aiosqlite": ("pipeline.store.database",),
    "zstandard": ("pipeline.compression",),
    "mcp": ("pipeline.mcp",),
    "mcp_types": ("pipeline.mcp",),
    "uvicorn": ("pipeline.mcp",),
    "anyio": ("pipeline.mcp",),
    "yaml": ("pipeline.settings",),
    "pyarrow": ("pipeline.cli.parquet",),
    "prometheus_client": ("pipeline.gateway.watching.exposition",),
    "aiohttp": (
        "pipeline.gateway",
        "pipeline.collectors.middleware",
        "pipeline.analyzer.channels",
        "pipeline.mcp.gateway",
    ),
}
"""Each library that does I/O, and the only modules that import it."""

LIGHT = {
    "import pipeline; pipeline.Collector": (
        {"numpy", "msgspec", "yaml", "aiohttp", "sqlite3"},
        "pipeline.collectors.collector",
    ),
    "import pipeline; pipeline.PipelineHandler": (
        {"numpy", "msgspec", "yaml", "aiohttp", "sqlite3"},
        "pipeline.collectors.handler",
    ),
    "import pipeline.gateway.server": ({"numpy"}, "pipeline.gateway.server"),
    "import pipeline.ingester.ingester": (
        {"aiohttp", "asyncio", "yaml"},
        "pipeline.ingester.ingester",
    ),
    "import pipeline.analyzer.process": (
        {"aiohttp", "asyncio", "yaml"},
        "pipeline.analyzer.process",
    ),
    "import pipeline.query.worker": ({"aiohttp", "yaml"}, "pipeline.query.worker"),
    "import pipeline.cli.mcp": (
        {"numpy", "msgspec", "aiohttp", "zmq", "sqlite3", "mcp", "pydantic"},
        "pipeline.cli.mcp",
    ),
    "import pipeline.cli.up": (
        {"numpy", "msgspec", "yaml", "aiohttp", "zmq", "sqlite3"},
        "pipeline.cli.up",
    ),
}
"""What must not be loaded by each entry (memory), and the module that it needs."""

CLOCKS = {
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "monotonic"),
    ("time", "monotonic_ns"),
    ("time", "perf_counter"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
}


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(path): path for path in sorted((ROOT / "pipeline").rglob("*.py"))}


@cache
def _trees() -> dict[str, ast.Module]:
    """Parsed when first asked for: every process of the tests collects this file."""
    return {name: ast.parse(path.read_text()) for name, path in MODULES.items()}


def _imported(node: ast.AST) -> Iterator[str]:
    """The modules that one statement imports; `from a import b` may be a.b or a."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            yield inner if inner in MODULES else node.module


def _imports(module: str) -> set[str]:
    """All that a module imports anywhere, functions included."""
    return {name for node in ast.walk(_trees()[module]) for name in _imported(node)}


def _package(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def _layer(module: str) -> int:
    for number, packages in enumerate(LAYERS, 1):
        if _package(module) in packages:
            return number
    return 0


@cache
def _inside() -> list[tuple[str, str]]:
    """Each module of the pipeline with each other one that it imports."""
    return [
        (module, name)
        for module in MODULES
        if module not in ("pipeline", "pipeline.__main__")  # these only point at others
        for name in sorted(_imports(module))
        if name.split(".")[0] == "pipeline"
    ]


def test_imports_point_one_way():
    """From the command line down to the leaves, never back."""
    wrong = [(a, b) for a, b in _inside() if _layer(b) > _layer(a)]

    assert wrong == []


def test_packages_that_must_not_know_each_other_do_not():
    """The store is used by both sides."""
    wrong = [(a, b) for a, b in _inside() if (_package(a), _package(b)) in FORBIDDEN]

    assert wrong == []


def test_there_is_no_cycle():
    """Among all modules, imports inside functions included."""
    graph: dict[str, set[str]] = {}
    for module, name in _inside():
        graph.setdefault(module, set()).add(name)

    TopologicalSorter(graph).prepare()  # raises CycleError, which names them


def test_siblings_do_not_import_their_package():
    """What `__init__` re-exports is for those outside; inside it makes cycles."""
    wrong = [
        (module, name)
        for module, name in _inside()
        if module.rpartition(".")[0] == name and name != "pipeline"
    ]

    assert wrong == []


@pytest.mark.parametrize("library", sorted(HOMES))
def test_a_library_that_does_io_has_one_home(library):
    """Everything else takes and returns values."""
    users = [
        module
        for module in MODULES
        if any(name.split(".")[0] == library for name in _imports(module))
    ]

    assert [user for user in users if not user.startswith(HOMES[library])] == []


def test_only_the_clock_reads_the_clock():
    """Time is an argument: no test has to wait for it."""
    readers = [
        f"{module}:{node.lineno}"
        for module, tree in _trees().items()
        if module != "pipeline.clock"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in CLOCKS
    ]

    assert readers == []


@pytest.mark.parametrize("folder", ["pipeline", "tests", "bench"])
def test_no_file_is_long(folder):
    """One thing each."""
    long = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / folder).rglob("*.py"))
        if len(path.read_text().splitlines()) > LONGEST_FILE
    ]

    assert long == []


@pytest.mark.parametrize("entry", [e for e, (_, m) in LIGHT.items() if m in MODULES])
def test_an_entry_loads_only_what_it_needs(entry):
    """A service that logs must not pay for what the pipeline's processes use."""
    heavy, _ = LIGHT[entry]
    program = f"import sys; {entry}; print(*sorted({heavy} & set(sys.modules)))"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert (ended.returncode, ended.stdout.strip()) == (0, ""), ended.stderr
