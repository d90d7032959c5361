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
import re
import threading
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Final

from pipeline.collectors.admission import clean_value
from pipeline.collectors.collector import Collector
from pipeline.entry import Level, cut_message
from pipeline.errors import EntryError

trace_id: ContextVar[str | None] = ContextVar("trace_id", default=None)
"""The trace that this thread or task works for; every record of it carries the id."""

TEXT_CHARACTERS: Final = 32_768
"""A longer text of metadata loses its middle, so that the record as a whole is kept."""

_EXTRA_TRACE: Final = ("trace_id", "traceparent")
_OWN: Final = "pipeline"

# W3C Trace Context: version, trace id, span id, flags; a later version may add fields
_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}"
    r"(?:-.*)?"
)

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

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


_exiting: Final = threading.Event()
"""At exit the collectors have waited for their entries before `logging` flushes: when
the pipeline is away, it would wait as long again."""

# later than the collectors' own, so that it runs before it
atexit.register(_exiting.set)


def set_traceparent(header: str | None) -> Token[str | None]:
    """Work for the trace of a `traceparent` header; none if there is no valid one.

    `trace_id.reset` takes the token back when the request is done.
    """
    found = _TRACEPARENT.fullmatch(header.strip()) if header else None
    return trace_id.set(found[1] if found else None)


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
            metadata[key] = _value(value)
    return metadata


def _add_exception(record: logging.LogRecord, metadata: dict[str, Any]) -> None:
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        kind = type(error)
        module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        metadata["exc_type"] = f"{module}{kind.__qualname__}"
        metadata["exc_message"] = _shorten(str(error))
    stack = record.exc_text
    if not stack and error is not None:
        info: _ExcInfo = (type(error), error, error.__traceback__)
        stack = logging.Formatter().formatException(info)
    if stack:
        metadata["stack"] = _shorten(stack)
    if record.stack_info:
        metadata["stack_info" if stack else "stack"] = _shorten(record.stack_info)


def _value(value: object) -> Any:
    """A value of `extra` as it is now: the program may change it afterwards."""
    kind = type(value)
    if kind is int or kind is float or kind is bool or value is None:
        return value
    if kind is str:
        return _shorten(str(value))
    try:
        cleaned = clean_value(value, 0)
    except EntryError:  # nested too deep, or within itself
        return _shorten(repr(value))
    return _shorten(cleaned) if isinstance(cleaned, str) else cleaned


def _shorten(text: str) -> str:
    if len(text) <= TEXT_CHARACTERS:
        return text
    half = TEXT_CHARACTERS // 2
    gone = len(text) - 2 * half
    return f"{text[:half]}\n... {gone:,} characters ...\n{text[-half:]}"


def _trace_of(record: logging.LogRecord, metadata: dict[str, Any]) -> str | None:
    named = getattr(record, "trace_id", None)
    if named is not None:
        return str(named)
    header = getattr(record, "traceparent", None)
    if header is not None:
        found = _TRACEPARENT.fullmatch(str(header).strip())
        if found is not None:
            metadata.setdefault("span_id", found[2])
            return found[1]
        metadata["traceparent"] = _value(header)
    return trace_id.get()
