"""structlog goes into the pipeline: the last processor of its chain, or one in it.

    log = Collector(source="web")
    structlog.configure(processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        PipelineProcessor(log),              # a copy goes into the pipeline
        structlog.dev.ConsoleRenderer(),     # the event goes on to the console
    ])

With `final=True` it is the end of the chain and nothing is printed. What structlog's
own processors add is understood (level, timestamp, logger, exception, stack, the
context's `trace_id` or `traceparent`); all other keys are metadata.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from datetime import UTC
from typing import Any, Final

from pipeline import clock
from pipeline.civil import LOCAL
from pipeline.collectors.collector import Collector
from pipeline.collectors.traces import parse_traceparent, trace_id
from pipeline.collectors.values import exception_fields, plain_value, shorten
from pipeline.entry import cut_message, parse_timestamp
from pipeline.errors import EntryError

EventDict = MutableMapping[str, Any]

_MESSAGE: Final = ("event", "message", "msg")
"""Where the text is; EventRenamer moves it."""

_LEVEL: Final = ("level", "severity")

_LEVELS: Final = {"exception": "ERROR", "notset": "TRACE", "msg": "INFO", "log": "INFO"}
"""Names of structlog's methods that are no levels elsewhere."""

_OWN: Final = frozenset({"_record", "_from_structlog", "_logger", "_name"})
"""What ProcessorFormatter carries along for itself."""


class PipelineProcessor:
    """A processor of structlog that sends each event through a Collector."""

    def __init__(self, collector: Collector, *, final: bool = False) -> None:
        """`final` ends the chain: the event goes nowhere else."""
        self.collector = collector
        self._final = final

    def __call__(self, _: object, name: str, event_dict: EventDict) -> EventDict:
        """Send a copy of the event; raises structlog's DropEvent if it is final."""
        self._send(name, dict(event_dict))
        if self._final:
            # whoever calls has it: it isn't needed to import this module
            from structlog import DropEvent

            raise DropEvent
        return event_dict

    def _send(self, name: str, fields: dict[str, Any]) -> None:
        message, gone = cut_message(_text(_take(fields, _MESSAGE)))
        level = str(_take(fields, _LEVEL) or name)
        metadata: dict[str, Any] = {}
        trace = _take_trace(fields, metadata)
        timestamp = _take_time(fields, metadata)
        _take_exception(fields, metadata)
        for key, value in fields.items():
            if key not in _OWN:
                metadata[str(key)] = plain_value(value)
        if gone:
            metadata["truncated_bytes"] = gone
        self.collector.log(
            _LEVELS.get(level, level), message, metadata, None, trace, timestamp
        )


def _text(event: object) -> str:
    if event is None:
        return ""
    return event if isinstance(event, str) else str(plain_value(event))


def _take(fields: dict[str, Any], names: tuple[str, ...]) -> Any:
    """The first of the keys that is there; the others stay."""
    for name in names:
        if name in fields:
            return fields.pop(name)
    return None


def _take_time(fields: dict[str, Any], metadata: dict[str, Any]) -> int:
    """The event's time; what is none stays as it is, and the entry has the present.

    TimeStamper(utc=False) writes local time without saying so: of both readings it is
    the one nearer to the present.
    """
    now = clock.now_ns()
    stamp = fields.pop("timestamp", None)
    try:
        readings = [parse_timestamp(stamp, now, zone) for zone in (UTC, LOCAL)]
    except EntryError:
        metadata["timestamp"] = plain_value(stamp)
        return now
    return min(readings, key=lambda time: abs(time - now))


def _take_trace(fields: dict[str, Any], metadata: dict[str, Any]) -> str | None:
    named = fields.pop("trace_id", None)
    header = fields.pop("traceparent", None)
    found = None if header is None else parse_traceparent(str(header))
    if found is not None:
        metadata["span_id"] = found.span_id
    elif header is not None:
        metadata["traceparent"] = plain_value(header)
    if named is not None:
        return str(plain_value(named))
    return found.trace_id if found is not None else trace_id.get()


def _take_exception(fields: dict[str, Any], metadata: dict[str, Any]) -> None:
    """An exception as it is, or as a processor has written it; and the call's stack."""
    error = _exception(fields.pop("exc_info", None))
    written = fields.get("exception")
    if error is not None:
        metadata.update(exception_fields(error))
    elif isinstance(written, str):
        metadata["stack"] = shorten(fields.pop("exception"))
    stack = fields.pop("stack", None)
    if stack is not None:
        name = "stack_info" if "stack" in metadata else "stack"
        metadata[name] = plain_value(stack)


def _exception(exc_info: object) -> BaseException | None:
    """What `exc_info` names, in any of the ways that structlog takes it."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple) and len(exc_info) == 3:
        return exc_info[1] if isinstance(exc_info[1], BaseException) else None
    return sys.exc_info()[1] if exc_info else None
