"""What a reply takes, and what goes first when there is no room for all."""

from __future__ import annotations

import json
import random
import string
import subprocess
from pathlib import Path

import pytest

from pipeline.tools.budget import Detail, fit, size
from pipeline.tools.tokens import tokens

NODE = Path(__file__).parents[2] / "node"
COUNT = (
    "const {encode}=require(`gpt-tokenizer/encoding/${process.argv[1]}`);"
    "const all=JSON.parse(require('fs').readFileSync(0,'utf8'));"
    "console.log(JSON.stringify("
    "all.map(t=>encode(t,{disallowedSpecial:new Set()}).length)))"
)
TEXTS = [
    "GET /api/orders/7 - 200 in 12 ms",
    json.dumps({"count": 12, "pattern": "payment <*> failed", "sources": "billing"}),
    "id=aDeG1nBClGg-------------------------------J trace=4bf92f3577b34da6a3ce929d0",
    "2026-11-22T14:59:12.369Z ERROR http_traffic 失败 語語語 \U0001f4a5\U0001f4a5",
    'Traceback (most recent call last):\n  File "/app/a.py", line 7, in handle\n',
    "x" * 3_000,
    '{}[]:,"' * 200,
    "0123456789" * 100,
    "ünïcödé wörds äre löng " * 20,
]


@pytest.fixture(scope="module", params=["o200k_base", "cl100k_base"])
def counted(request):
    """Tokens of texts as a tokenizer counts them."""

    def count(texts):
        done = subprocess.run(
            ["node", "-e", COUNT, request.param],
            input=json.dumps(texts),
            cwd=NODE,
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    return count


@pytest.mark.requires_tool("node")
def test_the_estimate_is_no_less_than_a_tokenizer_counts(counted):
    """Of each text, by itself and all together."""
    texts = [*TEXTS, json.dumps(TEXTS, ensure_ascii=False)]

    short = [
        (text[:40], tokens(text.encode()), real)
        for text, real in zip(texts, counted(texts), strict=True)
        if tokens(text.encode()) < real
    ]
    assert short == []


ALPHABETS = {
    "letters": string.ascii_lowercase,
    "mixed letters": string.ascii_letters,
    "letters and digits": string.ascii_letters + string.digits,
    "rare letters": "qzxjvkwpbgfy",
    "hex": string.hexdigits,
    "marks": string.punctuation,
    "everything": string.ascii_letters + string.digits + string.punctuation,
    "syllables": "".join(map(chr, range(0xAC00, 0xD7A4, 7))),
    "ideographs": "".join(map(chr, range(0x4E00, 0x9FA0, 11))),
    "letters with marks": "".join(map(chr, range(0x100, 0x250))),
    "Cyrillic": "".join(map(chr, range(0x410, 0x450))),
    "Cherokee": "".join(map(chr, range(0x13A0, 0x13F0))),
    "wedges": "".join(map(chr, range(0x12000, 0x12300))),
    "pictures": "".join(map(chr, range(0x1F300, 0x1F640))),
}


@pytest.mark.requires_tool("node")
def test_who_writes_the_text_can_make_it_no_larger_than_it_says(counted):
    """Words that are none, of any letters and lengths."""
    chance = random.Random(7)
    texts = [
        " ".join("".join(chance.choices(letters, k=length)) for _ in range(60))
        for letters in ALPHABETS.values()
        for length in (2, 5, 12, 40)
    ]

    over = [
        (text[:20], round(real / tokens(text.encode()), 2))
        for text, real in zip(texts, counted(texts), strict=True)
        if real > tokens(text.encode()) * 1.05
    ]
    assert over == []


def _reply(detail: Detail):
    rows = ["word " * 400] * 50
    return {
        "rows": [row[: detail.characters] for row in rows[: detail.rows]],
        "samples": ["sample " * 20] * 20 if detail.samples else [],
    }


def test_everything_is_told_when_there_is_room():
    """In full length."""
    found = fit(_reply, 1_000_000)

    assert (len(found["rows"]), len(found["rows"][0])) == (50, 1_200)


@pytest.mark.parametrize("most", [200, 500, 2_000, 6_000, 12_000])
def test_a_reply_keeps_to_its_budget(most):
    """Whatever it has to leave out."""
    assert size(fit(_reply, most)) <= most


def test_long_values_go_before_rows():
    """All rows are there, each shorter."""
    found = fit(_reply, 6_000)

    assert len(found["rows"]) == 50
    assert len(found["rows"][0]) < 1_200


def test_rows_go_last():
    """When shorter ones don't help any more."""
    found = fit(_reply, 500)

    assert 0 < len(found["rows"]) < 50
    assert found["samples"] == []
