"""One byte flipped anywhere in a database: `verify` says so, queries read the rest.

Places are drawn from the whole file, and from each of its regions.  What nobody reads
any more (free pages, rows that others have taken the place of) may be flipped without a
word, if every answer stays what it was.  Where SQLite itself can't open the file (page
1), the next start of an ingester makes it whole, and the answers are looked at then.
"""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from pipeline.errors import StoreError
from pipeline.query.answer import Engine, Limits
from pipeline.store.verify import Verdict, verify_store
from pipeline.store.writer import Writer
from tests.faults import flips
from tests.faults.report import Figures

QUESTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("query", {"limit": 3, "count": "exact"}),
    ("query", {"q": "message:/^[0-9a-f]{40}/", "limit": 3, "count": "exact"}),
    ("query", {"q": "n:>=0", "limit": 3, "count": "exact"}),
    ("patterns", {}),
)
"""Each is true of every entry, and is answered in another way."""

Answers = list[tuple[int, int]]
"""Entries, and blocks that could not be read."""


def ask(path: Path) -> Answers:
    """The same questions."""
    engine = Engine(path, Limits(), lambda: 0.0)
    found = []
    for method, params in QUESTIONS:
        reply = json.loads(
            engine.answer(method, params, flips.NOW + 10**9, engine.budget())
        )
        total = reply.get("total", reply.get("count"))
        found.append((total, reply.get("unreadable_blocks", 0)))
    return found


class Tally:
    """What became of the flips."""

    def __init__(self, rows: int, answers: Answers) -> None:
        self.rows = rows
        self.answers = answers
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[str] = []

    def add(self, path: Path, where: str) -> None:
        """One flip."""
        verdict = verify_store(path)
        outcome = "named" if verdict.damaged else "told"
        try:
            answers = ask(path)
        except StoreError:
            outcome += ", salvaged"
            Writer(path).close()
            answers = ask(path)
        if any("page 1 " in flaw for flaw in verdict.flaws):  # of all blocks alike
            Writer(path).close()
            answers = ask(path)
        problem = self._problem(verdict, answers)
        if problem:
            self.wrong.append(f"{where}: {problem}; {verdict.damaged} {verdict.flaws}")
        self.outcomes["without effect" if verdict.is_sound else outcome] += 1

    def _problem(self, verdict: Verdict, answers: Answers) -> str:
        if verdict.is_sound:
            return "" if answers == self.answers else f"nothing said, but {answers}"
        for total, unreadable in answers:
            if total < self.rows - 5 * flips.ROWS:
                return f"{self.rows - total} entries of more than one block are missing"
            if total < self.rows and not unreadable and verdict.damaged:
                return f"{self.rows - total} entries are missing without a warning"
            if unreadable and not verdict.damaged:
                return "a block can't be read, and none is named"
        return ""


def verified(folder: Path, *, long: bool) -> Figures:
    """200 places of the whole file and 40 of each region; in short some of each."""
    everywhere, each = (200, 40) if long else (10, 1)
    original = folder / "original.db"
    flips.build(original)
    Writer(original).close()  # what a kill left in the WAL
    before = verify_store(original)
    assert before.is_sound, "a false alarm"
    tally = Tally(before.rows, ask(original))
    assert tally.answers == [(before.rows, 0)] * len(QUESTIONS)
    content = original.read_bytes()
    rng = random.Random(1)
    places = [("anywhere", rng.randrange(len(content))) for _ in range(everywhere)]
    for region, spots in flips.spots(original).items():
        within = [spot for spot in spots if not spot.file]
        chosen = rng.choices(within, k=each) if within else []
        places += [(region, rng.randrange(each.begin, each.end)) for each in chosen]
    work = folder / "work"
    for region, at in places:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        changed = bytearray(content)
        changed[at] ^= 1 << rng.randrange(8)
        (work / "logs.db").write_bytes(changed)
        tally.add(work / "logs.db", f"{region}, byte {at}")
    told = ", ".join(f"{n} {name}" for name, n in sorted(tally.outcomes.items()))
    return Figures(
        "bytes flipped under verify and queries",
        len(places),
        len(places) * before.rows,
        len(tally.wrong),
        0,
        0,
        note="; ".join([told, *tally.wrong]),
    )


FAULTS = {"verified": verified}
