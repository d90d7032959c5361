"""Which lines go on with the entry before them: stack traces and indented text; pure.

A line that begins with white space goes on with whatever stands before it, and so do
`Caused by:`, `... 3 more`, `--- End of` and a closing bracket. Beyond that:

- Python: `Traceback (most recent call last):`, its frames, the exception, and the
  sentences between chained exceptions.
- Java, .NET, JavaScript: the line that names the exception class.
- Node: the place and the source line that stand before an uncaught error.
- Go: after `panic:` or `fatal error:` all goroutines with their calls.

A traceback or an exception class begins an entry of its own unless the entry before is
of level WARN or above, by its words: a logger's message comes with its trace, and what
a program writes to stderr has nothing to do with the line before it.
"""

from __future__ import annotations

import re
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

    CHAIN = auto()
    """Behind the sentence that announces another traceback."""

    THROWN = auto()
    """Behind a line that names an exception's class."""

    PLACE = auto()
    """Behind a line that may be the place of Node's uncaught error."""

    GO = auto()


class Follows(NamedTuple):
    """Whether the line belongs to the entry before it, and the state behind it."""

    joins: bool
    state: State


_TRACEBACK: Final = b"Traceback (most recent call last):"
_CLASS: Final = (
    rb"(?:Uncaught )?[A-Za-z_$][\w$.+]*(?:Exception|Error|Throwable)"
    rb"(?: \[\w+\])?(?::|[ \t\r]*(?:\Z|\n))"
)
_GO: Final = rb"(?:panic: |fatal error: |goroutine \d+ \[|runtime: goroutine stack )"
_ALWAYS: Final = rb"Caused by: |Suppressed: |\.\.\. \d+ |--- End of |[}\])]"

CANDIDATE: Final = re.compile(
    rb"\n(?:[ \t]|" + _ALWAYS + rb"|Traceback \(most|" + _GO + rb"|" + _CLASS + rb")"
)
"""A line, behind the end of another, that may go on or begin a trace."""

_joins: Final = re.compile(_ALWAYS).match
_names_class: Final = re.compile(_CLASS).match
_throws: Final = re.compile(
    _CLASS + rb"|Exception in thread |Unhandled exception[.:]"
).match
_begins_go: Final = re.compile(_GO).match
_is_place: Final = re.compile(
    rb"(?:file://|node:|\[eval\]|[A-Z]:\\|/|\./)\S*:\d+\Z"
).match
_raises: Final = re.compile(rb"[A-Za-z_][\w.<>]*(?:: |:?\s*\Z)").match
_chains: Final = re.compile(
    rb"During handling of the above exc|The above exception was the direct cause"
).match
_goes_on: Final = re.compile(
    _GO + rb"|created by |exit status \d|\[signal |\[originating |\[recovered"
    rb"|[\w./*()\[\]{}\-\xc2\xb7,]+\(.*\)\s*\Z"
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
    if _throws(line):
        return State.THROWN
    return State.PLACE if _is_place(line) else State.TEXT


def follow(state: State, head: bytes, line: bytes) -> Follows:
    """What a line, which is not blank, is to the entry that began with `head`."""
    if line[0] in b" \t" or _joins(line):
        return Follows(True, state)
    if line.startswith(_TRACEBACK):
        joins = state in (State.PYTHON, State.CHAIN) or bool(_fails(head, 0, _HEAD))
        return Follows(joins, State.PYTHON)
    if state in (State.TEXT, State.PLACE):
        if _names_class(line) and (state is State.PLACE or _fails(head, 0, _HEAD)):
            return Follows(True, State.THROWN)
    elif state in _NEXT:
        matches, after = _NEXT[state]
        if matches(line):
            return Follows(True, after)
    return Follows(False, begin(line))


_NEXT: Final = {
    State.PYTHON: (_raises, State.RAISED),
    State.RAISED: (_chains, State.CHAIN),
    State.GO: (_goes_on, State.GO),
}
"""Of a trace: what goes on with it, and the state behind that."""


def is_trace(state: State) -> bool:
    """Whether an entry of many lines that ended so is one of a failure."""
    return state not in (State.TEXT, State.PLACE)


def is_whole(line: bytes) -> bool:
    """Whether nothing goes on with it: one line of JSON."""
    return line.startswith(b"{") and line.endswith(b"}")
