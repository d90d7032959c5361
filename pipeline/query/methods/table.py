"""All methods of a worker by name."""

from __future__ import annotations

from typing import Final

from pipeline.query.methods import get_stats, query, search, tail
from pipeline.query.methods.method import Method

_FILES: Final[tuple[Method, ...]] = (query, search, get_stats, tail)

METHODS: Final[dict[str, Method]] = {file.NAME: file for file in _FILES}
