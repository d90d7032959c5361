"""Webhooks: our own JSON, Slack's and Discord's, each posted to a URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from pipeline.analyzer.book import Notice
from pipeline.analyzer.channels.http import Poster
from pipeline.analyzer.channels.payload import payload
from pipeline.analyzer.channels.wording import colour, lines, title

SLACK_CHARACTERS: Final = 3_000
"""Of an attachment, above which Slack cuts or refuses."""

DISCORD_CHARACTERS: Final = 4_000
"""Of an embed's description, where Discord refuses more than 4,096."""

Make = Callable[[Notice], bytes]


class Webhook:
    """Posts what `make` makes of a notice."""

    repeat_seconds = None

    def __init__(
        self, url: str, headers: Mapping[str, str], timeout: float, make: Make
    ) -> None:
        self._poster = Poster(url, headers, timeout)
        self._make = make

    def deliver(self, notice: Notice, now: float) -> None:
        """One POST."""
        del now
        # an answer that got lost is posted again: who cares can tell it by this
        alert = notice.alert
        key = f"{alert.fingerprint}-{notice.kind}-{alert.at}"
        self._poster.post(self._make(notice), {"Idempotency-Key": key})

    def repeat(self, notices: list[Notice], now: float) -> None:
        """Never asked for."""


def slack(notice: Notice) -> bytes:
    """An incoming webhook's message; a log line can't mention anybody in it."""
    text = _cut("\n".join(_escape(line) for line in lines(notice)), SLACK_CHARACTERS)
    attachment = {"color": f"#{colour(notice):06x}", "text": text}
    said: dict[str, Any] = {"text": _escape(title(notice)), "attachments": [attachment]}
    return msgspec.json.encode(said)


def discord(notice: Notice) -> bytes:
    """A webhook's message, which mentions nobody."""
    text = _cut("\n".join(lines(notice)), DISCORD_CHARACTERS)
    embed = {"title": title(notice), "description": text, "color": colour(notice)}
    said = {"embeds": [embed], "allowed_mentions": {"parse": []}}
    return msgspec.json.encode(said)


def _escape(text: str) -> str:
    """As Slack's documentation has it: these three, or <!channel> calls everybody."""
    for character, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, written)
    return text


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"


MAKES: Final[dict[str, Make]] = {
    "webhook": payload,
    "slack": slack,
    "discord": discord,
}
"""By the channel's type."""
