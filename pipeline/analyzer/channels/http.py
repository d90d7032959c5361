"""POST over HTTP/1.1, from the standard library: an analyzer of 50 MB has no room for
more. A new connection each time, since alerts are rare; no redirect is followed, since
a secret in a header would go along.
"""

from __future__ import annotations

import http.client
import re
import ssl
from base64 import b64encode
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import unquote, urlsplit

from pipeline import clock
from pipeline.analyzer.channels.channel import Undelivered
from pipeline.analyzer.channels.watchdog import Watchdog
from pipeline.timestamp import SECOND

_AGAIN: Final = frozenset({408, 425, 429})
"""Statuses of the 4xx that pass; the others say that the request is wrong."""

_REPLY_BYTES: Final = 1 << 16


class Poster:
    """Posts to one URL, which it never shows but for scheme, host and port."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {"User-Agent": "recursive-log-pipeline", **headers}
        if parts.username is not None:
            self._headers.setdefault(
                "Authorization", _basic(parts.username, parts.password)
            )
        self._timeout = timeout
        port = f":{parts.port}" if parts.port else ""
        self.shown = f"{parts.scheme}://{self._host}{port}"

    def post(self, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """JSON; done when the answer is 2xx. Raises Undelivered."""
        connection = self._connection()
        watchdog = Watchdog(self._timeout, lambda: connection.sock)
        try:
            connection.connect()
            with watchdog:
                status, after = self._exchange(connection, body, headers or {})
            if watchdog.fired:  # the end of what it cut reads like an end of headers
                raise TimeoutError
        except ssl.SSLCertVerificationError as error:
            problem = f"certificate: {error.verify_message}"
            raise Undelivered(f"{self.shown}: {problem}") from None
        except (OSError, http.client.HTTPException) as error:
            late = watchdog.fired or isinstance(error, TimeoutError)
            waited = f"no answer within {self._timeout:g} s"
            problem = waited if late else _words(error)
            raise Undelivered(f"{self.shown}: {problem}") from None
        finally:
            connection.close()
        if 200 <= status < 300:
            return
        again = status >= 500 or status in _AGAIN
        raise Undelivered(
            f"{self.shown} answered {status}",
            again=again,
            after=after if again else None,
        )

    def _connection(self) -> http.client.HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout, context=context
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        body: bytes,
        more: Mapping[str, str],
    ) -> tuple[int, float | None]:
        headers = {"Content-Type": "application/json", "Connection": "close"}
        headers |= {**more, **self._headers}
        connection.request("POST", self._target, body, headers)
        response = connection.getresponse()
        if response.status >= 300:
            response.read(_REPLY_BYTES)
        return response.status, _retry_after(response.getheader("Retry-After"))


def _basic(user: str, password: str | None) -> str:
    both = f"{unquote(user)}:{unquote(password or '')}"
    return "Basic " + b64encode(both.encode()).decode()


def _words(error: Exception) -> str:
    """What happened, without what was sent or received."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    kinds = {
        http.client.RemoteDisconnected: "closed the connection without an answer",
        http.client.BadStatusLine: "answered what is no HTTP",
        http.client.IncompleteRead: "closed the connection within its answer",
    }
    return kinds.get(type(error), type(error).__name__)


def _retry_after(value: str | None) -> float | None:
    """Seconds, from a number or a date; None for anything else."""
    if value is None:
        return None
    text = value.strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII):
        return float(text)
    try:
        then = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, then - clock.now_ns() / SECOND)
