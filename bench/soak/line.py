"""Calls to a gateway that may be killed meanwhile."""

from __future__ import annotations

from contextlib import suppress
from http.client import HTTPException
from typing import Any

from bench.processes import Gateway


class NoAnswerError(Exception):
    """The gateway is away, or has refused."""


class Line:
    """One connection, made anew after a call that failed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._gateway: Gateway | None = None

    def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """The result; raises NoAnswerError."""
        try:
            if self._gateway is None:
                self._gateway = Gateway(self._port)
            return self._gateway.ask(method, params)
        except (OSError, HTTPException, RuntimeError, ValueError) as error:
            self.close()
            raise NoAnswerError(str(error)) from None

    def close(self) -> None:
        """Hang up."""
        if self._gateway is not None:
            with suppress(OSError):
                self._gateway.close()
        self._gateway = None
