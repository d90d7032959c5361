"""An engine with the tools over a store of a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.query.answer import Engine, Limits
from pipeline.query.requests import FieldError
from pipeline.tools.table import with_tools
from tests.query.stores import Asker

HOUR = 3600 * 1_000_000_000
NOW = 1_800_000_000 * 1_000_000_000


class ToolAsker(Asker):
    """Asks the tools, too."""

    def refused(self, tool: str, **params: Any) -> FieldError:
        """The error of a call."""
        with pytest.raises(FieldError) as caught:
            self.ask(tool, NOW, **params)
        return caught.value


def asking(path: Path, limits: Limits | None = None) -> ToolAsker:
    """About the store at the path, which may change."""
    asker = ToolAsker(path)
    methods = with_tools("test", "webapp")
    asker.engine = Engine(path, limits or Limits(), lambda: 0.0, methods=methods)
    return asker
