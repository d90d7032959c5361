"""What the analyzer asks about commits, as types: counts, and groups of entries.

Not part of the gateway's API. No numpy.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

Row = tuple[int, int, int, int]
"""Second in which the step begins, place in `sources`, level, entries."""

GROUPS_MAX: Final = 5_000

Commit = Annotated[int, Meta(ge=0, lt=1 << 62)]
Second = Annotated[int, Meta(ge=-(1 << 33), le=1 << 33)]


class CommitsRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Commits above `after` and up to `up_to`; entries from the second `since` on."""

    after: Commit = 0
    up_to: Commit | None = None
    since: Second | None = None
    until: Second | None = None


class CountsRequest(CommitsRequest, kw_only=True, frozen=True):
    """How many entries of each source and level there were in steps of time."""

    step: Annotated[int, Meta(ge=1, le=1 << 20)] = 1
    """Seconds."""


class CountsReply(Struct, frozen=True):
    """Rows by time; `commit` is the newest that is counted."""

    commit: int
    sources: list[str]
    rows: list[Row]


class Group(Struct, frozen=True, array_like=True):
    """Entries of one source, level and pattern; `second` is of the first."""

    second: int
    source: str
    level: int
    pattern: int
    template: str
    count: int


class EventsRequest(CommitsRequest, kw_only=True, frozen=True):
    """Patterns of the entries of a level and above."""

    level: Annotated[int, Meta(ge=1, le=24)]
    limit: Annotated[int, Meta(ge=1, le=GROUPS_MAX)] = GROUPS_MAX


class EventsReply(Struct, frozen=True):
    """Groups, those with most entries first; `commit` is the newest looked at."""

    commit: int
    groups: list[Group]
    truncated: bool


class StorageRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The largest sources."""

    limit: int = 200


class StorageReply(Struct, frozen=True):
    """Entries and bytes of each, and how many sources there are in all."""

    sources: dict[str, dict[str, int]]
    sources_total: int
