"""Whatever else apprise can reach, by its URLs: the extra `[alerts]`.

It is loaded with the first notice, because it takes more memory than all else here.
"""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import Any

from pipeline.alerts import Kind
from pipeline.analyzer.book import Notice
from pipeline.analyzer.channels.channel import Undelivered
from pipeline.analyzer.channels.wording import lines, title
from pipeline.errors import ConfigError


class Apprise:
    """Delivers to one URL."""

    repeat_seconds = None

    def __init__(self, name: str, url: str, timeout: float) -> None:
        if find_spec("apprise") is None:
            remedy = "pip install 'recursive-log-pipeline[alerts]'"
            raise ConfigError(f"alerts.channels.{name}", "apprise is absent", remedy)
        self._url = url
        self._timeout = timeout
        self._shown = f"{url.partition(':')[0]}://"
        self._loaded: Any = None

    def deliver(self, notice: Notice, now: float) -> None:
        """One notification; apprise tells no more than whether it succeeded."""
        del now
        apprise = self._loaded or self._load()
        kind = "success" if notice.kind is Kind.RESOLVED else "failure"
        body = "\n".join(lines(notice))
        if not apprise.notify(body=body, title=title(notice), notify_type=kind):
            raise Undelivered(f"apprise could not deliver to {self._shown}")

    def repeat(self, notices: list[Notice], now: float) -> None:
        """Never asked for."""

    def _load(self) -> Any:
        import apprise

        # its log shows parts of URLs, and nobody of ours reads it
        logger = logging.getLogger("apprise")
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
        made = apprise.Apprise()
        if not made.add(self._url):
            problem = f"apprise knows no such URL ({self._shown})"
            raise Undelivered(problem, again=False)
        for server in made:
            server.socket_connect_timeout = self._timeout
            server.socket_read_timeout = self._timeout
        self._loaded = made
        return made
