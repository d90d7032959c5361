"""The settings of the store: where it is, and how long it keeps what."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.settings.declare import NOT_EMPTY, listed, setting


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """Entries that go early; the first rule that fits an entry counts for it."""

    source: str = setting(
        "",
        "Of this source; with * at its end of those whose names begin so; empty: all.",
        example="web-*",
    )
    level: str = setting(
        "",
        "Of this level; empty: all.",
        choices=("", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"),
        example="DEBUG",
    )
    keep: str = setting(
        "",
        "How long they stay: minutes, hours or days.",
        pattern=r"^[1-9][0-9]{0,4}[mhd]$",
        required=True,
        example="2d",
    )


@dataclass(frozen=True, slots=True)
class Storage:
    """The SQLite database, and how long it keeps entries."""

    db_path: str = setting(
        "./logs/recursive_logs.db",
        "Database file; a relative path starts at the working directory.",
        pattern=r"\S",
        example="./logs/recursive_logs.db",
    )
    max_size_mb: int = setting(
        1000,
        "Size on disk, in MB, that the oldest blocks go for; WAL and what is being"
        " replaced included.",
        minimum=32,
    )
    max_days: int = setting(
        30, "Days after which entries go.", minimum=1, maximum=36_500
    )
    attach: tuple[str, ...] = setting(
        (),
        "Archives of this store (`pipeline archive`) whose entries are found as if they"
        " were in it: at most 10 files.",
        pattern=NOT_EMPTY,
        example="/mnt/archives/20260101T000000Z-20260201T000000Z-0123456789abcdef.db",
    )
    durability: str = setting(
        "disk",
        "What an acknowledged entry survives: a power cut (disk, synchronous=FULL)"
        " or the end of the process (process, synchronous=NORMAL).",
        choices=("disk", "process"),
    )
    low_water_mb: int = setting(
        256,
        "Free disk, in MB, below which entries go: DEBUG first, ERROR last; at most a"
        " tenth of the disk. 0: none go for it.",
        minimum=0,
    )
    reserve_mb: int = setting(
        16,
        "Size, in MB, of a file that is given up when the disk is full, so that"
        " deleting works; at most a twentieth of the disk. 0: none.",
        minimum=0,
    )
    rules: tuple[RetentionRule, ...] = listed(
        RetentionRule, "What goes before max_days: a list of sections."
    )
