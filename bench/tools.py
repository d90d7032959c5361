"""What the tools for language models take: tokens and milliseconds, over real clients.

    python -m bench.tools --entries 10000000 --runs 20
    python -m bench.tools --keep /tmp/tools-store

A store of a day of the corpus that ends when it is filled, its HTTP, database, MCP and
AI entries under the names that collectors give them, with hostile entries in the last
half hour. Every tool is called by the official client, over stdio and over HTTP, with
its defaults, over an hour, and over everything; no call is asked twice the same way.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from mcp import Client, StdioServerParameters

from bench.corpus import pieces
from bench.frames import write
from bench.hostile import SECRETS, rows
from bench.ingest import Options as Fed
from bench.ingest import feed, frame_feeders
from bench.processes import Place, compact, place, running
from pipeline.entry import Entry
from pipeline.tools.definitions import MAX_TOKENS
from pipeline.tools.tokens import tokens

DAY: Final = 86_400_000_000_000
HOSTILE: Final = 200
BATCH: Final = 2_000

NAMES: Final = {
    "api-gateway": "http_traffic",
    "mcp-server": "recursive_mcp",
    "ai-analysis": "recursive_ai",
}
"""Sources of the corpus under the names of the collectors."""

WINDOWS: Final = {"defaults": 0, "an hour": 3_600, "all": 2 * 86_400}
"""Seconds before the newest entry. A store that is kept grows old, and has nothing of
the first, which is before now."""

Call = tuple[str, dict[str, Any]]


def dated(entries: int, end: int, span: int = DAY) -> Iterator[Entry]:
    """The corpus, evenly over the time before `end`."""
    begin, step = end - span, span / entries
    number = 0
    for piece in pieces(entries):
        for entry in piece:
            at = begin + int(number * step)
            source = NAMES.get(entry.source, entry.source)
            yield entry._replace(timestamp=at, source=source)
            number += 1


def _batches(entries: int, end: int) -> Iterator[list[Entry]]:
    """What a relay of all services sends, and then the hostile entries by fives."""
    source = dated(entries, end)
    while batch := list(islice(source, BATCH)):
        yield batch
    hostile = rows(end, HOSTILE)
    while batch := list(islice(hostile, 5)):
        yield batch


def fill(folder: Path, entries: int) -> Place:
    """A store with all of them, compacted."""
    where = place(folder)
    file = folder / "tools.batches"
    write(file, _batches(entries, time.time_ns()))
    feed(where, frame_feeders(where, file, Fed(entries)))
    file.unlink()
    compact(where)
    return where


def calls(seconds: int, number: int, known: dict[str, list[str]]) -> Iterator[Call]:
    """Every tool over a time, 0 for its default, which no call before had."""
    is_hour = 0 < seconds < WINDOWS["all"]
    age = f"{seconds + number}s" if seconds else None
    ranged: dict[str, Any] = {} if age is None else {"timerange": age}
    minutes = {"minutes": seconds // 60 + number} if seconds else {}
    ids, traces = known["ids"], known["traces"]
    yield "get_recent_errors", minutes
    yield "analyze_performance", ranged | {"threshold_ms": 1_000 + number}
    yield "debug_session", ({"since": age} if age else {}) | {"include_trace": True}
    words = ("timeout", "failed", "refused", "level:error slow", "deadlock")
    yield "search_logs", ranged | {"query": words[number % len(words)]}
    groups = ("source", "level", "hour")
    yield "get_log_stats", ranged | {"group_by": groups[number % 3]}
    yield "get_trace", {"trace_id": traces[number % len(traces)]}
    yield "list_patterns", ranged | ({"compare_to": "1h"} if is_hour else {})
    yield "get_context", {"id": ids[number % len(ids)]}
    yield "describe_logs", {}
    yield "get_entry", {"id": ids[number % len(ids)]}


async def _age(client: Client) -> int:
    """Seconds since the newest entry."""
    newest = json.loads(await _text(client, "describe_logs", {}))["newest"]
    return int(time.time() - datetime.fromisoformat(newest).timestamp())


async def _known(client: Client, age: int) -> dict[str, list[str]]:
    """Ids and traces of entries, hostile ones among them."""
    text = ""
    for query in ("failed", "IGNORE", "login", "slow"):
        arguments: dict[str, Any] = {"query": query, "timerange": f"{3_600 + age}s"}
        arguments |= {"max_tokens": 20_000, "context": 0}
        text += await _text(client, "search_logs", arguments)
    words = text.replace('"', " ").split()
    return {
        "ids": [word[3:] for word in words if word.startswith("id=")],
        "traces": [word[6:] for word in words if word.startswith("trace=")]
        or ["hostile-trace"],
    }


async def _text(client: Client, tool: str, arguments: dict[str, Any]) -> str:
    result = await client.call_tool(tool, arguments)
    text = "".join(getattr(each, "text", "") for each in result.content)
    if result.is_error:
        print(f"\n{tool} {arguments} is refused: {text}", end="")
    return text


Found = dict[str, list[tuple[float, str]]]


async def _ask(target: str | StdioServerParameters, seconds: int, runs: int) -> Found:
    """Milliseconds and texts of each tool's calls."""
    found: Found = {}
    async with Client(target) as client:
        listing = await client.list_tools()
        (counted,) = _counted([_listed(listing).decode()]) or [0]
        print(f"\ntools/list: {counted} tokens by o200k", end="")
        age = await _age(client)
        known = await _known(client, age)
        for number in range(runs):
            for tool, arguments in calls(seconds and seconds + age, number, known):
                begun = time.perf_counter()
                text = await _text(client, tool, arguments)
                took = (time.perf_counter() - begun) * 1_000
                found.setdefault(tool, []).append((took, text))
    return found


def _listed(listing: Any) -> bytes:
    tools = [
        tool.model_dump(by_alias=True, exclude_none=True) for tool in listing.tools
    ]
    return json.dumps(tools, separators=(",", ":")).encode()


@contextmanager
def _served(where: Place) -> Iterator[dict[str, str | StdioServerParameters]]:
    """The gateway, and what clients of each transport connect to."""
    flags = ["-m", "pipeline", "mcp", "--url", f"http://127.0.0.1:{where.port}"]
    with ExitStack() as stack:
        stack.enter_context(running("ingester", where))
        stack.enter_context(running("gateway", where))
        server = stack.enter_context(
            subprocess.Popen(
                [sys.executable, *flags, "--http", "127.0.0.1:0"],
                env=where.environ,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(server.terminate)
        assert server.stderr is not None
        address = server.stderr.readline().split()[-1]
        stdio = StdioServerParameters(
            command=sys.executable, args=flags, env=where.environ
        )
        yield {"stdio": stdio, "http": address}


def _counted(texts: list[str]) -> list[int]:
    """Tokens of each by o200k, where the tokenizer of Node's packages is installed."""
    folder = Path(__file__).parents[1] / "node"
    program = (
        "const {encode}=require('gpt-tokenizer/encoding/o200k_base');"
        "const all=JSON.parse(require('fs').readFileSync(0,'utf8'));"
        "console.log(JSON.stringify(all.map(t=>"
        "encode(t,{disallowedSpecial:new Set()}).length)))"
    )
    done = subprocess.run(
        ["node", "-e", program],
        input=json.dumps(texts),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return []
    counted: list[int] = json.loads(done.stdout)
    return counted


def report(name: str, found: Found) -> None:
    """A line for each tool: what its replies took."""
    print(f"\n{name:24} {'p50 ms':>8} {'p95 ms':>8} {'estimate':>9} {'o200k':>7}")
    for tool, replies in found.items():
        times = sorted(took for took, _ in replies)
        texts = [text for _, text in replies]
        most = max(tokens(text.encode()) for text in texts)
        counted = _counted(texts)
        p50, p95 = times[len(times) // 2], times[int(len(times) * 0.95)]
        real = max(counted) if counted else 0
        over = " OVER" * (max(most, real) > MAX_TOKENS)
        told = " SECRET" * any(secret in text for secret in SECRETS for text in texts)
        print(f"{tool:24} {p50:8.1f} {p95:8.1f} {most:9,} {real:7,}{over}{told}")


def measure(where: Place, runs: int, windows: Sequence[str]) -> None:
    """All tools, over both transports and each of the windows."""
    with _served(where) as targets:
        for transport, target in targets.items():
            for name in windows:
                found = asyncio.run(_ask(target, WINDOWS[name], runs))
                report(f"{transport}, {name}", found)


def main() -> None:
    """Fill and measure; a folder that is kept is filled once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="a folder for the store, kept")
    parser.add_argument("--windows", nargs="+", choices=WINDOWS, default=list(WINDOWS))
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = arguments.keep
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        where = place(folder)
        if not where.database.exists():
            where = fill(folder, arguments.entries)
        measure(where, arguments.runs, arguments.windows)


if __name__ == "__main__":
    main()
