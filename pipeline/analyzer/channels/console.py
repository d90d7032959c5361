"""The console: one line on stderr for each notice."""

from __future__ import annotations

from pipeline.analyzer.book import Notice
from pipeline.analyzer.channels.wording import title
from pipeline.service import say


class Console:
    """Says it; nobody can refuse that."""

    repeat_seconds = None

    def deliver(self, notice: Notice, now: float) -> None:
        """One line."""
        del now
        say(f"alert: {title(notice)}")

    def repeat(self, notices: list[Notice], now: float) -> None:
        """Never asked for."""
