"""The named variables that corpus shapes use in messages and metadata."""

from __future__ import annotations

from typing import Final

from bench.words import (
    Draw,
    chance,
    choice,
    decimals,
    either,
    formed,
    hexadecimal,
    integers,
    listing,
    long_tail,
    mapping,
    popular,
    prose,
    ratio,
    split,
    uuid,
)

_ID = long_tail(40_000, 1.5, 9_999_999)
_RESOURCES = split("orders users products carts invoices sessions reports teams")
_NAMES = split("""
jin.park mina.kim alice bob.tanaka carol dave.singh erin frank.muller grace
heidi ivan judy.lee ken laura mallory nina oscar peggy quentin rupert sybil trent ursula
victor walter xena yusuf zoe andré josé
""")
_TABLES = split("orders users sessions invoices events carts audit_log products")
_COLUMNS = split("id user_id status created_at total_cents email region")
_TOOLS = split("""
read_file write_file list_directory search_code run_tests execute_query
fetch_url create_issue summarize_logs get_metrics apply_patch format_document
""")
_MODELS = split("sonar-large sonar-small embed-v3 rerank-v2 vision-base")
_QUEUES = split("email thumbnails billing exports webhooks search-index cleanup")
_JOBS = split("""
SendWelcomeEmail ResizeImage ChargeSubscription ExportReport DeliverWebhook
ReindexProduct PurgeExpired SyncInventory
""")
_APPS = split("""
api-gateway web-frontend auth payments orders search inventory billing mailer
recommender
""")
_REASONS = """timeout,connection reset by peer,broken pipe,no route to host,
temporary failure in name resolution,certificate has expired,unexpected end of file,
too many open files,deadline exceeded""".replace("\n", "").split(",")
_AGENTS = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_2 like Mac OS X)",
    "okhttp/5.1.0",
    "python-httpx/0.28.1",
    "curl/8.14.1",
    "Googlebot/2.1 (+http://www.google.com/bot.html)",
]

_IP = formed(
    "%d.%d.%d.%d",
    choice([10, 172, 192, 203, 81, 52, 121], skew=1.0),
    integers(0, 256),
    integers(0, 256),
    integers(1, 255),
)
_POD = formed(
    "%s-%s-%s",
    choice(_APPS, skew=0.8),
    choice([f"{n * 2654435761 % (1 << 36):09x}" for n in range(1, 40)]),
    choice([f"{n * 40503 % (1 << 20):05x}" for n in range(1, 200)]),
)
_ONE = formed("/api/v2/%s/%d", choice(_RESOURCES, skew=0.6), _ID)
_PATH = either(
    _ONE,
    _ONE,
    _ONE,
    formed("/api/v2/%s", choice(_RESOURCES, skew=0.6)),
    formed("/api/v2/%s?limit=%d", choice(_RESOURCES, skew=0.6), integers(1, 200)),
    formed(
        "/api/v1/%s/%d/%s",
        choice(_RESOURCES),
        _ID,
        choice(["items", "history", "permissions", "comments"]),
    ),
    formed("/search?q=%s&page=%d", prose(1, 3), integers(1, 20)),
)
_SQL = either(
    formed(
        "SELECT %s, %s FROM %s WHERE id = %d",
        choice(_COLUMNS),
        choice(_COLUMNS),
        choice(_TABLES),
        _ID,
    ),
    formed(
        "UPDATE %s SET status = '%s' WHERE user_id = %d",
        choice(_TABLES),
        choice(["paid", "shipped", "cancelled", "active"]),
        _ID,
    ),
    formed(
        "INSERT INTO %s (%s, created_at) VALUES (%d, now())",
        choice(_TABLES),
        choice(_COLUMNS),
        _ID,
    ),
)
_KEY = either(
    formed("session:%s", hexadecimal(16)),
    formed("user:%d:profile", _ID),
    formed("product:%d:price:%s", _ID, choice(["eur", "usd", "krw"])),
)

VARIABLES: Final[dict[str, Draw]] = {
    "agent": choice(_AGENTS, skew=1.0),
    "amount": decimals(48.0, 1.1, 2),
    "app": choice(_APPS, skew=0.5),
    "attempt": choice([1, 2, 3, 4, 5], skew=1.5),
    "bytes": long_tail(4_000, 1.6),
    "cached": chance(0.4),
    "card": choice(["visa", "mastercard", "amex", "jcb"], skew=1.0),
    "confidence": ratio(3),
    "connection": hexadecimal(12, "ws-"),
    "context": mapping(
        host=_IP, region=choice(["ap-northeast-2", "eu-west-1"]), zone=choice("abc")
    ),
    "count": long_tail(25, 1.4),
    "cpu": decimals(180.0, 0.8, 1),
    "currency": choice(["EUR", "USD", "KRW", "JPY"], skew=1.0),
    "dimension": choice([384, 768, 1536]),
    "duration_ms": decimals(18.0, 1.2, 3),
    "email": formed(
        "%s%d@%s",
        choice(_NAMES[:-2]),
        integers(1, 3_000),
        choice(["example.com", "mail.test", "corp.example"]),
    ),
    "exception": choice(
        split("ValueError KeyError TimeoutError ConnectionResetError TypeError")
    ),
    "file": formed(
        "/var/lib/%s/%s.%s",
        choice(["uploads", "exports", "segments"]),
        hexadecimal(20),
        choice(["json", "parquet", "png", "csv"]),
    ),
    "flag": choice(
        ["new_checkout", "dark_mode", "fast_search", "beta_ai", "v2_pricing"]
    ),
    "hash": hexadecimal(40),
    "ip": _IP,
    "job": choice(_JOBS, skew=0.5),
    "job_id": uuid(),
    "key": _KEY,
    "lag": long_tail(300, 1.8),
    "line": integers(12, 900),
    "memory": decimals(412.0, 0.5, 1),
    "method": choice(["GET", "POST", "PUT", "DELETE", "PATCH"], skew=1.3),
    "model": choice(_MODELS, skew=0.8),
    "name": choice(_NAMES, skew=0.3),
    "node": formed("node-%02d", integers(1, 24)),
    "offset": long_tail(80_000_000, 0.8),
    "ok": chance(0.97),
    "order": popular("ord_", 4_000_000, 1.0),
    "page": integers(1, 60),
    "partition": integers(0, 24),
    "path": _PATH,
    "payment": hexadecimal(24, "pay_"),
    "percent": decimals(35.0, 0.7, 1),
    "pod": _POD,
    "port": integers(1024, 65_535),
    "price": decimals(24.0, 1.0, 2),
    "prose": prose(8, 26),
    "queue": choice(_QUEUES, skew=0.6),
    "reason": choice(_REASONS, skew=0.8),
    "request_id": hexadecimal(16, "req-"),
    "resources": mapping(cpu_m=long_tail(200, 0.8), memory_mb=decimals(256.0, 0.6, 1)),
    "rows": long_tail(12, 2.0),
    "score": ratio(3),
    "second": decimals(2.4, 1.0, 2),
    "session": uuid(),
    "shard": integers(0, 64),
    "size": long_tail(180_000, 1.2),
    "sku": formed("SKU-%05d-%s", integers(1, 60_000), choice("SMLX")),
    "sql": _SQL,
    "stages": listing(choice(["parse", "plan", "fetch", "rank", "merge"]), 4),
    "status_bad": choice([500, 502, 503, 504], skew=0.8),
    "status_client": choice([404, 401, 403, 400, 409, 422, 429], skew=0.8),
    "status_ok": choice([200, 201, 204, 304, 302], skew=1.8),
    "table": choice(_TABLES, skew=0.7),
    "temperature": ratio(1),
    "terms": prose(2, 5),
    "tokens": long_tail(900, 0.9),
    "tool": choice(_TOOLS, skew=0.5),
    "tool_args": mapping(
        path=formed("src/%s/%s.py", choice(_RESOURCES), choice(_APPS)),
        limit=integers(1, 500),
        recursive=chance(0.3),
    ),
    "topic": formed("%s.events.v%d", choice(_RESOURCES, skew=0.4), integers(1, 4)),
    "ttl": choice([30, 60, 300, 900, 3600, 86_400]),
    "url": formed(
        "https://%s.partner.example/hooks/%s", choice(_APPS), hexadecimal(10)
    ),
    "user_id": popular("u_", 400_000),
    "user_number": _ID,
    "version": formed("%d.%d.%d", integers(1, 5), integers(0, 30), integers(0, 12)),
    "viewport": mapping(w=choice([390, 1280, 1920]), h=choice([844, 720, 1080])),
    "wait": decimals(0.8, 1.1, 2),
    "worker": formed("worker-%d", integers(1, 33)),
}
"""Draws by the name that messages and metadata use."""
