"""Python and Node mask the same, with the usual rules and with those of a project."""

from __future__ import annotations

import json
import random
import string
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline.redaction import DEFAULT, Redactor, chosen
from pipeline.redaction.expression import ExpressionError, read_expression
from tests.redaction.test_redactor import CLEAN, SECRETS

pytestmark = pytest.mark.requires_tool("node")

PROGRAM = Path(__file__).with_name("same_rules.js")
OWN = {
    "fields": ["iban", "*pin"],
    "patterns": [
        {"name": "customer", "expression": r"\bCUST-[0-9]{6,12}"},
        {"name": "ticket", "expression": r"(ticket=\s{0,3}).{4,8}"},
        {"name": "word", "expression": r"[^\s\w]{2}é"},
    ],
    "except_fields": ["csrf-token", "order"],
    "except_rules": ["card"],
}
EXPRESSIONS = [
    *(r"\bA[0-9]{6,12}", r"(t=)[A-Z]{8}", r"a|bc|(?:de)+", r"[^\s,]+", r"\.x{2,}"),
    *("(a+)+b", "[0-9]+x", "(?:a?){30}x", "a{1,300}b{1,300}", "(?=x)y", "x(y)", "x$"),
    *(
        "a{,3}",
        "a++",
        "[z-a]",
        "[[a]]",
        "[a||b]",
        "a?",
        "(a",
        "a)",
        "a{12345}",
        "\\",
        "x{3,1}",
    ),
]
PIECES = (
    *(*SECRETS, *CLEAN, "CUST-1234567", "ticket= ab\u2028cd", "!!é", "ſecret=1"),
    *("token", "=", ":", '"', "\\", "\t", "\n", "\u00a0", "\ufeff", "é", "4", "[", " "),
    *("cookie", "a=b; c=d", "-----", "eyJ", ".", "😀", "K", "://", "@", "{", "}", ","),
)
KEYS = ("password", "X-Api-Key", "a.b.Cookie", "auth", "order", "csrfToken", "plain")


def texts(chance: random.Random) -> list[str]:
    """Of what tells and what doesn't, in any order."""
    return [
        "".join(chance.choices(PIECES, k=chance.randint(1, 6)))
        + "".join(chance.choices(string.printable, k=chance.randint(0, 5)))
        for _ in range(3_000)
    ]


def entries(chance: random.Random, found: list[str]) -> list[dict[str, Any]]:
    """With texts as values at some depth."""

    def value(depth: int) -> Any:
        kind = chance.randrange(7 if depth else 4)
        if kind < 3:
            return chance.choice(found)
        if kind == 3:
            return chance.choice([None, True, 3, 1.5])
        if kind == 4:
            return [value(depth - 1) for _ in range(chance.randint(0, 3))]
        return {key: value(depth - 1) for key in chance.sample(KEYS, k=2)}

    return [
        {
            "timestamp": "1",
            "source": "web",
            "message": chance.choice(found),
            "tags": [chance.choice(found)],
            "metadata": {key: value(3) for key in chance.sample(KEYS, k=3)},
        }
        for _ in range(500)
    ]


@pytest.mark.parametrize("settings", [None, OWN], ids=["usual", "own"])
def test_python_and_node_mask_the_same(settings):
    """Thousands of texts and entries, one by one."""
    chance = random.Random(7)
    given = texts(chance)
    rows = entries(chance, given)
    asked = {
        "texts": given,
        "entries": rows,
        "settings": settings,
        "expressions": EXPRESSIONS,
    }
    done = subprocess.run(
        ["node", PROGRAM],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    answer = json.loads(done.stdout)
    rules = chosen(settings, {}) if settings else DEFAULT
    assert rules is not None
    own = Redactor(rules)

    assert answer["texts"] == [rules.masked(text, own.counts) for text in given]
    assert answer["counts"] == own.counts
    assert own.counts.total() > 1_000
    of_rows = Redactor(rules)
    assert answer["entries"] == [masked(of_rows, row) for row in rows]
    assert answer["entryCounts"] == of_rows.counts
    assert answer["sound"] == [is_sound(each) for each in EXPRESSIONS]


def masked(redactor: Redactor, entry: dict[str, Any]) -> dict[str, Any]:
    row = (1, "web", 9, entry["message"], entry["metadata"], entry["tags"], None)
    _, _, _, message, metadata, tags, _ = redactor.row(row)
    return {**entry, "message": message, "metadata": metadata, "tags": tags}


def is_sound(expression: str) -> bool:
    try:
        read_expression(expression)
    except ExpressionError:
        return False
    return True
