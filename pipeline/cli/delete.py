"""`pipeline delete`: counts the entries that match and, once agreed to, deletes them.

What is deleted is what was counted: entries that come in between stay. The ingester
does it, so it has to run.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from typing import Any, Final

from pipeline.cli import options, session
from pipeline.cli.asking import settings_of
from pipeline.cli.remote import Remote
from pipeline.cli.session import Session
from pipeline.cli.stats import window_text

AGREED: Final = ("y", "yes")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    options.add_filter(parser)
    parser.add_argument(
        "--yes",
        action="store_true",
        help="delete without asking; without it a script only gets the count",
    )
    options.add_output(parser, paged=False)
    options.add_place(parser)


def run(arguments: Namespace) -> int:
    """Count, ask and delete; the exit code."""
    return session.run(arguments, act)


def act(asking: Session) -> None:
    """Ask for `delete`, first as a dry run."""
    params = options.filter_of(asking.arguments)
    plan = asking.value("delete", params)
    done: dict[str, Any] = {}
    if plan["count"] and (asking.arguments.yes or _is_agreed(plan)):
        done = _delete(asking, params, plan)
    _show(asking, plan, done)


def _is_agreed(plan: dict[str, Any]) -> bool:
    if not sys.stdin.isatty():
        return False
    window = window_text(plan["window"]).removeprefix(",")
    text = f"delete {plan['count']:,} entries{window} for good? [y/N] "
    print(text, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in AGREED


def _delete(
    asking: Session, params: dict[str, Any], plan: dict[str, Any]
) -> dict[str, Any]:
    if isinstance(asking.asker, Remote):
        confirmed = {"dry_run": False, "confirm": plan["confirm"]}
        return asking.value("delete", params | confirmed)
    from pipeline.control import WORK_SECONDS, Client, endpoint_of

    settings = settings_of(asking.arguments)
    client = Client(endpoint_of(settings.control.endpoint, settings.storage.db_path))
    order = {"params": params, "now": plan["now"], "up_to": plan["mark"], "by": _by()}
    return client.ask("delete", order, asking.arguments.timeout or WORK_SECONDS)


def _by() -> str:
    """Who asks, for the audit entry."""
    return f"shell, user {os.getuid()}"


def _show(asking: Session, plan: dict[str, Any], done: dict[str, Any]) -> None:
    count, deleted = plan["count"], done.get("deleted", 0)
    if asking.arguments.json:
        import msgspec

        rewritten = done.get("blocks_rewritten", 0)
        told = {"count": count, "deleted": deleted, "blocks_rewritten": rewritten}
        asking.json(msgspec.json.encode(told | {"dry_run": not done}))
    elif done:
        asking.out.line(f"{deleted:,} entries deleted")
    else:
        more = "; --yes deletes them" if count else ""
        asking.out.line(f"{count:,} entries match, none is deleted{more}")
    of_both = [told.get("unreadable_blocks") or 0 for told in (plan, done)]
    if unreadable := max(of_both):
        asking.warn(f"{unreadable} damaged blocks could not be looked at")
