"""structlog's own loggers and processors, with the pipeline in their chain."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from structlog import processors
from structlog.testing import CapturingLoggerFactory

from pipeline.collectors.collector import Collector
from pipeline.collectors.processor import PipelineProcessor
from pipeline.collectors.traces import set_traceparent, trace_id
from pipeline.entry import Entry, Level, parse_timestamp
from tests.running import RunningIngester

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
HEADER = f"00-{TRACE}-{SPAN}-01"

Log = Callable[..., Entry]


def logger(collector: Collector, *before: Any, final: bool = True) -> Any:
    """A logger of structlog with these processors before the pipeline's."""
    chain = [*before, PipelineProcessor(collector, final=final)]
    return structlog.wrap_logger(
        CapturingLoggerFactory()(), chain, structlog.make_filtering_bound_logger(0)
    )


@pytest.fixture
def stored(logged: Callable[[], list[Entry]]) -> Callable[[], Entry]:
    """The one entry that this test has logged, as it is stored."""

    def entry() -> Entry:
        (found,) = logged()
        return found

    return entry


def test_an_event_is_an_entry(
    collector: Collector, stored: Callable[[], Entry]
) -> None:
    """With what is bound and what is given; values are as they were at the call."""
    items = [1]
    log = logger(collector, processors.add_log_level).bind(user="anna")

    log.warning("paid %d", 3, items=items, price=1.5, none=None, kind=int)
    items.append(2)

    found = stored()
    assert (found.level, found.message) == (Level.WARN, "paid 3")
    assert found.metadata == {
        "user": "anna",
        "items": [1],
        "price": 1.5,
        "none": None,
        "kind": "<class 'int'>",
    }


@pytest.mark.parametrize("add", [[], [processors.add_log_level]])
def test_levels_have_structlogs_names(
    ingester: RunningIngester, collector: Collector, add: list[Any]
) -> None:
    """Whether a processor has noted them or not."""
    log = logger(collector, *add)
    for name in ("debug", "info", "msg", "warn", "warning", "error", "critical"):
        getattr(log, name)(name)
    log.log(20, "log")
    log.fatal("fatal")
    log.exception("exception", exc_info=False)
    asyncio.run(log.aerror("aerror"))
    assert collector.flush()

    found = {row.message: row.level for row in ingester.entries(collector.source)}
    assert found == {
        "debug": Level.DEBUG,
        **dict.fromkeys(("info", "msg", "log"), Level.INFO),
        **dict.fromkeys(("warn", "warning"), Level.WARN),
        **dict.fromkeys(("error", "aerror", "exception"), Level.ERROR),
        **dict.fromkeys(("critical", "fatal"), Level.FATAL),
    }
    assert collector.stats()["unknown_levels"] == 0


def test_in_the_middle_of_a_chain_the_event_goes_on_unchanged(
    collector: Collector, stored: Callable[[], Entry]
) -> None:
    """To whatever comes behind: here JSON for the program's own output."""
    output = CapturingLoggerFactory()
    chain = [processors.add_log_level, PipelineProcessor(collector)]
    chain += [processors.format_exc_info, processors.JSONRenderer()]
    log = structlog.wrap_logger(output(), chain)

    log.info("both", a=1, trace_id="t", timestamp=5)

    (call,) = output.logger.calls
    expected = {"event": "both", "a": 1, "level": "info", "timestamp": 5}
    assert json.loads(call.args[0]) == expected | {"trace_id": "t"}
    assert stored().metadata == {"a": 1}


def test_at_the_end_of_a_chain_nothing_else_is_written(
    collector: Collector, stored: Callable[[], Entry]
) -> None:
    """The logger behind it is not called."""
    output = CapturingLoggerFactory()
    log = structlog.wrap_logger(output(), [PipelineProcessor(collector, final=True)])

    log.info("only here")

    assert output.logger.calls == []
    assert stored().message == "only here"


@pytest.mark.parametrize(
    "stamper",
    [
        processors.TimeStamper(fmt="iso"),
        processors.TimeStamper(fmt="iso", utc=False),
        processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S.%f", utc=False),
        processors.TimeStamper(),
    ],
    ids=["iso", "local iso", "local", "number"],
)
def test_the_time_is_the_stampers(
    collector: Collector,
    stored: Callable[[], Entry],
    stamper: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In each form that it writes, and in a zone that is not UTC."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    stamped: list[Any] = []

    def note(_: object, __: str, event: Any) -> Any:
        stamped.append(time.time_ns())
        return event

    try:
        logger(collector, note, stamper, note).info("m")
    finally:
        monkeypatch.undo()
        time.tzset()

    before, after = stamped
    found = stored()
    assert before - 1000 <= found.timestamp <= after + 1000
    assert found.metadata == {}


def test_a_time_of_the_past_is_kept_and_what_is_none_is_metadata(
    ingester: RunningIngester, collector: Collector
) -> None:
    """Then the entry has the time of the call."""
    log = logger(collector)
    begin = time.time_ns()
    log.info("past", timestamp="2020-01-01T00:00:00Z")
    log.info("none", timestamp="10:00")
    assert collector.flush()

    past, none = ingester.entries(collector.source)
    assert past.timestamp == parse_timestamp("2020-01-01T00:00:00Z", 0)
    assert begin <= none.timestamp <= time.time_ns()
    assert none.metadata == {"timestamp": "10:00"}


def fail(log: Any, **fields: Any) -> None:
    """Log an exception where it is handled."""
    try:
        {}["lost"]
    except KeyError:
        log.exception("failed", **fields)


@pytest.mark.parametrize("before", [[], [processors.format_exc_info]])
def test_an_exception_has_its_stack(
    collector: Collector, stored: Callable[[], Entry], before: list[Any]
) -> None:
    """As an object, or as text that a processor before has made of it."""
    fail(logger(collector, *before))

    found = stored()
    assert found.metadata is not None
    assert found.level == Level.ERROR
    assert '{}["lost"]' in found.metadata["stack"]
    assert found.metadata["stack"].endswith("KeyError: 'lost'")
    if not before:
        assert found.metadata["exc_type"] == "KeyError"
        assert found.metadata["exc_message"] == "'lost'"


def test_an_exception_as_a_structure_and_a_stack_are_kept(
    collector: Collector, stored: Callable[[], Entry]
) -> None:
    """As dict_tracebacks and StackInfoRenderer make them."""
    chain = [processors.StackInfoRenderer(), processors.dict_tracebacks]

    fail(logger(collector, *chain), stack_info=True)

    found = stored()
    assert found.metadata is not None
    assert found.metadata["exception"][0]["exc_type"] == "KeyError"
    assert "log.exception" in found.metadata["stack"]


def test_a_trace_comes_from_the_event_the_context_or_a_header(
    ingester: RunningIngester, collector: Collector
) -> None:
    """In this order; what is no header is kept."""
    log = logger(collector, structlog.contextvars.merge_contextvars)
    with structlog.contextvars.bound_contextvars(trace_id="bound", user="anna"):
        log.info("bound")
        log.info("given", trace_id="given", traceparent=HEADER)
    log.info("header", traceparent=HEADER)
    token = set_traceparent(HEADER)
    log.info("context", traceparent="no header")
    trace_id.reset(token)
    log.info("none")
    assert collector.flush()

    rows = ingester.entries(collector.source)
    assert {row.message: (row.trace_id, row.metadata) for row in rows} == {
        "bound": ("bound", {"user": "anna"}),
        "given": ("given", {"user": "anna", "span_id": SPAN}),
        "header": (TRACE, {"span_id": SPAN}),
        "context": (TRACE, {"traceparent": "no header"}),
        "none": (None, {}),
    }


class Mute:
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError


def test_no_event_raises_into_the_program(
    ingester: RunningIngester, collector: Collector
) -> None:
    """Whatever it holds, what can be kept of it is stored."""
    log = logger(collector, processors.EventRenamer("msg"))
    loop: list[Any] = []
    loop.append(loop)

    log.info("kept", mute=Mute(), loop=loop, big=1 << 70, bad="\udc80")
    log.info(Mute())
    log.info("x" * (2 << 20))
    log.bind(level="odd").info("odd level")
    assert collector.flush()

    kept, mute, long, odd = ingester.entries(collector.source)
    assert kept.metadata == {
        "mute": "<Mute without a text: RuntimeError>",
        "loop": "[[...]]",
        "big": str(1 << 70),
        "bad": "\\udc80",
    }
    assert mute.message == "<Mute without a text: RuntimeError>"
    assert long.metadata == {"truncated_bytes": 1 << 20}
    assert odd.metadata == {"level_text": "odd"}


def test_structlog_is_not_needed_to_import_it() -> None:
    """A program without it can hold the module."""
    program = (
        "import sys; sys.modules['structlog'] = None; "
        "from pipeline.collectors.processor import PipelineProcessor"
    )
    assert os.spawnl(os.P_WAIT, sys.executable, sys.executable, "-c", program) == 0
