"""`logging` into a running pipeline: what arrives of a record."""

from __future__ import annotations

import datetime
import logging
import logging.config
import logging.handlers
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextvars import copy_context
from typing import Any

import pytest

from pipeline.collectors.collector import Collector
from pipeline.collectors.handler import (
    PipelineHandler,
    TraceFilter,
    level_of,
    set_traceparent,
    trace_id,
)
from pipeline.collectors.values import TEXT_CHARACTERS
from pipeline.entry import Entry, Level
from pipeline.limits import MESSAGE_BYTES
from tests.running import RunningIngester

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningIngester]:
    """One ingester for the tests of this file."""
    ingester = RunningIngester(tmp_path_factory.mktemp("handler"))
    ingester.start()
    yield ingester
    ingester.stop()


class Program:
    """A program that logs: its logger, its handler, and what arrived of it."""

    def __init__(self, running: RunningIngester, source: str) -> None:
        self.handler = PipelineHandler(
            running.ingest, source, acknowledge_endpoint=running.publish
        )
        self.log = logging.getLogger(f"tests.{source}")
        self.log.propagate = False
        self.log.setLevel(1)
        self.log.addHandler(self.handler)
        self._running = running
        self._source = source

    def arrived(self) -> list[Entry]:
        """All entries of this program, which are durable now."""
        assert self.handler.collector.flush(20)
        return self._running.entries(self._source)

    def close(self) -> None:
        """Leave nothing behind."""
        self.log.removeHandler(self.handler)
        self.handler.close()


@pytest.fixture
def program(
    running: RunningIngester, request: pytest.FixtureRequest
) -> Iterator[Program]:
    """A program whose source is the test's name."""
    program = Program(running, request.node.name)
    yield program
    program.close()


def test_a_record(program: Program) -> None:
    """Message, level and time are the record's; where it was written is metadata."""
    before = datetime.datetime.now(datetime.UTC).timestamp()
    program.log.warning("%s is %d%% full", "disk", 93)

    (entry,) = program.arrived()
    assert (entry.message, entry.level) == ("disk is 93% full", Level.WARN)
    assert before <= entry.timestamp / 1e9 + 1e-5
    assert entry.metadata == {
        "logger": "tests.test_a_record",
        "file": __file__,
        "line": test_a_record.__code__.co_firstlineno + 3,
        "function": "test_a_record",
        "thread": "MainThread",
        "pid": os.getpid(),
    }


@pytest.mark.parametrize(
    ("number", "name"),
    [
        *((0, "TRACE"), (5, "TRACE"), (10, "DEBUG"), (15, "DEBUG"), (20, "INFO")),
        *((25, "INFO"), (30, "WARN"), (40, "ERROR"), (49, "ERROR"), (50, "FATAL")),
        *((99, "FATAL"), (-1, "TRACE")),
    ],
)
def test_levels(number: int, name: str) -> None:
    """Python's numbers count from their threshold on, not as syslog's or pino's."""
    assert level_of(number) == name


def test_a_level_of_the_program(program: Program) -> None:
    """Its name is kept."""
    logging.addLevelName(25, "SUCCESS")
    program.log.log(25, "done")

    (entry,) = program.arrived()
    assert (entry.level, (entry.metadata or {})["level_text"]) == (9, "SUCCESS")


class OddError(Exception):
    """An error with a name of its own."""


def _fail() -> None:
    raise OddError("no such thing")


def test_an_exception(program: Program) -> None:
    """Type, text and stack are metadata, and the message stays what was written."""
    try:
        _fail()
    except OddError:
        program.log.exception("failed")

    (entry,) = program.arrived()
    metadata = entry.metadata or {}
    assert (entry.message, entry.level) == ("failed", Level.ERROR)
    assert metadata["exc_type"].endswith("test_handler.OddError")
    assert metadata["exc_message"] == "no such thing"
    assert metadata["stack"].startswith("Traceback (most recent call last):\n")
    assert metadata["stack"].endswith("OddError: no such thing")


def test_exc_info_without_an_exception(program: Program) -> None:
    """There is nothing to add, and no error."""
    program.log.error("odd", exc_info=True)
    program.log.error("stack", stack_info=True)

    plain, stack = program.arrived()
    assert "exc_type" not in (plain.metadata or {})
    assert (stack.metadata or {})["stack"].startswith("Stack (most recent call last)")


def test_extra(program: Program) -> None:
    """Every value is metadata as it was at that moment; objects are their text."""
    items = [1, {"a": None}]
    extra = {
        "user": 7,
        "ratio": 0.5,
        "items": items,
        "day": datetime.date(2026, 11, 22),
        "line": "mine",
    }
    program.log.info("x", extra=extra)
    items.clear()

    (entry,) = program.arrived()
    metadata = entry.metadata or {}
    assert {key: metadata[key] for key in extra} == {
        "user": 7,
        "ratio": 0.5,
        "items": [1, {"a": None}],
        "day": "2026-11-22",
        "line": "mine",
    }


def test_odd_values_cost_nothing_else(program: Program) -> None:
    """Loops, depth, surrogates and giants are kept as far as they can be."""
    loop: list[Any] = []
    loop.append(loop)
    program.log.info(
        "\ud800 x",
        extra={"loop": loop, "big": 1 << 70, "text": "\udcff", "long": "x" * 10**6},
    )
    program.log.info("y" * (MESSAGE_BYTES + 5))

    odd, long = program.arrived()
    metadata = odd.metadata or {}
    assert odd.message == "\\ud800 x"
    assert (metadata["big"], metadata["text"]) == (str(1 << 70), "\\udcff")
    assert len(metadata["long"]) < TEXT_CHARACTERS + 100
    assert len(long.message) == MESSAGE_BYTES
    assert (long.metadata or {})["truncated_bytes"] == 5


@pytest.mark.parametrize(("formatted", "message"), [(False, "x"), (True, "<x>")])
def test_a_formatter_only_when_asked(
    program: Program, formatted: bool, message: str
) -> None:
    """basicConfig() sets one; the message stays what the program wrote."""
    handler = PipelineHandler(collector=program.handler.collector, formatted=formatted)
    handler.setFormatter(logging.Formatter("<%(message)s>"))
    handler.handle(logging.makeLogRecord({"msg": "x", "levelno": logging.INFO}))
    program.handler.flush()

    assert program.arrived()[0].message == message


def test_trace_ids(program: Program) -> None:
    """From `extra`, else from a traceparent, else from the context."""
    token = set_traceparent(TRACEPARENT)
    program.log.info("context")
    program.log.info("extra", extra={"trace_id": "t"})
    program.log.info("header", extra={"traceparent": TRACEPARENT.replace("0a", "1b")})
    trace_id.reset(token)
    program.log.info("none")

    context, extra, header, none = program.arrived()
    assert [entry.trace_id for entry in (context, extra, none)] == [TRACE, "t", None]
    assert header.trace_id == TRACE.replace("0a", "1b")
    assert (header.metadata or {})["span_id"] == "b7ad6b7169203331"


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", "garbage", TRACEPARENT.upper(), TRACEPARENT[:-1]),
        *("ff" + TRACEPARENT[2:], f"00-{'0' * 32}-b7ad6b7169203331-01"),
    ],
)
def test_headers_that_name_no_trace(header: str | None) -> None:
    """An invalid traceparent begins no trace, as W3C demands."""

    def check() -> None:
        set_traceparent(TRACEPARENT)
        set_traceparent(header)
        assert trace_id.get() is None

    copy_context().run(check)


def test_a_queue_handler(program: Program) -> None:
    """Behind a queue the record arrives too, with the trace of where it was made."""
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    sender = logging.handlers.QueueHandler(records)
    sender.addFilter(TraceFilter())
    listener = logging.handlers.QueueListener(records, program.handler)
    log = logging.getLogger("tests.queued")
    log.propagate = False
    log.addHandler(sender)
    listener.start()
    token = set_traceparent(TRACEPARENT)
    log.error("x %s", "y", extra={"user": 7})
    trace_id.reset(token)
    listener.stop()
    log.removeHandler(sender)

    (entry,) = program.arrived()
    assert (entry.message, entry.trace_id) == ("x y", TRACE)
    assert (entry.metadata or {})["user"] == 7


def test_dict_config(running: RunningIngester) -> None:
    """It can be configured by name, as any handler."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {
                "pipeline": {
                    "class": "pipeline.PipelineHandler",
                    "level": "WARNING",
                    "source": "configured",
                    "endpoint": running.ingest,
                    "acknowledge_endpoint": running.publish,
                }
            },
            "loggers": {
                "tests.configured": {"handlers": ["pipeline"], "propagate": False}
            },
        }
    )
    log = logging.getLogger("tests.configured")
    log.info("not this")
    log.warning("this")
    (handler,) = log.handlers
    log.removeHandler(handler)
    handler.close()

    assert [entry.message for entry in running.entries("configured")] == ["this"]


def test_no_error_reaches_the_program(
    program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong arguments are reported on stderr, as logging does; the next one works."""
    # past the logger: pytest's own handler raises errors
    wrong = {"msg": "%d", "args": ("no number",), "levelno": 20}
    program.handler.handle(logging.makeLogRecord(wrong))
    program.log.info("fine")

    assert "Logging error" in capsys.readouterr().err
    assert [entry.message for entry in program.arrived()] == ["fine"]


def test_records_of_the_pipeline_itself(program: Program) -> None:
    """They are ignored: sending one would cause the next."""
    record = logging.makeLogRecord({"name": "pipeline.collectors", "msg": "x"})
    program.handler.handle(record)
    program.log.info("mine")

    assert [entry.message for entry in program.arrived()] == ["mine"]


def test_logging_while_logging(program: Program) -> None:
    """A value that logs when it is written does not send the handler round."""

    class Talkative:
        def __str__(self) -> str:
            program.log.info("inner")
            return "outer"

    outer = {"msg": "%s", "args": (Talkative(),), "levelno": 20}
    program.handler.handle(logging.makeLogRecord(outer))
    program.log.info("next")

    assert [entry.message for entry in program.arrived()] == ["outer", "next"]


def test_threads(program: Program) -> None:
    """Nothing is lost, and each thread's records keep their order."""

    def work(name: int) -> None:
        for number in range(200):
            program.log.info("%d", number, extra={"worker": name})

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    entries = program.arrived()
    for name in range(4):
        mine = [e.message for e in entries if (e.metadata or {})["worker"] == name]
        assert mine == [str(number) for number in range(200)]


def test_a_given_collector_stays_open(running: RunningIngester) -> None:
    """Closing the handler only flushes; entries have the collector's source."""
    collector = Collector(
        running.ingest, "shared", acknowledge_endpoint=running.publish
    )
    handler = PipelineHandler(collector=collector)
    handler.handle(logging.makeLogRecord({"msg": "one", "levelno": 20}))
    handler.close()
    assert [entry.message for entry in running.entries("shared")] == ["one"]

    collector.log("INFO", "two")
    collector.close()
    assert [entry.message for entry in running.entries("shared")] == ["one", "two"]


PROGRAM = """
import logging, os, sys
from pipeline import PipelineHandler
log = logging.getLogger()
log.addHandler(PipelineHandler(source="child", endpoint=sys.argv[1],
                               acknowledge_endpoint=sys.argv[2]))
log.warning("parent before")
if os.fork() == 0:
    log.warning("child")
    sys.exit(0)
os.wait()
log.warning("parent after")
heavy = {"numpy", "msgspec", "yaml", "aiohttp"} & set(sys.modules)
assert not heavy, heavy
"""


def test_fork_and_exit(running: RunningIngester) -> None:
    """Parent and child deliver what they log without closing, and load little."""
    command = [sys.executable, "-c", PROGRAM, running.ingest, running.publish]
    subprocess.run(command, check=True, timeout=60)

    messages = sorted(entry.message for entry in running.entries("child"))
    assert messages == ["child", "parent after", "parent before"]
