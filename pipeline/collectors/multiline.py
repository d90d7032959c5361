"""Which lines go on with the entry before them: stack traces and indented text; pure.

A line that begins with white space goes on with whatever stands before it, and so do
`Caused by:`, `... 3 more`, `--- End of` and a closing bracket. Beyond that:

- Python: `Traceback (most recent call last):`, its frames, the exception with the
  statement and parameters that SQLAlchemy quotes, and the sentences between chained
  exceptions. The rest of a message of many lines, up to the next time or level: only
  when the entry began with a stamp, or text of programs without any would follow.
- Java, .NET, JavaScript: the line that names the exception class.
- Node: the place and the source line that stand before an uncaught error, and Node's
  version behind it.
- Go: after `panic:` or `fatal error:` all goroutines with their calls, and those of a
  panic that was logged.

A traceback or an exception class begins an entry of its own unless the entry before is
of level WARN or above, by its words: a logger's message comes with its trace, and what
a program writes to stderr has nothing to do with the line before it. Before a bare
`Error: ...` there must be a stamp or a level, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, NamedTuple

LINES_MAX: Final = 1000
BYTES_MAX: Final = 256 << 10
"""Of one entry made of many lines; the line beyond begins the next one."""

_HEAD: Final = 256
"""Bytes of an entry's first line in which its level is looked for."""


class State(Enum):
    """What an entry that may go on has been so far."""

    TEXT = auto()
    PYTHON = auto()
    """Within a traceback: frames, then the line of the exception."""

    RAISED = auto()
    """Behind a traceback's exception, which another may follow."""

    SQL = auto()
    """Within a statement that such an exception quotes."""

    CHAIN = auto()
    """Behind the sentence that announces another traceback."""

    THROWN = auto()
    """Behind a line that names an exception's class."""

    PLACE = auto()
    """Behind a line that may be the place of Node's uncaught error."""

    SOURCE = auto()
    """Behind the line of source at that place."""

    GO = auto()


class Follows(NamedTuple):
    """Whether the line belongs to the entry before it, and the state behind it."""

    joins: bool
    state: State


_TRACEBACK: Final = b"Traceback (most recent call last):"
_CLASS: Final = (
    rb"(?:Uncaught (?:\(in promise\) )?)?(?:[A-Za-z_$][\w$.+]*)?"
    rb"(?:Exception|Error|Throwable)(?: \[\w+\]| \(0x[0-9A-Fa-f]+\))?"
    rb"(?::|[ \t\r]*(?:\Z|\n))"
)
_THROWN: Final = _CLASS + rb"|Exception in thread |Unhandled exception[.:]"
_GOROUTINE: Final = rb"goroutine \d+ (?:gp=\S+ m=\S+ (?:mp=\S+ )?)?\["
_GO: Final = (
    rb"(?:panic: |fatal error: |runtime: goroutine stack |" + _GOROUTINE + rb")"
)
_ALWAYS: Final = rb"Caused by: |Suppressed: |\.\.\. \d+ |--- End of |[}\])]"
_CHAIN: Final = (
    rb"During handling of the above exc|The above exception was the direct cause"
)
_PLACE: Final = (
    rb"(?:file://|node:|\[eval\]|undefined:|<anonymous_script>|evalmachine\.<|[A-Z]:\\"
    rb"|/|\./)\S*:\d+"
)
_LEVEL: Final = (
    rb"TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERR(?:OR)?|SEVERE|CRIT(?:ICAL)?|FATAL|ALERT"
    rb"|EMERG|PANIC"
)
_STAMP: Final = rb"[^\n]{0,60}?\d\d:\d\d:\d\d|(?:" + _LEVEL + rb"):(?:[\w.]+:| {3,})"
"""A time, or what Python's logging and uvicorn begin with."""

CANDIDATE: Final = re.compile(
    rb"\n(?:[ \t]|Traceback \(most|"
    + rb"|".join((_ALWAYS, _GO, _THROWN, _CHAIN, _PLACE + rb"\r?\n"))
    + rb")"
)
"""A line, behind the end of another, that may go on or begin a trace."""

_joins: Final = re.compile(_ALWAYS).match
_names_class: Final = re.compile(_CLASS).match
_is_bare: Final = re.compile(rb"Exception|Error|Throwable").match
_throws: Final = re.compile(_THROWN).match
_begins_go: Final = re.compile(_GO).match
_is_goroutine: Final = re.compile(_GOROUTINE).match
_is_place: Final = re.compile(_PLACE + rb"\Z").match
_raises: Final = re.compile(rb"[A-Za-z_][\w.<>]*(?:: |:?\s*\Z)").match
_chains: Final = re.compile(_CHAIN).match
_goes_on: Final = re.compile(
    _GO + rb"|created by |exit status \d|\[signal |\[originating |\[recovered"
).match
_calls: Final = re.compile(rb"[\w./*()\[\]{}\-\xc2\xb7,]+\(").match
_details: Final = re.compile(
    rb"\[parameters: |\(Background on this error at: |LINE \d+: |DETAIL: |HINT: "
    rb"|CONTEXT: "
).match
"""Behind a message of SQLAlchemy or PostgreSQL."""

_node_ends: Final = re.compile(
    rb"Require stack:|- (?:/|[A-Z]:\\)|\(Use `node |Node\.js v\d+\.\d+\.\d+\s*\Z"
).match
_has_stamp: Final = re.compile(_STAMP).match
_begins_entry: Final = re.compile(
    _STAMP
    + rb"|[\[<(|]?(?:"
    + _LEVEL
    + rb")(?!\w)|[\[<(|]?(?i:"
    + _LEVEL
    + rb")[\]>):]"
    rb"|<\d{1,3}>|\[?\d{10}|(?=[^\n]{0,100}?(?:level|lvl|severity)=)"
).match
_fails: Final = re.compile(
    rb"warn|err|fatal|sever|crit|alert|emerg|panic|exception|fail", re.IGNORECASE
).search


def begin(line: bytes) -> State:
    """The state behind the first line of an entry."""
    if line.startswith(_TRACEBACK):
        return State.PYTHON
    if _begins_go(line):
        return State.GO
    if _chains(line):
        return State.CHAIN
    if _throws(line):
        return State.THROWN
    return State.PLACE if _is_place(line) else State.TEXT


def follow(state: State, head: bytes, line: bytes) -> Follows:
    """What a line, which is not blank, is to the entry that began with `head`."""
    if line[0] in b" \t" or _joins(line):
        return Follows(True, _indented(state, line))
    if line.startswith(_TRACEBACK):
        joins = state in (State.PYTHON, State.CHAIN) or bool(_fails(head, 0, _HEAD))
        return Follows(joins, State.PYTHON)
    if is_trace(state) and _chains(line):
        return Follows(True, State.CHAIN)
    if state is State.TEXT:
        after = _after_text(head, line)
    elif state is State.RAISED:
        after = _after_exception(head, line)
    else:
        after = _RULES[state](line)
    return Follows(False, begin(line)) if after is None else Follows(True, after)


def _indented(state: State, line: bytes) -> State:
    if state is State.PLACE:
        return State.SOURCE
    return _within_sql(line) if state is State.SQL else state


def _within_sql(line: bytes) -> State:
    return State.RAISED if line.rstrip().endswith(b"]") else State.SQL


def _is_entry(line: bytes) -> bool:
    return is_whole(line) or bool(_begins_entry(line))


# By state: the state behind a line that goes on, None for one that does not.


def _after_text(head: bytes, line: bytes) -> State | None:
    if not _fails(head, 0, _HEAD):
        return None
    if _is_goroutine(line):
        return State.GO
    # programs write lines of `Error: ...` by themselves, too
    named = _names_class(line) and (not _is_bare(line) or _begins_entry(head))
    return State.THROWN if named else None


def _after_traceback(line: bytes) -> State | None:
    return State.RAISED if _raises(line) else None


def _after_exception(head: bytes, line: bytes) -> State | None:
    """The rest of the message, where a stamp tells what is not of it."""
    if line.startswith(b"[SQL: "):
        return _within_sql(line)
    if _details(line):
        return State.RAISED
    if not _has_stamp(head) or _is_entry(line) or _begins_go(line):
        return None
    return State.RAISED


def _after_sql(line: bytes) -> State | None:
    return None if _is_entry(line) else _within_sql(line)


def _after_class(line: bytes) -> State | None:
    return State.THROWN if _node_ends(line) else None


def _after_place(line: bytes) -> State | None:
    if _names_class(line):
        return State.THROWN
    return None if _is_entry(line) or _is_place(line) else State.SOURCE


def _after_source(line: bytes) -> State | None:
    return State.THROWN if _names_class(line) or _node_ends(line) else None


def _after_go(line: bytes) -> State | None:
    calls = line.rstrip().endswith(b")") and _calls(line)
    return State.GO if calls or _goes_on(line) else None


_RULES: Final[dict[State, Callable[[bytes], State | None]]] = {
    State.PYTHON: _after_traceback,
    State.SQL: _after_sql,
    State.CHAIN: lambda _: None,
    State.THROWN: _after_class,
    State.PLACE: _after_place,
    State.SOURCE: _after_source,
    State.GO: _after_go,
}


def is_trace(state: State) -> bool:
    """Whether an entry of many lines that ended so is one of a failure."""
    return state not in (State.TEXT, State.PLACE, State.SOURCE)


def is_whole(line: bytes) -> bool:
    """Whether nothing goes on with it: one line of JSON."""
    return line.startswith(b"{") and line.endswith(b"}")
