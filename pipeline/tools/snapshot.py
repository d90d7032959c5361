"""The store as it is at one moment: all questions of a tool are about the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from pipeline.query.budget import Budget
from pipeline.query.methods.method import Context, read_params
from pipeline.query.methods.table import METHODS
from pipeline.query.requests import FieldError
from pipeline.query.scan import PinnedHeaders
from pipeline.query.timerange import resolve_window
from pipeline.timestamp import format_timestamp

Request = TypeVar("Request", bound=Struct)
Answer = dict[str, Any]
Window = dict[str, int | None]
"""`since` and `until` in ns."""

_NAMES = {"q": "query", "since": "timerange", "until": "timerange"}
"""Parameters of the questions, by what the tools call them."""


class Snapshot:
    """Asks the methods of the query worker."""

    def __init__(
        self, context: Context, now: int, budget: Budget, mark: int | None = None
    ) -> None:
        """Up to now; with a mark as of that commit."""
        headers = PinnedHeaders(context.headers, mark)
        self._context = replace(context, headers=headers)
        self._budget = budget
        self.now = now
        self.mark = headers.refresh()

    def window(self, age: str, field: str = "timerange") -> Window:
        """`since` and `until` of what an age reaches back to."""
        try:
            low, high = resolve_window(None, None, age, self.now)
        except FieldError as error:
            hint = "write 30s, 5m, 1h, 2d or 1w"
            raise FieldError(field, error.problem, hint=hint) from None
        return {"since": low, "until": high}

    def ask(self, method: str, **params: Any) -> Answer:
        """The reply as Python has it; raises QueryError as that method does."""
        given = {name: value for name, value in params.items() if value is not None}
        try:
            reply = METHODS[method].answer(self._context, given, self.now, self._budget)
        except FieldError as error:
            error.field = _NAMES.get(error.field, error.field)
            raise
        found: Answer = msgspec.json.decode(msgspec.json.encode(reply))
        return found


def window_text(window: Mapping[str, Any]) -> dict[str, Any]:
    """A window as replies tell it, to the second."""
    return {
        name: text and text[:19] + "Z"
        for name, text in (
            (name, _text(window.get(name))) for name in ("since", "until")
        )
        if text
    }


def _text(value: Any) -> str | None:
    return format_timestamp(value) if isinstance(value, int) else value


def read(params: Mapping[str, Any], kind: type[Request]) -> Request:
    """The parameters as their type; raises FieldError."""
    return read_params(params, kind)
