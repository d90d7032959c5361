"""`pipeline query-worker`: one worker of the gateway, on standard input and output."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeline.cli.process import add_arguments, start

if TYPE_CHECKING:
    from pipeline.query.methods.method import Method

__all__ = ["add_arguments", "run"]


def run(arguments: Namespace) -> int:
    """Answer until standard input ends; the exit code."""
    settings = start(arguments, parent=os.getppid())
    from pipeline.query import worker

    def methods() -> Mapping[str, Method]:
        from pipeline.tools.table import with_tools

        return with_tools(settings.project_name, settings.project_type)

    return worker.run(settings, methods)
