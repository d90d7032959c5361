"""Archives beside their store: every question is answered as if nothing had left it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.backup.archive import Archive
from pipeline.batch.pack import pack
from pipeline.cli import config
from pipeline.clock import monotonic
from pipeline.control import Client, endpoint_of
from pipeline.errors import ConfigError, StoreError
from pipeline.query.answer import Engine, Limits
from pipeline.settings import load
from pipeline.store import attached
from pipeline.store.database import open_reader
from tests.cli.shell import Shell
from tests.end_to_end.running import Pipeline
from tests.ingester.process import Process, Sender, still

COMMITS = 12
ROWS = 50
WEB = 33
FUTURE = 1 << 62
NOW = 1_800_000_000_000_000_000

QUESTIONS = [
    ("query", {"q": "source:web user", "limit": 1000}),
    ("query", {"q": "source:db n:>30", "order": "asc", "limit": 1000}),
    ("query", {"q": "marker7", "limit": 1000}),
    ("query", {"q": "source:web | stats by (level) count() max(n)"}),
    ("get_stats", {"sources": ["web", "db"], "timerange": "2h"}),
    ("facets", {"sources": ["web"]}),
    ("patterns", {"sources": ["web"], "timerange": "2h"}),
    ("histogram", {"sources": ["db"], "timerange": "2w"}),
    ("get_trace", {"trace_id": "t3"}),
    ("search", {"query": "marker7", "context": 2}),
]


class Kept(NamedTuple):
    """A store of which parts stand in archives, and a copy of it before."""

    whole: Path
    store: Path
    archives: list[Path]


def eventually(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + 20
    while not (found := condition()):
        assert time.monotonic() < end, "not within 20 s"
        time.sleep(0.02)
    return found


def swaps(client: Client) -> int:
    """How many compacted blocks took others' place."""
    found: int = client.status()["compaction"].get("swaps", 0)
    return found


def left(store: Path, archive: Path) -> set[int]:
    """Blocks of the archive that the store has not purged yet."""
    ids = []
    for path in (store, archive):
        with closing(open_reader(path)) as connection:
            rows = connection.execute("SELECT id FROM compacted").fetchall()
            ids.append({block for (block,) in rows})
    return ids[0] & ids[1]


def send(
    ingester: Process, client: Client, first: int, last: int, kept: int = 0
) -> None:
    """Commits of these numbers, each with entries of two sources.

    `kept` of those before stand in an archive.
    """
    sender = Sender(ingester)
    before = client.status()["counters"].get("entries", 0)
    for number in range(first, last):
        entries = [
            {
                "message": f"user {n} did marker{number}",
                "source": "web" if n % 3 else "db",
                "level": "ERROR" if n % 7 == 0 else "INFO",
                "timestamp": NOW - (COMMITS * ROWS - number * ROWS - n) * 10**9,
                "trace_id": f"t{number}",
                "n": n,
            }
            for n in range(ROWS)
        ]
        sender.send(pack(entries))
        count = before + (number - first + 1) * ROWS
        eventually(lambda c=count: client.status()["counters"].get("entries", 0) >= c)
    sender.close()
    eventually(lambda: len(ingester.entries("web")) == (last - kept) * WEB)


def started(folder: Path) -> tuple[Process, Client]:
    """An ingester that purges soon, and its control socket."""
    made = Process(folder)
    made.environment["PIPELINE_COMPACTION__KEEP_REPLACED_SECONDS"] = "0.05"
    made.environment["PIPELINE_INGEST__COMMIT_INTERVAL_MS"] = "1"
    made.start()
    return made, Client(endpoint_of("", str(made.database)))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """One archive of compacted blocks, and one of fresh ones."""
    folder = tmp_path_factory.mktemp("kept")
    made, client = started(folder)
    ends = []
    send(made, client, 0, 4)
    eventually(lambda: client.compact() and swaps(client))
    ends.append(time.time_ns())
    whole = folder / "whole.db"
    with still(client):  # or it could merge across the end of the second archive
        for first, last in ((4, 8), (8, COMMITS)):
            send(made, client, first, last)
            ends.append(time.time_ns())
        with (
            closing(sqlite3.connect(made.database)) as there,
            closing(sqlite3.connect(whole)) as copy,
        ):
            there.backup(copy)
    archive = Archive(made.database, folder / "archive", client.endpoint, "ann")
    archives = [each.path for end in ends[:2] for each in archive.run(end)]
    eventually(lambda: not left(made.database, archives[0]))
    made.stop()
    assert len(archives) == 2
    return Kept(whole, made.database, archives)


def engine(path: Path, *archives: Path) -> Engine:
    """As shell and workers have it."""
    return Engine(path, Limits(), monotonic, attached=archives)


def asked(engine: Engine, method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The reply, without what it took."""
    reply = engine.answer(method, params, NOW, engine.budget())
    found: dict[str, Any] = json.loads(reply)
    found.pop("took_ms", None)
    return found


def test_a_store_that_goes_on_is_followed(tmp_path):
    """Through commits, compaction, purges and a deletion beside the archive."""
    ingester, client = started(tmp_path)
    try:
        send(ingester, client, 0, 4)
        ways = Archive(ingester.database, tmp_path / "archive", client.endpoint, "ann")
        both = engine(ingester.database, *[each.path for each in ways.run(FUTURE)])

        def count(**params: Any) -> Any:
            return asked(both, "query", {"sources": ["web"], **params})["count"]

        counts = [count()]
        for first in (4, 8):
            before = swaps(client)
            send(ingester, client, first, first + 4, kept=4)
            counts.append(count())
            eventually(lambda b=before: client.compact() and swaps(client) > b)
            counts.append(count())
        client.delete({"trace_id": "t5"}, time.time_ns(), "ann")
        counts += [count(), count(trace_id="t2")]
    finally:
        ingester.stop()

    assert counts == [WEB * commits for commits in (4, 8, 8, 12, 12, 11, 1)]


@pytest.mark.parametrize(("method", "params"), QUESTIONS)
def test_an_answer_is_that_of_the_whole_store(kept, method, params):
    """Pages, tables, traces and kinds of messages; without the archives it is less."""
    whole = asked(engine(kept.whole), method, params)

    assert asked(engine(kept.store, *kept.archives), method, params) == whole
    assert asked(engine(kept.store, *reversed(kept.archives)), method, params) == whole
    assert asked(engine(kept.store), method, params) != whole


def test_pages_go_through_all_files(kept):
    """A cursor holds while it goes from the store into its archives."""
    both = engine(kept.store, *kept.archives)
    found, cursor = [], None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        page = asked(both, "query", {"sources": ["web", "db"], "limit": 70, **more})
        found += [entry["id"] for entry in page["logs"]]
        if (cursor := page["next_cursor"]) is None:
            break

    assert len(set(found)) == len(found) == COMMITS * ROWS


def test_what_the_store_has_still_comes_once(kept):
    """As between the file's end and the drop, or when that failed."""
    params = {"sources": ["web"], "limit": 1000}
    found = asked(engine(kept.whole, *kept.archives), "query", params)

    assert found == asked(engine(kept.whole), "query", params)


def test_a_deletion_counts_what_it_can_delete(kept):
    """Archives never change."""
    both, alone = engine(kept.store, *kept.archives), engine(kept.store)
    counts = [asked(each, "delete", {"q": "user"})["count"] for each in (both, alone)]

    assert counts == [4 * ROWS, 4 * ROWS]


def test_no_statement_reads_more_for_an_archive(kept):
    """Each finds its rows by their ids in every file."""
    with closing(open_reader(kept.store)) as connection:
        attached.attach(connection, kept.archives)
        for table in ("blocks", "compacted", "segments", "filters"):
            plan = connection.execute(
                f"EXPLAIN QUERY PLAN SELECT * FROM {table} WHERE id IN (1, 2)"
            ).fetchall()
            steps = [step for *_, step in plan]

            assert sum(step.startswith("SEARCH") for step in steps) >= 3
            assert not [step for step in steps if step.startswith("SCAN")], steps


def flawed(kept: Kept, name: str, *statements: str) -> Path:
    """An archive of which something is otherwise."""
    path = kept.store.with_name(f"{name}.db")
    shutil.copy(kept.archives[0], path)
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return path


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM meta WHERE key = 'archive'", "it is no archive"),
        ("DELETE FROM compacted", "it has no blocks"),
        ("PRAGMA user_version = 99", "of a newer version"),
        ("UPDATE compacted SET last = last + 4000", "of another store"),
        ("UPDATE compacted SET id = id + 4000", "of another store"),
        ("UPDATE compacted SET last = last + 6", "of another store"),
    ],
)
def test_what_would_be_wrong_is_refused(kept, statement, problem):
    """By name; numbers that come up twice would mix blocks up."""
    path = flawed(kept, "flawed", statement)
    with pytest.raises(StoreError, match=problem) as found:
        asked(engine(kept.store, path), "query", {"q": "user"})

    assert str(path) in str(found.value)


def test_damage_of_an_archive_is_left_out_and_told(kept):
    """As that of the store; all else is answered."""
    zeros = "SET data = zeroblob(length(data))"
    path = flawed(kept, "damaged", f"UPDATE segments {zeros}", f"UPDATE blocks {zeros}")
    found = asked(engine(kept.store, path), "query", {"q": "user", "limit": 1000})

    assert found["unreadable_blocks"] >= 1
    assert found["count"] == 4 * ROWS


def test_the_same_archive_twice_is_refused(kept):
    """As are more files than SQLite takes, and one that is not there."""
    for files, problem in (
        ([kept.archives[0]] * 2, "has the same commits"),
        ([kept.archives[0]] * 11, "at most 10"),
        ([kept.store.with_name("none.db")], "unable to open"),
    ):
        with pytest.raises(StoreError, match=problem):
            asked(engine(kept.store, *files), "query", {"q": "user"})


def test_without_an_archive_the_store_answers_until_it_is_there(kept):
    """With what is missing; archives are on disks that come later."""
    one, other = kept.archives
    late = kept.store.with_name("late.db")
    parts = Engine(
        kept.store, Limits(), monotonic, attached=[late, other], needs_all=False
    )
    params = {"q": "user", "limit": 1000}
    lacking = asked(parts, "query", params)
    counted = asked(parts, "get_stats", {})
    shutil.copy(one, late)
    whole = asked(parts, "query", params)

    assert lacking.pop("unattached_archives") == counted["unattached_archives"] == 1
    assert lacking == asked(engine(kept.store, other), "query", params)
    assert whole == asked(engine(kept.store, one, other), "query", params)
    assert lacking["count"] < whole["count"]


def test_the_shell_asks_without_an_archive_that_it_was_not_told_of(kept):
    """And says so; one that was named has to be there."""
    none = str(kept.store.with_name("none.db"))
    shell = Shell(kept.store, PIPELINE_STORAGE__ATTACH=json.dumps([none]))
    code, out, errors = shell.here("query", "user", "--json", "--limit", "0")

    assert (code, out.count("\n")) == (0, 4 * ROWS)
    assert "1 archives can't be read" in errors
    assert "1 archives can't be read" in shell.here("export", "user")[2]
    assert shell.here("query", "user", "--attach", none)[0] == 1


def test_the_shell_attaches_by_option_and_setting(kept):
    """`--attach` for a question, storage.attach for all of them."""
    archive = str(kept.archives[0])
    words = "query", "user marker1", "--json"
    given = Shell(kept.store, PIPELINE_STORAGE__ATTACH=json.dumps([archive]))
    told = [
        Shell(kept.store).here(*words, "--attach", archive),
        given.here(*words),
        given.here(*words, "--db", str(kept.store)),  # it may be any other store
        Shell(kept.store).here(*words),
    ]

    assert [out.count("\n") for _, out, _ in told] == [ROWS, ROWS, 0, 0]
    code, _, errors = given.here(*words, "--url=http://x", "--attach", archive)
    assert code != 0
    assert "--attach: the gateway has its own" in errors


def test_a_configuration_with_a_wrong_archive_is_refused(kept):
    """Before a process goes by it."""
    given = {"storage.db_path": str(kept.store)}
    files = {"storage.attach": [str(kept.archives[0]), str(kept.whole)]}
    config.attachable(load(None, {}, given))

    with pytest.raises(ConfigError, match=r"attach: archive .*whole.db .* no archive"):
        config.attachable(load(None, {}, given | files))


def test_a_gateway_attaches_while_it_runs(kept, tmp_path):
    """By a change of its configuration; what was not there it has done without."""
    file = tmp_path / "c.yaml"
    none = str(tmp_path / "none.db")
    given = {"storage": {"attach": [none]}, "query": {"workers": 1}}
    file.write_text(json.dumps(given))
    pipeline = Pipeline()
    pipeline.environ["PIPELINE_STORAGE__DB_PATH"] = str(kept.store)
    gateway = pipeline.process("gateway", f"--config={file}")
    pipeline.processes["gateway"] = gateway
    try:
        found = pipeline.result("query", q="user")
        before, lacks = found["count"], found["unattached_archives"]
        reasons = pipeline.result("health")["reasons"]
        tool = pipeline.result("describe_logs")["unreadable"]
        attach = [str(each) for each in kept.archives]
        given = {"storage": {"attach": attach}, "query": {"workers": 1}}
        file.write_text(json.dumps(given))
        os.kill(gateway.pid, signal.SIGHUP)
        eventually(lambda: pipeline.result("query", q="user")["count"] > before)
        after = pipeline.result("query", q="user")["count"]
    finally:
        pipeline.close()

    assert (before, after, lacks) == (4 * ROWS, COMMITS * ROWS, 1)
    assert "storage.attach: 1 archives can't be read, answers lack entries" in reasons
    assert tool.startswith("1 archives beside the store can't be read: ")
    assert none not in json.dumps([found, reasons, tool])
