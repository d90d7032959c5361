"""Codes of the errors that a worker answers with: JSON-RPC's own, and two of ours."""

from __future__ import annotations

from typing import Final

METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
TIME_LIMIT: Final = -32002
CANCELLED: Final = -32004
