"""A gateway that answers a command's questions, by JSON-RPC over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from pipeline.cli.printable import on_one_line
from pipeline.cli.progress import how_far
from pipeline.errors import ConfigError, PipelineError, QueryError

TIMEOUT_SECONDS: Final = 60.0
"""Longer than a question may take there (query.timeout_seconds)."""

BUSY_SECONDS: Final = 10.0
"""A gateway that says "busy, retry after" is asked again for so long."""

_WAIT_SECONDS: Final = 0.1
"""It is not asked again sooner, whatever it says."""

_BUSY_STATUSES: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)

_INVALID_PARAMS: Final = -32602
_METHOD_NOT_FOUND: Final = -32601
_TOO_COSTLY: Final = -32002
_BUSY: Final = -32003
_Answer = TypeVar("_Answer")

_JSON: Final = {"Content-Type": "application/json"}


class ParameterError(QueryError):
    """A parameter that the gateway refused; `field` is its name."""

    def __init__(
        self, field: str, problem: str, position: int | None, hint: str | None
    ) -> None:
        super().__init__(problem, position, hint)
        self.field = field


class BusyError(PipelineError):
    """The gateway has too much to do."""

    def __init__(self, text: str, after_seconds: float) -> None:
        super().__init__(text)
        self.after_seconds = after_seconds


class Remote:
    """One connection, kept between questions."""

    def __init__(self, url: str, timeout: float | None) -> None:
        self.url = url.rstrip("/")
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            expected = "an address such as http://127.0.0.1:8888"
            raise ConfigError("--url", f"{url!r} is no address", expected)
        self._path = parts.path
        is_plain = parts.scheme == "http"
        make = http.client.HTTPConnection if is_plain else http.client.HTTPSConnection
        try:
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ConfigError("--url", str(error), "a port") from None
        self._connect: Callable[[], http.client.HTTPConnection] = partial(
            make, host, port, timeout=timeout or TIMEOUT_SECONDS
        )
        self._connection = self._connect()

    def ask(self, method: str, params: Mapping[str, Any]) -> bytes:
        """The result as JSON."""
        return _patiently(lambda: self._ask(method, params))

    def _ask(self, method: str, params: Mapping[str, Any]) -> bytes:
        call = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
        response = self._post(json.dumps(call).encode())
        body = self._read(response)
        if response.status == HTTPStatus.UNAUTHORIZED:
            raise PipelineError(f"{self.url} needs a valid token in PIPELINE_TOKEN")
        _check_busy(response, body, self.url)
        if response.status != HTTPStatus.OK:
            raise PipelineError(f"{self.url} says {response.status} {response.reason}")
        return _result(body, self.url)

    def stream(
        self, path: str, query: str = "", body: bytes | None = None
    ) -> http.client.HTTPResponse:
        """A response that is read while it is made, on a connection of its own."""
        verb = "GET" if body is None else "POST"
        # then the response owns the socket, and closing it closes that
        headers = (_JSON if body is not None else {}) | {"Connection": "close"}
        headers |= _token()
        path = f"{self._path}{path}?{query}" if query else self._path + path
        return _patiently(lambda: self._opened(verb, path, body, headers))

    def _opened(
        self, verb: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        connection = self._connect()
        try:
            connection.request(verb, path, body, dict(headers))
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        if response.status != HTTPStatus.OK:
            told = self._read(response)
            _check_busy(response, told, self.url)
            raise refusal(told, self.url)
        return response

    def _post(self, body: bytes) -> http.client.HTTPResponse:
        """The response; its body is still to be read."""
        for attempt in (1, 2):
            try:
                headers = _JSON | _token()
                self._connection.request("POST", self._path + "/rpc", body, headers)
                return self._connection.getresponse()
            except (http.client.RemoteDisconnected, BrokenPipeError) as error:
                # kept too long without a question: a new connection may still work
                self._connection.close()
                if attempt == 2:
                    raise self._unreachable(error) from None
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                raise self._unreachable(error) from None
        raise AssertionError

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        try:
            return response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> PipelineError:
        problem = str(error) or type(error).__name__
        return PipelineError(f"{self.url} does not answer: {problem}")

    def progress(self) -> str:
        """Nobody knows."""
        return ""

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


def _patiently(ask: Callable[[], _Answer]) -> _Answer:
    """The answer of a gateway that may be busy for a while."""
    waited = 0.0
    while True:
        try:
            return ask()
        except BusyError as busy:
            waited += busy.after_seconds
            if waited > BUSY_SECONDS:
                raise
            time.sleep(busy.after_seconds)


def _check_busy(response: http.client.HTTPResponse, body: bytes, url: str) -> None:
    """Raise BusyError for a request that was refused before anybody looked at it.

    Who refuses a connection has no body for it, only a header.
    """
    if response.status not in _BUSY_STATUSES:
        return
    if body:
        told = refusal(body, url)
        if isinstance(told, BusyError):
            raise told
        return
    after = response.getheader("Retry-After", "")
    raise _busy("it refuses connections", float(after) if after.isdecimal() else 1.0)


def _busy(problem: str, after_seconds: float) -> BusyError:
    text = f"the gateway is busy: {problem}"
    # of what is no number, max gives the bound
    return BusyError(text, max(_WAIT_SECONDS, after_seconds))


def _token() -> dict[str, str]:
    """Who asks, to a gateway that wants to know."""
    token = os.environ.get("PIPELINE_TOKEN", "")
    return {"Authorization": f"Bearer {token}"} if token else {}


def refusal(body: bytes, url: str) -> PipelineError:
    """The error that a gateway's body tells."""
    try:
        error = json.loads(body)["error"]
        return _error(error["code"], str(error["message"]), error.get("data") or {})
    except (ValueError, KeyError, TypeError):
        return PipelineError(f"{url} does not answer as a gateway does")


def _result(body: bytes, url: str) -> bytes:
    import msgspec

    try:
        reply = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        reply = {}
    if "result" not in reply:
        raise refusal(body, url)
    return bytes(reply["result"])


def _error(code: int, message: str, data: Mapping[str, Any]) -> PipelineError:
    problem = on_one_line(str(data.get("problem") or message))
    hint = data.get("hint") or data.get("expected")
    hint = on_one_line(hint) if isinstance(hint, str) else None
    if code == _INVALID_PARAMS:
        field = on_one_line(str(data.get("field") or "q"))
        return ParameterError(field, problem, data.get("position"), hint)
    if code == _BUSY:
        after = data.get("retry_after_ms") or 1000
        return _busy(problem, float(after) / 1000)
    if code == _METHOD_NOT_FOUND:
        return PipelineError(f"the gateway is of another version: {problem}")
    if code == _TOO_COSTLY:
        names = ("rows_scanned", "blocks_scanned", "blocks_planned")
        rows, blocks, planned = (int(data.get(name) or 0) for name in names)
        problem = f"{problem}: {how_far(rows, blocks, planned)}"
    return PipelineError(problem if hint is None else f"{problem} ({hint})")
