"""Who answers a command's questions: the engine in this process, or a gateway.

Both take a method and its parameters and give the result as JSON. A question that is
wrong is a QueryError, and everything else that goes wrong another PipelineError.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pipeline import clock
from pipeline.cli.progress import how_far
from pipeline.errors import ConfigError, PipelineError, StoreError
from pipeline.settings import Settings, load

if TYPE_CHECKING:
    from pipeline.query.budget import Budget


class Asker(Protocol):
    """Answers questions."""

    def ask(self, method: str, params: Mapping[str, Any]) -> bytes:
        """The result as JSON."""

    def progress(self) -> str:
        """How far the question is, from another thread; empty if nobody knows."""

    def close(self) -> None:
        """Give back what it holds."""


def asker_of(arguments: Namespace, *, must_exist: bool = True) -> Asker:
    """The gateway that `--url` names, or the database of the settings."""
    if arguments.url is not None:
        given = arguments.db, arguments.config, *getattr(arguments, "attach", ())
        if any(each is not None for each in given):
            expected = "without --db, --config and --attach: the gateway has its own"
            raise ConfigError("--url", "names whom to ask", expected)
        from pipeline.cli.remote import Remote

        return Remote(arguments.url, arguments.timeout)
    settings = settings_of(arguments)
    path = Path(settings.storage.db_path)
    if must_exist and not path.exists():
        raise StoreError(missing(path))
    attached = [] if arguments.db is not None else [*settings.storage.attach]
    named = getattr(arguments, "attach", ())
    archives = [Path(each) for each in (*attached, *named)]
    return Local(settings, arguments.timeout, archives, needs_all=bool(named))


def settings_of(arguments: Namespace) -> Settings:
    """The settings; `--db` stands for storage.db_path."""
    return load(arguments.config, os.environ, {"storage.db_path": arguments.db})


def missing(path: Path) -> str:
    """That there is no database, and what to do."""
    return (
        f"there is no database {path}; name it with --db or --config, or ask a gateway"
        " with --url"
    )


class Local:
    """The engine in this process; it only reads, so the ingester may run or not."""

    def __init__(
        self,
        settings: Settings,
        timeout: float | None,
        attached: Sequence[Path],
        *,
        needs_all: bool,
    ) -> None:
        """`attached` are archives of the database; without them all it is an error,
        or each answer says so."""
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a pool costs 30 MB unused
        from pipeline.query.answer import Engine, Limits

        limits = Limits(
            settings.query.max_rows,
            settings.query.max_rows_scanned,
            timeout or settings.query.timeout_seconds,
            settings.query.max_bytes_scanned,
            settings.query.max_groups,
        )
        path = Path(settings.storage.db_path)
        self._engine = Engine(
            path, limits, clock.monotonic, attached=attached, needs_all=needs_all
        )
        self._budget: Budget | None = None

    def ask(self, method: str, params: Mapping[str, Any]) -> bytes:
        """The result as JSON."""
        if not self._engine.has(method):
            raise PipelineError(f"there is no method {method!r}")
        from pipeline.query.budget import CostError

        self._budget = budget = self._engine.budget()
        try:
            return self._engine.answer(method, params, clock.now_ns(), budget)
        except CostError as error:
            raise CostError(
                f"{error.problem}: {_far(budget)}", None, error.hint
            ) from None
        finally:
            self._budget = None

    def progress(self) -> str:
        """Entries and blocks that were looked at."""
        budget = self._budget
        if budget is None or not budget.rows:
            return ""
        return f"· {_far(budget)}"

    def close(self) -> None:
        """Nothing: it ends with the process."""


def _far(budget: Budget) -> str:
    return how_far(budget.rows, budget.blocks, budget.blocks_planned)
