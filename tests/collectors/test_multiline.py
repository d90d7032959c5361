"""What programs print when they fail is one entry; what they print else is not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.collectors.tail.cutter import Cutter

STAMP = b"2026-11-22 10:00:00,123 ERROR app: request failed\n"

SQLALCHEMY = b"""\
Traceback (most recent call last):
  File "/app/venv/sqlalchemy/engine/base.py", line 1967, in _exec_single_context
    self.dialect.do_execute(
psycopg2.errors.UndefinedTable: relation "orders" does not exist
LINE 2: FROM orders
             ^


The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/shop.py", line 9, in <module>
    session.execute(statement)
sqlalchemy.exc.ProgrammingError: (psycopg2.errors.UndefinedTable) no "orders"
LINE 2: FROM orders
             ^

[SQL: SELECT orders.id
FROM orders
WHERE orders.id = %(id)s]
[parameters: {'id': 1}]
(Background on this error at: https://sqlalche.me/e/20/f405)
"""
INTEGRITY = b"""\
Traceback (most recent call last):
  File "/app/shop.py", line 9, in <module>
    cursor.execute(statement)
psycopg2.errors.UniqueViolation: duplicate key value violates unique constraint "k"
DETAIL:  Key (id)=(1) already exists.
"""
DOTNET = b"""\
System.InvalidOperationException: Cannot open the order.
 ---> System.IO.IOException: The disk is full.
   at Shop.Disk.Write() in /src/Disk.cs:line 12
   --- End of inner exception stack trace ---
   at Shop.Orders.Open(Int32 id) in /src/Orders.cs:line 31
--- End of stack trace from previous location ---
   at Shop.Program.Main(String[] args) in /src/Program.cs:line 7
"""
SQL_SERVER = b"""\
System.Data.SqlClient.SqlException (0x80131904): Login failed for user 'shop'.
   at System.Data.SqlClient.SqlInternalConnection.OnError(SqlException exception)
"""
JAVA = b"""\
Exception in thread "main" java.lang.IllegalStateException: no order
\tat Shop.main(Shop.java:5)
Caused by: java.lang.RuntimeException: disk
\t... 1 more
"""
GO_FATAL = b"""\
fatal error: all goroutines are asleep - deadlock!

goroutine 1 gp=0xc0000061c0 m=0 mp=0x5a4c80 [chan receive]:
runtime.gopark(0xc000068748?, 0x0?, 0x0?, 0x0?, 0x0?)
\t/usr/lib/go/src/runtime/proc.go:424 +0xce
main.main()
\t/app/main.go:4 +0x1d
exit status 2
"""
GO_SERVED = b"""\
2026/11/22 10:00:00 http: panic serving 127.0.0.1:51002: boom
goroutine 18 [running]:
net/http.(*conn).serve.func1()
\t/usr/lib/go/src/net/http/server.go:1947 +0xbe
panic({0x6c5a80?, 0x7a3f50?})
\t/usr/lib/go/src/runtime/panic.go:785 +0x132
main.main.func1({0x7a6a48?, 0xc0001ba000?}, 0xc0001b8000?)
\t/app/main.go:9 +0x25
created by net/http.(*Server).Serve in goroutine 1
\t/usr/lib/go/src/net/http/server.go:3360 +0x485
"""
BROWSER = b"""\
Uncaught Error: no order
    at pay (https://shop.example/app.js:3:9)
"""
WRITTEN = {
    "sqlalchemy": SQLALCHEMY,
    "postgresql": INTEGRITY,
    "dotnet": DOTNET,
    "sqlserver": SQL_SERVER,
    "java": JAVA,
    "go": GO_FATAL,
    "served": GO_SERVED,
    "browser": BROWSER,
    "logged sqlalchemy": STAMP + SQLALCHEMY,
    "logged dotnet": STAMP + DOTNET,
    "logged sqlserver": STAMP + SQL_SERVER,
}

MODULES = {
    "throw": 'throw new Error("boom")',
    "type": "const total = undefined.price",
    "json": 'JSON.parse("{bad")',
    "file": 'import fs from "node:fs"\nfs.readFileSync("/no/such/file")',
    "code": 'import fs from "node:fs"\nfs.readFileSync(7n)',
    "rejected": 'await Promise.reject(new RangeError("no"))',
    "many": 'throw new AggregateError([new Error("a"), new Error("b")], "both")',
    "missing": (
        'import { createRequire } from "node:module"\n'
        'createRequire(import.meta.url)("./none")'
    ),
}
CHAINED = """
import logging
logging.basicConfig(format="{stamp}%(levelname)s:%(name)s:%(message)s")
def fail():
    raise ValueError("multi\\nline {{\\n\\nof it")
try:
    try:
        fail()
    except ValueError as error:
        error.add_note("with a note") if hasattr(error, "add_note") else None
        raise KeyError("x") from error
except KeyError:
    logging.exception("failed")
logging.warning("after")
"""


def texts(data: bytes) -> list[bytes]:
    """The entries' texts."""
    cutter = Cutter(0)
    return [piece.line.raw for piece in cutter.feed(data) + cutter.finish()]


def failing(*command: str | Path) -> bytes:
    """What a program writes to stderr."""
    ran = subprocess.run(command, stderr=subprocess.PIPE, timeout=30, check=False)
    assert ran.stderr
    return ran.stderr


@pytest.mark.parametrize("name", WRITTEN)
def test_a_failure_is_one_entry(name: str) -> None:
    """As its runtime prints it, with stamped lines around it."""
    before, after = b"10:00:00 INFO before", b"10:00:01 INFO after"
    data = before + b"\n" + WRITTEN[name] + after + b"\n"

    assert texts(data) == [before, WRITTEN[name].rstrip(), after]


@pytest.mark.requires_tool("node")
@pytest.mark.parametrize("name", MODULES)
def test_what_node_prints_is_one_entry(name: str, tmp_path: Path) -> None:
    """From the place in the source to Node's version."""
    module = tmp_path / "app.mjs"
    module.write_text(f"{MODULES[name]}\n")
    printed = failing("node", module)
    assert re.search(rb"\n\S*Error(?: \[\w+\])?: ", printed)

    assert texts(b"listening\n" + printed) == [b"listening", printed.strip()]


@pytest.mark.requires_tool("node")
def test_an_error_that_node_logs_goes_with_its_line(tmp_path: Path) -> None:
    """`console.error(error.stack)` behind a logger's line."""
    module = tmp_path / "app.mjs"
    module.write_text(
        'import fs from "node:fs"\n'
        'try { fs.readFileSync("/no/such") } catch (error) { console.error(error) }\n'
    )
    data = STAMP + failing("node", module)

    assert texts(data) == [data.rstrip()]


@pytest.mark.parametrize("stamp", ["", "%(asctime)s "])
def test_what_python_logs_is_one_entry(stamp: str) -> None:
    """Messages of many lines, notes and chained exceptions."""
    printed = failing(sys.executable, "-c", CHAINED.format(stamp=stamp))
    first, *more = texts(printed)

    assert first.rstrip().endswith(b"KeyError: 'x'")
    assert b"\nwith a note\n" in first or sys.version_info < (3, 11)
    assert len(more) == 1
    assert more[0].endswith(b"WARNING:root:after")


HEADS = [
    b"10:00:01 next",
    b"INFO next",
    b"[warn] next",
    b'{"msg": "next"}',
    b"<6>next",
    b"level=info msg=next",
    b"1763800000.5 next",
    b"panic: next",
]


@pytest.mark.parametrize("head", HEADS)
def test_an_entry_ends_where_another_begins(head: bytes) -> None:
    """At a time, a level, JSON, logfmt or another program's failure."""
    trace = STAMP + b"Traceback (most recent call last):\n  f()\nValueError: a\nb"

    assert texts(trace + b"\n" + head + b"\n") == [trace, head]


def test_plain_text_behind_a_bare_trace_stays_apart() -> None:
    """Of a program that prints no stamps nobody can tell what is of the message."""
    trace = b"Traceback (most recent call last):\n  f()\nValueError: a"

    assert texts(trace + b"\nlistening\nready\n") == [trace, b"listening", b"ready"]
    assert texts(b"ERROR: x\n" + trace + b"\nlistening\n")[-1] == b"listening"


def test_plain_errors_stay_apart() -> None:
    """One line each, and nothing before them has a stamp."""
    lines = [b"Failed to load a", b"Error: a", b"Error: b", b"Error", b"Exception: c"]

    assert texts(b"\n".join(lines)) == lines


def test_a_list_of_places_stays_apart() -> None:
    """As compilers print it; only one other line belongs to a place."""
    lines = [b"/src/a.c:12", b"/src/b.c:14", b"10:00:00 done"]

    assert texts(b"\n".join(lines)) == lines
    assert texts(b"/src/a.c:12\nx = 1\ny = 2\n") == [b"/src/a.c:12\nx = 1", b"y = 2"]


@pytest.mark.parametrize("part", [b"a.b-1[", b"a(", b"/:1", b"$Error", b"10:00"])
@pytest.mark.parametrize("head", [b"panic: x", STAMP + SQLALCHEMY.rstrip(), b"/a.js:1"])
def test_a_long_line_takes_no_long_time(head: bytes, part: bytes) -> None:
    """A pattern that went through it once for each character would never end."""
    long = (part * (1 << 20))[: 1 << 20]

    assert texts(head + b"\n" + long + b"\n") == [head, long]
