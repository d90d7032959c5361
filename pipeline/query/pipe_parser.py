"""The pipes behind a filter: one reader for each, in the table at the end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, get_args

from pipeline.errors import QueryError
from pipeline.query.lexer import QUOTE_IT, Lexer
from pipeline.query.names import NAMES_MAX, WORD, read_list, read_name, sees_word
from pipeline.query.operands import PIPE_NAMES
from pipeline.query.pipes import (
    PATTERN_ROWS,
    TOP_ROWS,
    Call,
    Fields,
    Function,
    Histogram,
    Limit,
    Patterns,
    Pipe,
    RowPipe,
    Sort,
    SortKey,
    Stats,
    Top,
    Uniq,
    columns_of,
    name_text,
)
from pipeline.query.stage_parser import (
    CONDITIONS,
    read_extract,
    read_json,
    read_logfmt,
    read_where,
)
from pipeline.query.stages import Extraction, Stage
from pipeline.query.suggest import nearest
from pipeline.query.syntax import Node
from pipeline.query.timerange import parse_age

NO_PIPE: Final = "no pipe can stand here"

PIPES_MAX: Final = 16
ROWS_MAX: Final = 10_000
"""Rows that `limit`, `top` and `patterns` may ask for."""

Condition = Callable[[bool], Node]
"""Reads a condition; is told whether it stands behind what reads fields."""

FUNCTIONS: Final[tuple[Function, ...]] = get_args(Function)

_OF_ENTRIES: Final = frozenset({"count", "rate"})
"""Functions that need no field."""

_COLUMN: Final = re.compile(rf"(?:{'|'.join(FUNCTIONS)})\([\w.\-]*\)")
"""A column that `stats` made, as it is written there."""

_DIGITS: Final = re.compile(r"\d{1,18}(?![\w.])", re.ASCII)
_AGE: Final = re.compile(r"\d[\da-z]*")
_LONGEST_WIDTH: Final = 366 * 86_400_000_000_000

_ELSEWHERE: Final = {
    **dict.fromkeys(("where", "grep", "search", "having"), "write filter"),
    **dict.fromkeys(("unpack_json", "parse_json", "unpack", "spath"), "write json"),
    **dict.fromkeys(("unpack_logfmt", "kv"), "write logfmt"),
    **dict.fromkeys(
        ("regexp", "pattern", "parse", "rex", "grok", "dissect"),
        'write extract "<name> text <other>"',
    ),
    **dict.fromkeys(("head", "take", "first"), "write limit 10"),
    **dict.fromkeys(("select", "project", "keep", "table"), "write fields a, b"),
    **dict.fromkeys(("order", "orderby"), "write sort a desc"),
    **dict.fromkeys(("distinct", "unique", "dedup"), "write uniq field"),
    **dict.fromkeys(("summarize", "count", "wc"), "write stats count()"),
    "timechart": "write histogram 1m by field",
}
"""What other languages call theirs."""


def read_stages(lexer: Lexer, read_condition: Condition) -> tuple[Stage, ...]:
    """All pipes up to the end of the text, none of which may be of another kind."""
    pipes: list[Stage] = []
    for place, pipe in _pipes(lexer, read_condition):
        if not isinstance(pipe, Stage):
            raise QueryError(NO_PIPE, place, f"leave it out; {QUOTE_IT}")
        pipes.append(pipe)
    return tuple(pipes)


def read_pipes(lexer: Lexer, read_condition: Condition) -> tuple[Pipe, ...]:
    """All pipes up to the end of the text."""
    return tuple(pipe for _, pipe in _pipes(lexer, read_condition))


def _pipes(lexer: Lexer, read_condition: Condition) -> Iterator[tuple[int, Pipe]]:
    """Each pipe, and where its | stands."""
    pipes: list[Pipe] = []
    columns: tuple[str, ...] | None = None
    while lexer.peek() == "|":
        place = lexer.at
        lexer.at += 1
        lexer.skip_space()
        start = lexer.at
        if len(pipes) == PIPES_MAX:
            raise QueryError(f"more than {PIPES_MAX} pipes", start)
        extracts = any(isinstance(each, Extraction) for each in pipes)
        pipe = _read_pipe(lexer, partial(read_condition, extracts))
        _check_order(pipe, pipes, start)
        _check_columns(pipe, columns, start)
        columns = columns_of(pipe, columns)
        pipes.append(pipe)
        yield place, pipe


def _check_order(pipe: Pipe, pipes: Sequence[Pipe], start: int) -> None:
    """Stages, then at most one pipe of a table, then pipes of rows."""
    before = [each for each in pipes if not isinstance(each, Stage)]
    if not before or isinstance(pipe, RowPipe):
        return
    name = str(pipe).split()[0]
    if isinstance(pipe, Stage):
        other = str(before[0]).split()[0]
        raise QueryError(
            f"{name} has to stand before {other}",
            start,
            "json, logfmt, extract and filter are the first pipes",
        )
    raise QueryError(
        f"{name} has to be the first pipe",
        start,
        "one pipe makes the table; fields, sort and limit may follow it",
    )


def _read_pipe(lexer: Lexer, read_condition: Callable[[], Node]) -> Pipe:
    start = lexer.at
    found = WORD.match(lexer.text, start)
    name = found.group() if found else ""
    if not name:
        raise QueryError(
            "a pipe is missing here",
            start,
            f"pipes are {', '.join(PIPE_NAMES)}; {QUOTE_IT}",
        )
    read = _READERS.get(name)
    if read is None and name not in CONDITIONS:
        raise _unknown_pipe(name, start)
    lexer.at += len(name)
    lexer.skip_space()
    pipe = read_where(lexer, read_condition) if read is None else read(lexer)
    lexer.skip_space()
    if not lexer.is_done() and lexer.peek() != "|":
        raise QueryError(
            f"the end of the pipe {name}, or another |, is expected here",
            lexer.at,
            "names in a list have commas between them, odd ones quotes",
        )
    return pipe


def _unknown_pipe(name: str, start: int) -> QueryError:
    near = nearest(name, PIPE_NAMES)
    hint = _ELSEWHERE.get(name.lower()) or (
        f"write {near}" if near else f"pipes are {', '.join(PIPE_NAMES)}"
    )
    return QueryError(
        f"no pipe is called {name[:64]!r}",
        start,
        f"{hint}; to look for a | itself, put it in quotes",
    )


def _check_columns(pipe: Pipe, columns: tuple[str, ...] | None, start: int) -> None:
    """Names behind a table are its columns, if these are known."""
    match pipe:
        case Sort(keys):
            names = tuple(key.name for key in keys)
        case Fields(names):
            pass
        case _:
            return
    for name in names if columns is not None else ():
        if name not in (columns or ()):
            near = nearest(name, columns or ())
            meant = f"{near}? " if near else ""
            raise QueryError(
                f"the table has no column {name[:64]!r}",
                start,
                f"{meant}columns are {', '.join(map(name_text, columns or ()))}",
            )


def _stats(lexer: Lexer) -> Stats:
    start = lexer.at
    by = _by(lexer)
    calls: list[Call] = []
    while not lexer.is_done() and lexer.peek() != "|":
        if not by and calls and sees_word(lexer, "by"):
            by = _by(lexer)
            break
        calls.append(_call(lexer))
        lexer.skip_space()
        if lexer.take(","):
            lexer.skip_space()
            if lexer.is_done() or lexer.peek() == "|":
                raise QueryError("a function is missing here", lexer.at)
        if len(calls) > NAMES_MAX:
            raise QueryError(f"more than {NAMES_MAX} functions", start)
    if not calls:
        raise QueryError(
            "stats needs a function",
            lexer.at,
            f"write stats count(); functions are {', '.join(FUNCTIONS)}",
        )
    columns = [*by, *(call.column for call in calls)]
    for place, column in enumerate(columns):
        if column in columns[:place]:
            raise QueryError(
                f"two columns are called {column[:64]!r}",
                start,
                "name one of them with `as`, or leave it out",
            )
    return Stats(by, tuple(calls))


def _by(lexer: Lexer) -> tuple[str, ...]:
    """`by field` or `by (field, ...)`, if it stands here."""
    if not sees_word(lexer, "by"):
        return ()
    lexer.at += len("by")
    lexer.skip_space()
    if not lexer.take("("):
        return (read_name(lexer),)
    names = read_list(lexer, read_name)
    if not lexer.take(")"):
        raise QueryError(
            "a ) is missing here", lexer.at, "write by (field, other field)"
        )
    lexer.skip_space()
    return names


def _call(lexer: Lexer) -> Call:
    start = lexer.at
    function = _function(lexer)
    lexer.skip_space()
    if not lexer.take("("):
        raise QueryError(
            f"{function} needs parentheses",
            lexer.at,
            f"write {function}({'' if function in _OF_ENTRIES else 'field'})",
        )
    lexer.skip_space()
    field = None if lexer.peek() in (")", "") else read_name(lexer)
    if not lexer.take(")"):
        raise QueryError("a ) is missing here", lexer.at, f"{function} takes one field")
    if field is None and function not in _OF_ENTRIES:
        raise QueryError(
            f"{function} needs a field", start, f"write {function}(duration_ms)"
        )
    if field is not None and function == "rate":
        raise QueryError("rate takes no field", start, "write rate(): entries a second")
    lexer.skip_space()
    return Call(function, field, _called(lexer))


def _function(lexer: Lexer) -> Function:
    start = lexer.at
    found = WORD.match(lexer.text, start)
    name = found.group() if found else lexer.peek()
    for function in FUNCTIONS:
        if name == function:
            lexer.at += len(name)
            return function
    near = nearest(name, FUNCTIONS)
    raise QueryError(
        f"no function is called {name[:64]!r}",
        start,
        f"write {near}" if near else f"functions are {', '.join(FUNCTIONS)}",
    )


def _called(lexer: Lexer) -> str | None:
    """`as name`, if it stands here."""
    found = WORD.match(lexer.text, lexer.at)
    if found is None or found.group() != "as":
        return None
    lexer.at = found.end()
    lexer.skip_space()
    return read_name(lexer)


def _histogram(lexer: Lexer) -> Histogram:
    start = lexer.at
    width = None
    found = _AGE.match(lexer.text, start)
    if found is not None:
        width = parse_age(found.group())
        if width is None or not 0 < width <= _LONGEST_WIDTH:
            raise QueryError(
                f"{found.group()[:64]!r} is no length of time up to a year",
                start,
                "write 30s, 5m, 1h or 1d",
            )
        lexer.at = found.end()
        lexer.skip_space()
    by = _by(lexer)
    if len(by) > 1:
        raise QueryError("a histogram is by one field", start, "write by level")
    return Histogram(width, by[0] if by else None)


def _top(lexer: Lexer) -> Top:
    n = TOP_ROWS if not lexer.peek().isdigit() else _number(lexer)
    return Top(n, read_name(lexer))


def _patterns(lexer: Lexer) -> Patterns:
    return Patterns(_number(lexer) if lexer.peek().isdigit() else PATTERN_ROWS)


def _sort_key(lexer: Lexer) -> SortKey:
    name = _column(lexer)
    found = WORD.match(lexer.text, lexer.at)
    order = found.group() if found else ""
    if order not in ("asc", "desc"):
        return SortKey(name)
    lexer.at += len(order)
    lexer.skip_space()
    return SortKey(name, order == "desc")


def _column(lexer: Lexer) -> str:
    """A name, or a column of `stats` such as `p95(ms)`."""
    found = _COLUMN.match(lexer.text, lexer.at)
    if found is None:
        return read_name(lexer)
    lexer.at = found.end()
    lexer.skip_space()
    return found.group()


def _number(lexer: Lexer) -> int:
    start = lexer.at
    found = _DIGITS.match(lexer.text, start)
    if found is None:
        raise QueryError("a number is missing here", start, "write 10")
    lexer.at = found.end()
    lexer.skip_space()
    number = int(found.group())
    if not 1 <= number <= ROWS_MAX:
        raise QueryError(
            f"{number} is out of range", start, f"at least 1, at most {ROWS_MAX}"
        )
    return number


_READERS: Final[dict[str, Callable[[Lexer], Pipe]]] = {
    "stats": _stats,
    "histogram": _histogram,
    "top": _top,
    "patterns": _patterns,
    "uniq": lambda lexer: Uniq(read_name(lexer)),
    "fields": lambda lexer: Fields(read_list(lexer, _column)),
    "sort": lambda lexer: Sort(read_list(lexer, _sort_key)),
    "limit": lambda lexer: Limit(_number(lexer)),
    "json": read_json,
    "logfmt": read_logfmt,
    "extract": read_extract,
}
