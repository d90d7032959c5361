"""Every setting: its type, default, bounds and meaning, stated once.

`load` checks files, environment and flags against these classes; `config/schema.json`
and `config/default.yaml` are generated from them. Standard library only: the
supervisor, which has to stay small, reads them too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline import limits
from pipeline.settings.alerts import Alerts
from pipeline.settings.authentication import Authentication
from pipeline.settings.curve import Curve
from pipeline.settings.declare import ENDPOINT, NOT_EMPTY, listed, setting
from pipeline.settings.gateway import Gateway
from pipeline.settings.metrics import Metrics
from pipeline.settings.redaction import Redaction
from pipeline.settings.storage import Storage


@dataclass(frozen=True, slots=True)
class Server:
    """The gateway's HTTP server: JSON-RPC, live tail, health."""

    host: str = setting(
        "127.0.0.1", "Address that the gateway listens on.", pattern=r"^\S+$"
    )
    port: int = setting(8888, "Port of the gateway.", minimum=0, maximum=65_535)
    auto_start: bool = setting(True, "Whether `pipeline up` starts the gateway.")


@dataclass(frozen=True, slots=True)
class Ingest:
    """Where entries come in, and how they are grouped into commits."""

    endpoint: str = setting(
        "tcp://127.0.0.1:5555",
        "Where producers push entries to.",
        pattern=ENDPOINT,
        example="tcp://127.0.0.1:5555 or ipc:///run/pipeline/ingest",
    )
    commit_interval_ms: int = setting(
        50, "Longest wait before entries are committed.", minimum=1, maximum=10_000
    )
    commit_rows: int = setting(
        limits.BATCH_ROWS,
        "A commit is made at this many entries, however little time has passed.",
        minimum=1,
        maximum=limits.BATCH_ROWS,
    )


@dataclass(frozen=True, slots=True)
class Publish:
    """Where acknowledgements, summaries and committed batches are published."""

    endpoint: str = setting(
        "tcp://127.0.0.1:5556",
        "Where subscribers connect to.",
        pattern=ENDPOINT,
        example="tcp://127.0.0.1:5556 or ipc:///run/pipeline/publish",
    )


@dataclass(frozen=True, slots=True)
class Compaction:
    """How small blocks become full ones, which search and store better."""

    enabled: bool = setting(True, "Whether blocks are compacted.")
    level: int = setting(3, "Level of zstd while entries come.", minimum=1, maximum=19)
    idle_level: int = setting(
        9, "Level of zstd when none have come for a while.", minimum=1, maximum=19
    )
    nice: int = setting(
        19,
        "How far compaction stands back for others: 19 takes what they leave of the"
        " processors, 0 its share. With less than it needs, unmerged blocks pile up.",
        minimum=0,
        maximum=19,
    )
    keep_replaced_seconds: float = setting(
        0.0,
        "How long a block can be read after another took its place; 0: 60, or twice"
        " query.timeout_seconds if that is longer.",
        minimum=0.0,
        maximum=86_400,
    )


@dataclass(frozen=True, slots=True)
class Control:
    """Where the ingester is asked to delete and to compact."""

    endpoint: str = setting(
        "",
        "Address of the control socket, open to this user only; empty: ipc, in a file"
        " beside the database.",
        pattern=f"^$|{ENDPOINT}",
        example="ipc:///run/pipeline/control",
    )


@dataclass(frozen=True, slots=True)
class CollectorLimits:
    """How the gateway and `pipeline send` batch, wait and bound what they hold."""

    memory_bytes: int = setting(
        16 << 20, "Most that waits in memory, in bytes.", minimum=64 << 10
    )
    batch_rows: int = setting(
        2000, "Entries of one batch.", minimum=1, maximum=limits.BATCH_ROWS
    )
    batch_bytes: int = setting(
        512 << 10,
        "Bytes of one batch.",
        minimum=1 << 10,
        maximum=limits.FRAME_BYTES,
    )
    linger_ms: int = setting(
        10,
        "Longest that an entry waits for its batch to fill.",
        minimum=0,
        maximum=60_000,
    )
    block_ms: int = setting(
        5,
        "Longest that one log call waits when memory is full.",
        minimum=0,
        maximum=60_000,
    )
    policy: str = setting(
        "drop_oldest",
        "Who goes when memory and spool are full, after block_ms: of the entries that"
        " have no number yet those of the lowest level first; block: the call waits.",
        choices=("drop_oldest", "drop_newest", "block"),
    )
    spool: str = setting(
        "overflow",
        "What is written to disk: what memory can't hold (overflow), each entry before"
        " its call returns (always), or nothing (off).",
        choices=("overflow", "always", "off"),
    )
    spool_dir: str = setting(
        "",
        "Folder of the spools; empty: recursive-log-pipeline/spool in XDG_STATE_HOME or"
        " ~/.local/state.",
        example="/var/lib/recursive-log-pipeline/spool",
    )
    spool_bytes: int = setting(
        256 << 20, "Most that waits on disk, in bytes.", minimum=64 << 10
    )
    fsync: str = setting(
        "none",
        "When the spool is brought to the disk: when the system does (none), each"
        " second (interval), with each entry (always); for power cuts only.",
        choices=("none", "interval", "always"),
    )
    compression: str = setting(
        "zstd",
        "Columns on the wire; the ingester keeps them as they come.",
        choices=("zstd", "none"),
    )


@dataclass(frozen=True, slots=True)
class Files:
    """Files that are read alike."""

    paths: tuple[str, ...] = setting(
        (),
        "Files or globs; ** is any depth of folders. Rotated names are found anyway.",
        pattern=NOT_EMPTY,
        example="/var/log/app/*.log",
        required=True,
    )
    exclude: tuple[str, ...] = setting(
        ("*.gz", "*.xz", "*.zst", "*.bz2", "*.zip"),
        "Globs of files that are left alone; without a slash: of their names.",
        pattern=NOT_EMPTY,
    )
    source: str = setting(
        "",
        "Name of the service; empty: the line's own, else the file's, less extension.",
        maximum=limits.SOURCE_BYTES,
        example="web",
    )
    tags: tuple[str, ...] = setting(
        (), "Tags of each entry.", pattern=NOT_EMPTY, maximum=limits.TAG_BYTES
    )
    format: str = setting(
        "auto", "Of the lines.", choices=("auto", "json", "logfmt", "plain")
    )
    multiline: str = setting(
        "auto",
        "Whether the lines of a stack trace become one entry.",
        choices=("auto", "none"),
    )
    start: str = setting(
        "beginning",
        "Where a file is begun that was there before it was first followed.",
        choices=("beginning", "end"),
    )


@dataclass(frozen=True, slots=True)
class Plugged:
    """A collector of your own, as pipeline/collectors/plugins.py describes it."""

    path: str = setting(
        "",
        "Its class.",
        name="class",
        pattern=r"^[\w.]+(:[\w.]+)?$",
        example="package.module:Class",
        required=True,
    )
    options: Mapping[str, Any] = field(
        default_factory=dict, metadata={"meaning": "Arguments of the class, by name."}
    )


@dataclass(frozen=True, slots=True)
class Collect:
    """What `pipeline collect` follows."""

    files: tuple[Files, ...] = listed(Files, "Files to follow: a list of sections.")
    collectors: tuple[Plugged, ...] = listed(
        Plugged, "Collectors of your own: a list of sections."
    )


@dataclass(frozen=True, slots=True)
class Query:
    """What one question may cost."""

    workers: int = setting(
        2,
        "Worker processes that answer questions; long ones leave one of them free.",
        minimum=1,
        maximum=64,
    )
    timeout_seconds: float = setting(
        30.0, "Longest that one question runs.", minimum=0.001, maximum=3600
    )
    max_rows: int = setting(
        10_000, "Most entries that one reply returns.", minimum=1, maximum=100_000
    )
    max_rows_scanned: int = setting(
        1_000_000_000, "Most entries that one question looks at.", minimum=1
    )
    max_bytes_scanned: int = setting(
        64 << 30,
        "Most bytes that one question reads from the store, compressed as they are.",
        minimum=1,
    )
    max_groups: int = setting(1_000_000, "Most groups of one table.", minimum=1)


@dataclass(frozen=True, slots=True)
class RecursiveMcp:
    """The platform's MCP servers."""

    enabled: bool = setting(True, "Whether it is collected.")
    auto_trace: bool = setting(True, "Whether every call gets a trace id.")
    timeout_seconds: float = setting(
        300.0,
        "How long a call may be without a response until that is reported.",
        minimum=0.001,
        maximum=86_400,
    )


@dataclass(frozen=True, slots=True)
class RecursiveWebsocket:
    """The platform's WebSocket connections."""

    enabled: bool = setting(True, "Whether it is collected.")
    log_messages: bool = setting(False, "Whether the messages themselves are kept.")


@dataclass(frozen=True, slots=True)
class RecursiveAi:
    """The platform's model calls."""

    enabled: bool = setting(True, "Whether it is collected.")
    log_python_calls: bool = setting(True, "Whether Python calls are kept.")
    timeout_seconds: float = setting(
        600.0,
        "How long an analysis may take until it is reported as not completed.",
        minimum=0.001,
        maximum=86_400,
    )


@dataclass(frozen=True, slots=True)
class RecursiveHttp:
    """The platform's HTTP requests."""

    enabled: bool = setting(True, "Whether it is collected.")
    ignore_paths: tuple[str, ...] = setting(
        ("/health", "/favicon.ico", "/static"), "Paths that are not logged."
    )
    capture_body: bool = setting(False, "Whether bodies are kept.")
    client_error_level: str = setting(
        "WARN",
        "The level of 4xx; 5xx is ERROR.",
        choices=("DEBUG", "INFO", "WARN", "ERROR"),
    )
    trusted_proxies: int = setting(
        0,
        "Proxies before the server: what so many have added to X-Forwarded-For tells"
        " the client's address.",
        minimum=0,
        maximum=16,
    )


@dataclass(frozen=True, slots=True)
class Collectors:
    """The platform's collectors, by what they watch."""

    recursive_mcp: RecursiveMcp = field(default_factory=RecursiveMcp)
    recursive_websocket: RecursiveWebsocket = field(default_factory=RecursiveWebsocket)
    recursive_ai: RecursiveAi = field(default_factory=RecursiveAi)
    recursive_http: RecursiveHttp = field(default_factory=RecursiveHttp)


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration; `load` makes it, every process gets one."""

    project_name: str = setting("recursive-platform", "Name of the project.")
    project_type: str = setting("webapp", "Kind of the project.")
    server: Server = field(default_factory=Server)
    authentication: Authentication = field(default_factory=Authentication)
    ingest: Ingest = field(default_factory=Ingest)
    publish: Publish = field(default_factory=Publish)
    curve: Curve = field(default_factory=Curve)
    storage: Storage = field(default_factory=Storage)
    compaction: Compaction = field(default_factory=Compaction)
    control: Control = field(default_factory=Control)
    collector: CollectorLimits = field(default_factory=CollectorLimits)
    collect: Collect = field(default_factory=Collect)
    redaction: Redaction = field(default_factory=Redaction)
    query: Query = field(default_factory=Query)
    gateway: Gateway = field(default_factory=Gateway)
    collectors: Collectors = field(default_factory=Collectors)
    alerts: Alerts = field(default_factory=Alerts)
    metrics: Metrics = field(default_factory=Metrics)
