"""Any tree of the query language, for tests of its text."""

from __future__ import annotations

from hypothesis import strategies as st

from pipeline.query.pipe_parser import FUNCTIONS
from pipeline.query.pipes import (
    Call,
    Fields,
    Histogram,
    Limit,
    Patterns,
    Query,
    Sort,
    SortKey,
    Stats,
    Top,
    Uniq,
    columns_of,
    resolve_field,
)
from pipeline.query.stages import Extract, Extraction, Json, Logfmt, Stage, Where
from pipeline.query.syntax import (
    FIELDS,
    METADATA,
    And,
    Between,
    Compare,
    Exact,
    Exists,
    Field,
    Node,
    Not,
    Or,
    Pair,
    Prefix,
    Regex,
    Substring,
    Text,
    Typed,
    all_of,
    any_of,
)
from pipeline.timestamp import TIMESTAMP_MAX, TIMESTAMP_MIN

PIPED = [
    "| stats count()",
    "a | stats by (source, path) count() as n, p95(ms), rate() | sort n desc | limit 5",
    "level:error | histogram 1m by level",
    'x:>1 | top 5 metadata."a b"',
    "| patterns 5",
    "a OR b | fields a, b | sort c desc, d | limit 10",
    '| uniq "odd | name"',
    '| json from a fields (b, c.d) prefix "x_" | filter x_b:>1 | top 3 x_b',
    "a | logfmt | where ms:[1 TO 5] OR -b | sort ms | limit 3",
    'a | extract "<ip> - <_> [<at>]" from "a b" | filter ip:10* | stats by ip count()',
]

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8) | st.sampled_from(
    [
        *("OR", "AND", "NOT", "TO", "-", "->", "a b", 'a"', "\\", "x)", "(", "7"),
        *("true", "a:b", "|", "||", "&&", "*", "a*", "/a", "/a/", "b/", "/a/b", "="),
        *("[a]", "<a>"),
    ]
)
keys = st.from_regex(r"[^\W\d][\w.\-]{0,5}", fullmatch=True).filter(
    lambda key: key not in FIELDS and not key.startswith(METADATA)
)
typed = st.sampled_from(["7", "-0.5", "1e9", "true", "null", "NaN", "-Infinity"])
patterns = st.sampled_from(
    [
        "a+",
        "api",
        "a b",
        " a",
        "a/b",
        r"a\/b",
        r"\\",
        r"[/\]]",
        "",
        "(?i)é",
        "a\nb",
        "|",
    ]
)
anywhere = st.one_of(
    texts.map(Text),
    texts.map(Prefix),
    texts.map(Substring),
    texts.map(Exact),
    patterns.map(Regex),
)
numbers = st.integers(-(1 << 64), 1 << 64) | st.floats(allow_nan=False)
strings = texts | st.just("")
operators = st.sampled_from(["<", "<=", ">", ">="])
empty = st.just(Text(""))


def between(bounds: st.SearchStrategy[object]) -> st.SearchStrategy[Between]:
    """Ranges of such bounds, with an end on one side at least."""
    two = st.tuples(bounds, bounds).map(lambda pair: sorted(pair))  # type: ignore[type-var]
    one = bounds.flatmap(lambda end: st.sampled_from([(end, None), (None, end)]))
    return st.builds(
        lambda ends, low, high: Between(*ends, low, high),
        two | one,
        st.booleans(),
        st.booleans(),
    )


def compared(bounds: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Comparisons with such bounds, and ranges of them."""
    return st.builds(Compare, operators, bounds) | between(bounds)


values = st.one_of(
    anywhere, empty, typed.map(Typed), compared(numbers), compared(strings)
) | st.just(Exists())
named = (anywhere | empty).filter(lambda c: not isinstance(c, Exact))
leaves = st.one_of(
    anywhere,
    st.builds(Field, strings.map(METADATA.__add__), values),
    st.builds(
        Field,
        st.sampled_from(["source", "tag", "trace_id"]),
        named | compared(strings) | st.just(Exists()),
    ),
    st.builds(Field, st.just("message"), anywhere | empty | compared(strings)),
    st.builds(Pair, keys, values),
    st.builds(
        Field,
        st.just("level"),
        st.sampled_from(
            [Text("warning"), Compare(">=", "WARN"), Between("3", None), Exists()]
        ),
    ),
    st.builds(
        Field,
        st.just("timestamp"),
        compared(st.integers(TIMESTAMP_MIN, TIMESTAMP_MAX)) | st.just(Exists()),
    ),
)
trees: st.SearchStrategy[Node] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=1, max_size=3).map(all_of),
        st.lists(inner, min_size=1, max_size=3).map(any_of),
    ),
    max_leaves=8,
)

names = texts | st.sampled_from(["by", "as", "desc", "a", "user.id", "metadata.a b"])
lists = st.lists(names, min_size=1, max_size=3, unique=True).map(tuple)
counts = st.integers(1, 10_000)
calls = st.one_of(
    st.builds(Call, st.sampled_from(FUNCTIONS[1:-1]), names, st.none() | names),
    st.builds(Call, st.just("count"), st.none() | names, st.none() | names),
    st.builds(Call, st.just("rate"), st.none(), st.none() | names),
)
widths = st.integers(1, 31_622_400_000).map(lambda ms: ms * 1_000_000)
tables = st.one_of(
    st.builds(
        Stats,
        st.just(()) | lists,
        st.lists(calls, min_size=1, max_size=3).map(tuple),
    ).filter(lambda s: len(set(columns_of(s) or ())) == len(columns_of(s) or ())),
    st.builds(Histogram, st.none() | widths, st.none() | names),
    st.builds(Top, counts, names),
    st.builds(Patterns, counts),
    st.builds(Uniq, names),
)
rows = st.one_of(
    lists.map(Fields),
    st.lists(st.builds(SortKey, names, st.booleans()), min_size=1, max_size=3)
    .map(tuple)
    .map(Sort),
    counts.map(Limit),
)
sources = names.filter(
    lambda name: resolve_field(name) not in ("tag", "level", "timestamp")
)
lists_or_none = st.just(()) | lists
prefixes = st.just("") | texts
literals = st.text('a <>&;-|"\\é', min_size=1, max_size=3).map(
    lambda text: text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
)
placeholders = st.lists(
    st.sampled_from(["ip", "_", "a.b", "é", "level"]), min_size=1, max_size=4
).filter(lambda found: len({*found} - {"_"}) == len([n for n in found if n != "_"]) > 0)
extractions: st.SearchStrategy[Extraction] = st.one_of(
    st.builds(Json, sources, lists_or_none, prefixes),
    st.builds(Logfmt, sources, lists_or_none, prefixes),
    st.builds(
        lambda first, places, between, field: Extract(
            first + "".join(f"<{name}>{between}" for name in places), field
        ),
        st.just("") | literals,
        placeholders,
        literals,
        sources,
    ),
)


def fielded(tree: Node) -> Node:
    """As it stands behind an extraction, where a key is always a field."""
    match tree:
        case Pair():
            return tree.field
        case Not(term):
            return Not(fielded(term))
        case And(terms):
            return And(tuple(map(fielded, terms)))
        case Or(terms):
            return Or(tuple(map(fielded, terms)))
    return tree


def ordered(stages: list[Stage]) -> tuple[Stage, ...]:
    """With conditions as they are read behind extractions."""
    found: list[Stage] = []
    for stage in stages:
        behind = any(not isinstance(each, Where) for each in found)
        if isinstance(stage, Where) and behind:
            stage = Where(fielded(stage.condition))
        found.append(stage)
    return tuple(found)


conditions = (trees | st.just(And())).map(Where)
stages = st.lists(extractions | conditions, max_size=3).map(ordered)
queries = st.builds(
    lambda tree, first, rest: Query(tree, (*first, *rest)),
    trees | st.just(And()),
    stages,
    st.lists(rows, max_size=3).map(tuple)
    | st.tuples(tables)
    | st.tuples(tables, counts.map(Limit)),
)
