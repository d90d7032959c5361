"""What can go wrong, split by who must act; every process and package raises these."""

from __future__ import annotations


class PipelineError(Exception):
    """Any error that this package raises on purpose."""


class EntryError(PipelineError):
    """A value that a sender gave can't be stored; the sender must change it."""

    def __init__(self, field: str, problem: str, expected: str) -> None:
        super().__init__(field, problem, expected)
        self.field = field
        self.problem = problem
        self.expected = expected

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}; expected {self.expected}"


class FrameError(PipelineError):
    """Bytes that no version of the format allows; `reason` is a counter's name."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class ColumnError(FrameError):
    """A part of a compacted block that can't be read when it is asked for."""

    def __init__(self, block: int, detail: str) -> None:
        super().__init__("damaged", detail)
        self.block = block


class ConfigError(PipelineError):
    """A setting is unknown or wrong; the operator must change it."""

    def __init__(self, path: str, problem: str, expected: str) -> None:
        super().__init__(path, problem, expected)
        self.path = path
        self.problem = problem
        self.expected = expected

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}; expected {self.expected}"


class QueryError(PipelineError):
    """A question that can't be understood; `position` counts characters from 0."""

    def __init__(
        self, problem: str, position: int | None = None, hint: str | None = None
    ) -> None:
        super().__init__(problem, position, hint)
        self.problem = problem
        self.position = position
        self.hint = hint

    def __str__(self) -> str:
        return self.problem if self.hint is None else f"{self.problem} ({self.hint})"


class StoreError(PipelineError):
    """The database can't be opened, written or read; the message has the remedy."""


class DamageError(StoreError):
    """SQLite found the database damaged; the ingester's next start salvages it."""


class DeliveryError(PipelineError):
    """A spool can't be written or read; the operator must look at its folder."""

    def __init__(self, folder: object, problem: str) -> None:
        super().__init__(folder, problem)
        self.folder = folder
        self.problem = problem

    def __str__(self) -> str:
        return f"spool {self.folder}: {self.problem}"


class SpoolFullError(DeliveryError):
    """A spool has reached its limit: wait, or give up the oldest."""
