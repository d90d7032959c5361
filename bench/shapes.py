"""The shapes of corpus messages: 20 services, each with its own lines and keys.

One line a shape: level | weight | message | metadata keys | tags.  `{name}` is a
variable of `bench.variables`; a key is `name` or `key=name`; a tag with `?` is on some
entries only.  A value that a message shows is often a key too, as structured loggers
write it, and then both are the same value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bench.variables import VARIABLES

LEVELS: Final = {"T": 1, "D": 5, "I": 9, "W": 13, "E": 17, "F": 21}
"""Letters of the table to OpenTelemetry severity numbers."""

LEVEL_SHARES: Final = {1: 0.007, 5: 0.15, 9: 0.70, 13: 0.09, 17: 0.05, 21: 0.003}
"""Share of all entries by level."""

PHRASE: Final = "connection pool exhausted"
"""Static text of one shape only, so that its rows can be counted without looking."""

SUBSTRING: Final = "failed to"
"""In several shapes, and never made by a variable."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of log line of one source."""

    source: str
    level: int
    weight: float
    form: str
    """Message as a %-format over `variables[:shown]`."""
    shown: tuple[int, ...]
    """Indices into `variables` of the values that the message shows."""
    variables: tuple[str, ...]
    keys: tuple[tuple[str, int], ...]
    """Metadata keys with the index of their variable."""
    tags: tuple[str, ...]
    sometimes: tuple[str, ...]
    """Tags that only some entries have."""


_TRACEBACK: Final = r"""Traceback (most recent call last):\n  File "/app/services/{app}.py", line {line}, in handle\n    result = await self.process(request, timeout={ttl})\n  File "/app/core/pipeline.py", line {line}, in process\n    return self.store.load({table}, key)\n  File "/usr/lib/python3.11/asyncio/tasks.py", line {port}, in wait_for\n    return fut.result()\n{exception}: {reason} (attempt {attempt})"""  # noqa: E501 - one line of the table
_JAVA: Final = r"""java.lang.IllegalStateException: failed to lock invoice {user_number}\n\tat com.example.billing.InvoiceService.lock(InvoiceService.java:{line})\n\tat com.example.billing.InvoiceService.close(InvoiceService.java:{line})\n\tat com.example.scheduler.Worker.run(Worker.java:{line})\nCaused by: org.postgresql.util.PSQLException: {reason}\n\t... {page} more"""  # noqa: E501 - one line of the table

# source, share of all entries | lines
_TABLE: Final = rf"""
api-gateway 22
I|30|{{method}} {{path}} {{status_ok}} {{duration_ms}}ms {{bytes}}B|method path status=status_ok duration_ms request_id user_id bytes client_ip=ip|http? cached?
I|6|{{ip}} - {{user_id}} "{{method}} {{path}} HTTP/1.1" {{status_ok}} {{bytes}} "{{agent}}"|method path status=status_ok duration_ms request_id user_agent=agent|http? bot?
D|5|route matched {{path}} -> upstream {{app}} on {{pod}} (weight {{percent}}, {{page}} connections in use, keep-alive {{ttl}} s)|request_id upstream=app pod|http
D|3|rate limiter: bucket {{user_id}} has {{count}} tokens left|user_id remaining=count limit=ttl|
W|5|{{method}} {{path}} {{status_client}} in {{duration_ms}} ms|method path status=status_client duration_ms request_id user_id client_ip=ip|http?
W|2|slow upstream {{app}}: {{second}} s for {{method}} {{path}}|upstream=app path duration_ms request_id|slow
E|5|{{method}} {{path}} {{status_bad}} upstream {{app}} failed: {{reason}}|method path status=status_bad duration_ms request_id user_id upstream=app error=reason|http
T|1|headers of {{request_id}}: accept=application/json, x-forwarded-for={{ip}}|request_id client_ip=ip|
web-frontend 9
I|8|page view {{path}} rendered in {{duration_ms}} ms by {{pod}}, {{count}} components hydrated, {{bytes}} bytes of state|path duration_ms session_id=session user_id viewport|
I|4|click on {{sku}} at position {{page}} of {{path}}, shown by experiment {{flag}} for {{second}} s before the click|sku position=page session_id=session user_id flag|
I|3|web vitals lcp={{second}} s cls={{confidence}} fid={{duration_ms}} ms|path lcp_s=second session_id=session|vitals
D|3|feature flag {{flag}} evaluated to {{ok}} for {{user_id}}|flag user_id enabled=ok|
W|2|image {{file}} took {{second}} s to load|path=file duration_ms session_id=session|slow
E|2|Uncaught TypeError: Cannot read properties of undefined (reading '{{table}}') at {{path}}:{{line}}:{{page}}|path line session_id=session user_agent=agent|browser
auth 7
I|6|user {{name}} ({{email}}) signed in from {{ip}} with {{flag}}, previous sign-in {{lag}} minutes ago|user_id client_ip=ip method=flag mfa=ok|security
I|5|issued access token for {{user_id}}, audience {{app}}, scopes read:{{table}} write:{{table}}, expires in {{ttl}} s|user_id ttl_s=ttl request_id|
D|4|jwks cache hit for key {{hash}}|kid=hash duration_ms|
D|3|permission {{table}}:{{method}} granted to {{user_id}} by role {{app}}|user_id resource=table request_id|
W|4|invalid password for {{email}} from {{ip}}, attempt {{attempt}}|email client_ip=ip attempt|security
W|1|token for {{user_id}} used from a new country, session {{session}}|user_id session_id=session score|security review?
E|1|failed to refresh token of {{user_id}}: {{reason}}|user_id error=reason request_id duration_ms|security
payments 6
I|6|payment {{payment}} of {{amount}} {{currency}} authorized for {{order}}|payment_id=payment amount currency order_id=order card duration_ms user_id|billing?
I|4|captured {{amount}} {{currency}} on {{card}} ending {{line}}|payment_id=payment amount currency card request_id|billing? pii?
D|3|risk score {{score}} for {{payment}} from {{ip}}|payment_id=payment score client_ip=ip country_match=ok|
W|2|payment {{payment}} declined by issuer: insufficient funds|payment_id=payment amount currency card code=status_client user_id|billing declined
E|2|payment provider answered {{status_bad}} after {{second}} s for {{payment}}|payment_id=payment status=status_bad duration_ms attempt request_id|billing
F|1|ledger mismatch: {{order}} differs by {{amount}} {{currency}}|order_id=order amount currency|billing page
orders 6
I|6|order {{order}} placed by {{user_id}}: {{page}} items, {{amount}} {{currency}}|order_id=order user_id items=page amount currency request_id|
I|4|order {{order}} of {{user_id}} moved from pending to {{queue}} by {{worker}} in {{duration_ms}} ms|order_id=order state=queue duration_ms|
D|3|loaded cart of {{user_id}} with {{page}} lines in {{duration_ms}} ms|user_id duration_ms items=page cached|
W|2|stock of {{sku}} is low: {{page}} left|sku left=page warehouse=node|inventory
E|1|{_TRACEBACK}|order_id=order exception error=reason request_id|
database 8
I|5|checkpoint complete: wrote {{size}} buffers ({{percent}}%); sync={{second}} s|buffers=size duration_ms node|
I|8|duration: {{duration_ms}} ms  statement: {{sql}}|duration_ms rows table node|sql
D|8|plan for {{sql}} chosen in {{wait}} ms, cost {{amount}}|table cost=amount duration_ms node|sql
W|4|slow query ({{second}} s): {{sql}}|duration_ms rows table node|slow sql
W|2|lock wait of {{second}} s on {{table}}, holder pid {{port}}|table pid=port duration_ms node|
E|2|deadlock detected: process {{port}} waits for ShareLock on transaction {{user_number}}|pid=port table node|
E|2|{PHRASE}: {{page}} active, {{count}} waiting on {{node}}|active=page waiting=count node|
cache 7
I|3|evicted {{count}} keys, {{size}} bytes, oldest {{second}} s|count bytes=size node|
D|9|HIT {{key}} {{bytes}} bytes in {{wait}} ms from {{node}} slot {{port}}|key bytes duration_ms=wait node|
D|5|MISS {{key}}, loading from {{table}} through {{app}} with a deadline of {{lag}} ms|key table request_id|
I|6|SET {{key}} ttl={{ttl}} size={{bytes}} policy=allkeys-lru replicas={{attempt}} took={{wait}}ms|key ttl_s=ttl bytes node|
W|2|replica {{node}} lags {{lag}} ms behind|node lag_ms=lag shard|
E|1|failed to write {{key}}: {{reason}}|key node error=reason|
websocket 6
I|5|connection {{connection}} opened by {{user_id}} from {{ip}}:{{port}}, protocol 13, subprotocol json.v{{attempt}}, agent {{agent}}|connection_id=connection user_id client_ip=ip|ws
I|5|connection {{connection}} of {{user_id}} closed after {{second}} s, code 1000 (normal), {{count}} messages, {{bytes}} bytes out|connection_id=connection duration_s=second messages=count|ws
D|6|broadcast {{topic}} to {{count}} subscribers in {{wait}} ms|topic subscribers=count duration_ms=wait|ws
T|2|frame {{connection}} opcode=1 fin=true len={{bytes}} mask={{hash}}|connection_id=connection bytes|
W|2|client {{connection}} is slow: {{count}} messages, {{size}} bytes buffered|connection_id=connection user_id buffered=size|ws slow
E|1|failed to send to {{connection}}: {{reason}}|connection_id=connection error=reason|ws
mcp-server 5
I|6|tool {{tool}} called by {{model}} with {{page}} arguments in session {{session}}, budget {{ttl}} tokens|tool model request_id session_id=session arguments=tool_args|mcp
I|5|tool {{tool}} returned {{tokens}} tokens ({{bytes}} bytes) in {{duration_ms}} ms to {{model}}, {{page}} results kept|tool duration_ms tokens request_id cached|mcp
D|2|handshake with client {{agent}} protocol {{version}}|session_id=session protocol=version|mcp
W|1|tool {{tool}} exceeded its budget: {{tokens}} of {{ttl}} tokens|tool tokens budget=ttl request_id|mcp
E|1|tool {{tool}} failed: {{exception}}: {{reason}}|tool exception error=reason duration_ms request_id|mcp
ai-analysis 4
I|5|analysis {{job_id}} finished: {{prose}}|analysis_id=job_id model tokens confidence duration_ms|ai
I|3|completion by {{model}}: {{tokens}} tokens in, {{count}} out, {{second}} s, temperature {{temperature}}|model prompt_tokens=tokens completion_tokens=count duration_ms temperature request_id|ai
D|2|embedding batch of {{page}} texts, {{dimension}} dimensions, {{duration_ms}} ms|model dimension duration_ms|ai
W|1|low confidence {{confidence}} for {{job_id}}: {{prose}}|analysis_id=job_id confidence model|ai review?
E|1|model {{model}} refused the request: context of {{user_number}} tokens is too long|model tokens=user_number request_id|ai
kubelet 4
I|5|Started container {{app}} in pod {{pod}} on {{node}} after {{second}} s|pod node container=app namespace=queue restart_count=attempt|k8s
I|4|Successfully pulled image "registry.example/{{app}}:{{version}}" in {{second}}s|pod node image_version=version bytes=size|k8s
D|2|Volume {{file}} mounted for pod {{pod}}|pod node namespace=queue|k8s
W|3|Readiness probe failed: HTTP probe failed with statuscode: {{status_bad}} for {{pod}}|pod node status=status_bad resources|k8s
W|1|Back-off restarting container {{app}} in {{pod}}, restart {{page}}|pod node restart_count=page namespace=queue|k8s
E|1|OOMKilled: {{pod}} used {{memory}} MiB of {{ttl}} MiB|pod node memory_mb=memory resources|k8s
F|1|node {{node}} not ready: PLEG is not healthy: pleg was last seen active {{second}} s ago|node resources|k8s page
scheduler 3
I|5|job {{job}} {{job_id}} enqueued on {{queue}} to run in {{ttl}} s, {{count}} jobs ahead, priority {{attempt}}|job queue job_id delay_s=ttl|
I|3|cron {{job}} fired, {{lag}} ms late|job lag_ms=lag|cron
D|2|lease of shard {{shard}} renewed by {{worker}}|shard worker ttl_s=ttl|
W|1|cron {{job}} skipped: previous run {{job_id}} still active after {{second}} s|job job_id duration_s=second|cron
E|1|{_JAVA}|job job_id shard error=reason|
queue-worker 6
I|8|{{worker}} finished {{job}} {{job_id}} from queue {{queue}} in {{duration_ms}} ms after {{attempt}} attempt(s), result stored for {{ttl}} s|worker job job_id queue duration_ms attempt|
D|4|{{worker}} picked {{job}} {{job_id}} from {{queue}}, waited {{lag}} ms|worker job job_id queue wait_ms=lag|
I|2|acked offset {{offset}} of {{topic}}[{{partition}}]|topic partition offset lag worker|
W|3|retrying {{job}} {{job_id}} in {{ttl}} s (attempt {{attempt}}): {{reason}}|job job_id attempt error=reason queue|retry
E|2|{{job}} {{job_id}} failed to complete after {{attempt}} attempts: {{exception}}|job job_id attempt exception queue|dead?
search 4
I|6|query "{{terms}}" of {{user_id}} matched {{rows}} documents in {{duration_ms}} ms|rows duration_ms user_id shard stages cached|
D|3|segment merge {{hash}}: {{count}} -> 1, {{size}} bytes|shard bytes=size duration_ms|
I|2|reindexed {{sku}} version {{version}} on shard {{shard}}|sku version shard|
W|1|query of {{user_id}} truncated at {{rows}} rows after {{second}} s|user_id rows duration_ms shard|slow
E|1|shard {{shard}} unavailable on {{node}}: {{reason}}|shard node error=reason|
inventory 3
I|4|reserved {{page}} of {{sku}} for {{order}} in warehouse {{node}}, {{rows}} left, reservation expires in {{ttl}} s|sku quantity=page order_id=order warehouse=node|
I|3|sync with warehouse {{node}}: {{count}} changed, {{rows}} unchanged, {{second}} s|count unchanged=rows duration_s=second warehouse=node|
D|2|price of {{sku}} is {{price}} {{currency}} (cached {{cached}})|sku price currency cached|
W|1|negative stock of {{sku}}: -{{attempt}}|sku quantity=attempt warehouse=node|
E|1|failed to reserve {{sku}} for {{order}}: {{reason}}|sku order_id=order error=reason request_id|
mailer 3
I|5|delivered {{job}} to {{email}} via {{app}} in {{duration_ms}} ms, 250 2.0.0 OK queued as {{request_id}}|email template=job duration_ms message_id=job_id|
D|2|rendered template {{job}} ({{bytes}} bytes)|template=job bytes duration_ms|
W|2|deferred mail to {{email}}: 451 4.7.1 try again later|email code=status_client attempt message_id=job_id|retry
E|1|bounced {{email}}: 550 5.1.1 mailbox unavailable|email message_id=job_id|
billing 2
I|3|invoice {{user_number}} created for {{user_id}}: {{amount}} {{currency}}|invoice=user_number user_id amount currency|billing
I|2|구독 결제 완료: 사용자 {{user_id}}, 금액 {{amount}} {{currency}}, 주문 {{order}}|user_id amount currency order_id=order|billing
D|1|proration of {{order}}: {{confidence}} of {{amount}} {{currency}}|order_id=order amount|
W|1|card of {{user_id}} expires before the next renewal|user_id card|billing
E|1|{_JAVA}|invoice=user_number user_id error=reason|billing
storage 3
I|4|PUT {{file}} {{size}} bytes etag={{hash}} in {{duration_ms}} ms from {{ip}}|path=file bytes=size duration_ms node request_id|
I|3|GET {{file}} {{size}} bytes in {{duration_ms}} ms|path=file bytes=size duration_ms node request_id|
D|2|multipart {{job_id}} part {{page}} of {{count}} received|upload_id=job_id part=page|
W|1|disk usage of {{node}} at {{percent}}%|node percent|disk
E|1|checksum mismatch in {{file}}: expected {{hash}}|path=file node|disk
recommender 2
I|4|ranked {{rows}} candidates for {{user_id}} in {{duration_ms}} ms with {{model}}: best {{sku}} at {{score}}, then {{sku}} at {{score}}|user_id rows duration_ms model stages|ai
D|3|feature vector of {{user_id}} loaded: {{dimension}} dims, age {{lag}} s|user_id dimension age_s=lag|
W|1|model {{model}} is stale: trained {{lag}} h ago|model age_h=lag version|ai
E|1|{_TRACEBACK}|model exception error=reason user_id|ai
webhooks 3
I|5|delivered {{topic}} to {{url}}: {{status_ok}} in {{duration_ms}} ms|topic url status=status_ok duration_ms attempt|
D|1|signed payload {{hash}} for {{url}}|url bytes|
W|2|{{url}} answered {{status_client}}, retry {{attempt}} in {{ttl}} s|url status=status_client attempt delay_s=ttl|retry
E|1|gave up on {{url}} after {{attempt}} attempts: {{reason}}|url attempt error=reason topic|dead?
"""  # noqa: E501 - a table: one line a shape

_NAME: Final = re.compile(r"{(\w+)(!?)}")


def _shape(source: str, share: float, line: str) -> Shape:
    level, weight, message, keys, tags = line.split("|")
    pairs = [
        (key, variable or key)
        for key, _, variable in (item.partition("=") for item in keys.split())
    ]
    shown = [name for name, _ in _NAME.findall(message)]
    # a name that occurs twice in a message is drawn twice, like two stack lines
    variables: list[str] = []
    places: list[int] = []
    for name in shown:
        places.append(len(variables))
        variables.append(name)
    for _, name in pairs:
        if name not in variables:
            variables.append(name)
    text = message.replace("%", "%%").replace(r"\n", "\n").replace(r"\t", "\t")
    return Shape(
        source,
        LEVELS[level],
        share * float(weight),
        _NAME.sub("%s", text),
        tuple(places),
        tuple(variables),
        tuple((key, variables.index(name)) for key, name in pairs),
        tuple(tag for tag in tags.split() if not tag.endswith("?")),
        tuple(tag[:-1] for tag in tags.split() if tag.endswith("?")),
    )


def _shapes() -> tuple[Shape, ...]:
    found: list[Shape] = []
    for block in re.split(r"\n(?=[a-z-]+ \d+\n)", _TABLE.strip()):
        head, *lines = block.splitlines()
        source, _, share = head.partition(" ")
        total = sum(float(line.split("|")[1]) for line in lines)
        found += [_shape(source, float(share) / total, line) for line in lines]
    missing = {name for shape in found for name in shape.variables} - set(VARIABLES)
    assert not missing, missing
    return tuple(found)


SHAPES: Final = _shapes()
"""Every shape of the corpus."""
