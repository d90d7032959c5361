"""`pipeline alerts`: lists alerts; with `ack`, `silence`, `unsilence` acts on them.

What is done to an alert is an entry: through the gateway, or else sent to the ingester,
which then has to run.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pipeline import clock
from pipeline.cli import options, session
from pipeline.cli.asking import settings_of
from pipeline.cli.printable import on_one_line
from pipeline.cli.process import show_key
from pipeline.cli.remote import Remote
from pipeline.cli.session import Session
from pipeline.cli.tables import Table, aligned, separated
from pipeline.errors import PipelineError, QueryError
from pipeline.timestamp import SECOND, format_timestamp, parse_timestamp

ACTIONS: Final = ("list", "ack", "silence", "unsilence")
SEND_SECONDS: Final = 5.0
TIME_CHARACTERS: Final = len("2026-01-05T09:13:40")
COLUMNS: Final = ("fingerprint", "state", "since", "level", "detector", "text")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("action", nargs="?", choices=ACTIONS, default="list")
    parser.add_argument(
        "fingerprint", nargs="?", help="of an open alert, for `ack`; as the list has it"
    )
    parser.add_argument(
        "--state", choices=("open", "resolved", "all"), default="open", help="to list"
    )
    parser.add_argument("--since", metavar="TIME", help="listed: open at or after it")
    group = parser.add_argument_group("what to silence: all that is given has to fit")
    for name in ("source", "detector"):
        group.add_argument(f"--{name}", help="`*` stands for any text")
    group.add_argument(
        "--alert", metavar="FINGERPRINT", help="one alert, by its fingerprint"
    )
    group.add_argument("--for", dest="duration", metavar="LENGTH", help="such as 2h")
    group.add_argument("--until", metavar="TIME", help="when the silence ends")
    group.add_argument("--by", default=_user(), help="who does it (your user name)")
    group.add_argument("--comment", default="", help="a line for others")
    options.add_output(parser)
    options.add_place(parser)


def run(arguments: Namespace) -> int:
    """Do it; the exit code."""
    return session.run(arguments, act)


def act(asking: Session) -> None:
    """List, or act."""
    action = asking.arguments.action
    if action == "list":
        _list(asking)
    elif action == "ack":
        _acknowledge(asking)
    else:
        _silence(asking, end=action == "unsilence")


def _list(asking: Session) -> None:
    arguments = asking.arguments
    params: dict[str, Any] = {"state": arguments.state}
    if arguments.since is not None:
        params["since"] = arguments.since
    if arguments.source is not None:
        params["source"] = arguments.source
    reply = asking.ask("get_alerts", params)
    if arguments.json:
        asking.json_map(reply)
        return
    found = asking.values(reply)
    table = Table(COLUMNS, [_row(one) for one in found["alerts"]])
    if not asking.out.is_terminal:
        for line in separated(table):
            asking.out.line(line)
        return
    for line in aligned(table) if table.rows else ["no alerts"]:
        asking.out.line(line)
    for line in _silences(found["silences"]):
        asking.out.line(line)
    if found["truncated"]:
        asking.warn(f"{found['count']:,} alerts match; the newest are shown")
    asking.warn_of_damage(reply)


def _row(alert: Mapping[str, Any]) -> tuple[Any, ...]:
    seen = alert["acknowledged"]
    state = f"{alert['state']}, seen by {seen['by']}" if seen else alert["state"]
    since = alert["since"][:TIME_CHARACTERS]
    start = (alert["fingerprint"], state, since, alert["level"])
    return (*start, alert["detector"], alert["text"])


def _silences(silences: list[Mapping[str, Any]]) -> Iterator[str]:
    for one in silences:
        given = {name: value for name, value in one["matcher"].items() if value}
        what = ", ".join(f"{name} {value}" for name, value in given.items())
        until = one["until"][:TIME_CHARACTERS]
        comment = f": {one['comment']}" if one["comment"] else ""
        yield on_one_line(f"silenced: {what} until {until} by {one['by']}{comment}")


def _acknowledge(asking: Session) -> None:
    arguments = asking.arguments
    name = arguments.fingerprint
    if name is None:
        raise _refused("fingerprint", "is missing", "as `pipeline alerts` lists them")
    said = {"by": arguments.by, "comment": arguments.comment}
    if isinstance(asking.asker, Remote):
        asking.value("acknowledge_alert", {"fingerprint": name, **said})
    else:
        found = asking.value("get_alerts", {"state": "open", "limit": 1_000})
        if name not in [one["fingerprint"] for one in found["alerts"]]:
            hint = "`pipeline alerts` lists them"
            raise _refused("fingerprint", f"no open alert has {name!r}", hint)
        from pipeline import alerts

        _send(asking, alerts.acknowledged(name, **said, now=clock.now_ns()))
    asking.out.line(f"{on_one_line(name)} acknowledged")


def _silence(asking: Session, *, end: bool) -> None:
    arguments = asking.arguments
    given = {"source": arguments.source, "detector": arguments.detector}
    given |= {"fingerprint": arguments.alert or arguments.fingerprint}
    matcher = {name: value for name, value in given.items() if value}
    if not matcher:
        hint = "give --source, --detector or --alert"
        raise _refused("source", "nothing is said of what to silence", hint)
    said = {"by": arguments.by, "comment": arguments.comment}
    times = {"for": arguments.duration, "until": arguments.until}
    times = {name: value for name, value in times.items() if value is not None}
    if not end and len(times) != 1:
        hint = "give one of --for and --until"
        raise _refused("for", "it is not said how long", hint)
    if isinstance(asking.asker, Remote):
        method = "unsilence" if end else "silence"
        asking.value(method, {"matcher": matcher, **said, **({} if end else times)})
    else:
        _send(asking, _event(matcher, said, times, end=end))
    what = on_one_line(", ".join(f"{name} {one}" for name, one in matcher.items()))
    asking.out.line(f"{what} {'no longer silenced' if end else 'silenced'}")


def _event(
    matcher: Mapping[str, str],
    said: Mapping[str, str],
    times: Mapping[str, str],
    *,
    end: bool,
) -> Any:
    from pipeline import alerts
    from pipeline.query.timerange import parse_age

    now = clock.now_ns()
    about = alerts.Matcher(**matcher)
    if end:
        return alerts.unsilenced(about, **said, now=now)
    if "for" in times:
        length = parse_age(times["for"])
        if not length:
            raise _refused("for", f"{times['for']!r} is no length", "90s, 5m, 2h")
        until = now + length
    else:
        until = _moment(times["until"], now)
    if until <= now:
        raise _refused("until", f"{format_timestamp(until)} is over", "a later time")
    if until > now + alerts.SILENCE_DAYS * 86_400 * SECOND:
        hint = f"within {alerts.SILENCE_DAYS} days; alerts.silences may be longer"
        raise _refused(next(iter(times)), "ends too late", hint)
    return alerts.silenced(about, until, **said, now=now)


def _moment(text: str, now: int) -> int:
    from pipeline.errors import EntryError

    try:
        return parse_timestamp(text, now)
    except EntryError as error:
        raise _refused("until", error.problem, error.expected) from None


def _send(asking: Session, entry: Any) -> None:
    """Have the ingester store it; raises PipelineError when it doesn't."""
    from pipeline.collectors.collector import Collector

    settings = settings_of(asking.arguments)
    show_key(settings)
    endpoints = settings.ingest.endpoint, settings.publish.endpoint
    sender = Collector(endpoints[0], acknowledge_endpoint=endpoints[1], spool="off")
    try:
        seconds = asking.arguments.timeout or SEND_SECONDS
        if not (sender.submit([entry]) and sender.flush(seconds)):
            text = f"{endpoints[0]} has not stored it within {seconds:g} s"
            raise PipelineError(f"{text}; does the ingester run?")
    finally:
        sender.close(0.0)


def _refused(field: str, problem: str, hint: str) -> QueryError:
    from pipeline.query.requests import FieldError

    return FieldError(field, problem, hint=hint)


def _user() -> str:
    """The name of who is logged in, for others to read."""
    return os.environ.get("USER") or f"user {os.getuid()}"
