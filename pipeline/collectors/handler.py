"""Python's `logging` goes into the pipeline, with what a record knows.

    logging.getLogger().addHandler(PipelineHandler(source="web"))

The message is what the program wrote; where it was written, an exception and `extra`
are metadata. A trace id comes from `extra`, else from the `trace_id` of the context,
which `set_traceparent` takes from a request's header. Behind a QueueHandler the
context is the listener's: a `TraceFilter` on the QueueHandler carries it over.
"""

from __future__ import annotations

import atexit
import logging
import threading
from typing import Any, Final

from pipeline.collectors.collector import Collector
from pipeline.collectors.traces import parse_traceparent, set_traceparent, trace_id
from pipeline.collectors.values import exception_fields, plain_value, shorten
from pipeline.entry import Level, cut_message

__all__ = ["PipelineHandler", "TraceFilter", "set_traceparent", "trace_id"]

_EXTRA_TRACE: Final = ("trace_id", "traceparent")
_OWN: Final = "pipeline"

_THRESHOLDS: Final = (
    (logging.CRITICAL, Level.FATAL.name),
    (logging.ERROR, Level.ERROR.name),
    (logging.WARNING, Level.WARN.name),
    (logging.INFO, Level.INFO.name),
    (logging.DEBUG, Level.DEBUG.name),
)
_NAMES: Final = dict(_THRESHOLDS)

_STANDARD: Final = frozenset(
    {
        *logging.makeLogRecord({}).__dict__,
        *("message", "asctime", "taskName"),
        *_EXTRA_TRACE,
    }
)
"""Attributes that every record has, or that become a field; the others are `extra`."""

_exiting: Final = threading.Event()
"""At exit the collectors have waited for their entries before `logging` flushes: when
the pipeline is away, it would wait as long again."""

# later than the collectors' own, so that it runs before it
atexit.register(_exiting.set)


class TraceFilter(logging.Filter):
    """Notes the context's trace id on each record; for a QueueHandler."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        current = trace_id.get()
        if current is not None and not hasattr(record, "trace_id"):
            record.trace_id = current
        return True


class PipelineHandler(logging.Handler):
    """Sends records through a Collector: its own, or one that is given and stays open.

    Never raises into the program; what can't be sent is counted by the collector. The
    message is what the program wrote; only with `formatted` it is what the formatter
    makes of it, since basicConfig() gives every handler one that adds level and stack.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        source: str = "app",
        *,
        collector: Collector | None = None,
        level: int | str = logging.NOTSET,
        formatted: bool = False,
        timeout: float = 5.0,
        **options: Any,
    ) -> None:
        """`timeout` bounds `flush` and `close`; `options` are the Collector's."""
        super().__init__(level)
        self._owns = collector is None
        self._source = source if collector is None else None
        self.collector = collector or Collector(endpoint, source, **options)
        self._timeout = timeout
        self._formatted = formatted
        self._busy = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        if hasattr(self._busy, "emitting"):
            return
        self._busy.emitting = True
        try:
            # a record that sending one causes would cause the next
            if str(record.name).partition(".")[0] != _OWN:
                self._send(record)
        except Exception:  # noqa: BLE001 - logging's rule: no error reaches the program
            self.handleError(record)
        finally:
            del self._busy.emitting

    def flush(self) -> None:
        """Wait until all records are durable, at most `timeout` seconds."""
        if not _exiting.is_set():
            self.collector.flush(self._timeout)

    def close(self) -> None:
        """Send what is left; the collector is closed unless it was given."""
        if self._owns:
            self.collector.close(self._timeout)
        else:
            self.flush()
        super().close()

    def _send(self, record: logging.LogRecord) -> None:
        text = self.format(record) if self._formatted else record.getMessage()
        message, gone = cut_message(text)
        metadata = metadata_of(record)
        if gone:
            metadata["truncated_bytes"] = gone
        self.collector.log(
            level_of(record.levelno),
            message,
            metadata,
            None,
            _trace_of(record, metadata),
            # whole microseconds: what lies below is noise of the float
            round(record.created * 1_000_000) * 1000,
            self._source,
        )


def level_of(number: int) -> str:
    """The level of a number of Python's: the highest whose threshold it reaches."""
    name = _NAMES.get(number)
    if name is not None:
        return name
    for threshold, name in _THRESHOLDS:
        if number >= threshold:
            return name
    return Level.TRACE.name


def metadata_of(record: logging.LogRecord) -> dict[str, Any]:
    """What a record knows beside its message, under short names; `extra` wins."""
    metadata: dict[str, Any] = {
        "logger": record.name,
        "file": record.pathname,
        "line": record.lineno,
        "function": record.funcName,
        "thread": record.threadName,
        "pid": record.process,
    }
    if record.processName not in (None, "MainProcess"):
        metadata["process"] = record.processName
    task = getattr(record, "taskName", None)
    if task is not None:
        metadata["task"] = task
    if record.levelno not in _NAMES:
        metadata["level_text"] = record.levelname
    if record.exc_info or record.exc_text or record.stack_info:
        _add_exception(record, metadata)
    for key, value in record.__dict__.items():
        if key not in _STANDARD:
            metadata[key] = plain_value(value)
    return metadata


def _add_exception(record: logging.LogRecord, metadata: dict[str, Any]) -> None:
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        metadata.update(exception_fields(error, record.exc_text))
    elif record.exc_text:
        metadata["stack"] = shorten(record.exc_text)
    if record.stack_info:
        name = "stack_info" if "stack" in metadata else "stack"
        metadata[name] = shorten(record.stack_info)


def _trace_of(record: logging.LogRecord, metadata: dict[str, Any]) -> str | None:
    named = getattr(record, "trace_id", None)
    if named is not None:
        return str(named)
    header = getattr(record, "traceparent", None)
    if header is not None:
        found = parse_traceparent(str(header))
        if found is not None:
            metadata.setdefault("span_id", found.span_id)
            return found.trace_id
        metadata["traceparent"] = plain_value(header)
    return trace_id.get()
