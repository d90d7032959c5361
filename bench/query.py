"""How long questions take, of the pipeline's query worker and of rivals, when warm.

    python -m bench.query --entries 1000000 --rivals

Every store holds the same corpus, and its answers are compared before any is timed.
The pipeline is asked through a query worker's own pipe, rivals through their client,
both in the bench's process: JSON-RPC would add the same to each.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

from bench.corpus import Facts, facts
from bench.ingest import Options, fill, options_of, rival_step
from bench.measure import median
from bench.processes import Asker
from bench.rivals import LIMIT, NAMES, Answers, Counts, Row, open_rival
from pipeline.entry import LEVEL_NAMES, parse_level, parse_timestamp

OURS: Final = "pipeline"
_RUNS: Final = 15

Question = Callable[[Answers], object]


class Pipeline:
    """The same questions, put to a query worker."""

    def __init__(self, worker: Asker) -> None:
        self._worker = worker

    def trace(self, trace_id: str) -> list[Row]:
        """All entries of a trace."""
        return self._rows(trace_id=trace_id)

    def word(self, word: str) -> list[Row]:
        """The newest entries whose message has this word."""
        return self._rows(q=word)

    def phrase(self, phrase: str) -> list[Row]:
        """The newest entries whose message has these words in a row."""
        return self._rows(q=f'"{phrase}"')

    def newest(self, level: int, source: str) -> list[Row]:
        """The newest entries of one level and source."""
        return self._rows(levels=[LEVEL_NAMES[level]], sources=[source])

    def counts(self) -> Counts:
        """How many entries each level has, and each source."""
        found = self._worker.ask("get_stats", {})
        levels = {_number(name): n for name, n in found["by_level"].items()}
        return levels, dict(found["by_source"])

    def substring(self, text: str) -> int:
        """An exact count; the text is one of whole words."""
        asked = {"q": f'"{text}"', "limit": 1, "count": "exact"}
        return int(self._worker.ask("query", asked)["count"])

    def _rows(self, **asked: Any) -> list[Row]:
        asked |= {"limit": LIMIT, "count": "none"}
        return [
            (
                parse_timestamp(log["timestamp"], 0),
                log["source"],
                _number(log["level"]),
                log["message"],
            )
            for log in self._worker.ask("query", asked)["logs"]
        ]


def _number(level: str) -> int:
    number = parse_level(level)
    assert number is not None
    return number


def questions(known: Facts) -> dict[str, Question]:
    """What is asked, by the name that tables show."""
    return {
        "trace id": lambda store: store.trace(known.trace_id),
        "rare word": lambda store: store.word(known.rare_word),
        "newest 100 of a phrase": lambda store: store.phrase(known.phrase),
        "newest 100 of level and source": lambda store: store.newest(17, "database"),
        "counts by level and source": lambda store: store.counts(),
        "count of a text": lambda store: store.substring(known.substring),
    }


def measure(options: Options) -> dict[str, dict[str, float]]:
    """Milliseconds of each question in each store, medians."""
    asked = questions(facts(options.entries))
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="bench-") as name:
        answers: dict[str, dict[str, object]] = {}
        times: dict[str, dict[str, float]] = {}
        for store, opened in _stores(Path(name), options):
            answers[store] = {key: ask(opened) for key, ask in asked.items()}
            times[store] = {key: _time(ask, opened) for key, ask in asked.items()}
            for key, answer in answers[store].items():
                if answer != answers[OURS][key]:
                    raise RuntimeError(f"{store} and {OURS} differ on {key!r}")
    return times


def _stores(folder: Path, options: Options) -> Iterator[tuple[str, Answers]]:
    """Each store with the corpus in it, one after the other."""
    where = fill(folder, options.entries)
    with Asker(where) as worker:
        yield OURS, Pipeline(worker)
    for name in options.rivals:
        for step in ("prepare", "ingest"):
            rival_step(name, step, folder, options)
        with ExitStack() as stack:
            rival = open_rival(name, folder / name, options.victorialogs)
            stack.enter_context(closing(rival))
            yield name, rival


def _time(ask: Question, store: Answers) -> float:
    found = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        ask(store)
        found.append((time.perf_counter() - start) * 1e3)
    return median(found)


def table(times: dict[str, dict[str, float]]) -> list[str]:
    """Milliseconds as lines of text, a question a line."""
    stores: Sequence[str] = list(times)
    lines = [f"{'ms, median of warm runs':32}" + "".join(f"{s:>14}" for s in stores)]
    for question in times[OURS]:
        cells = "".join(f"{times[store][question]:14.2f}" for store in stores)
        lines.append(f"{question:32}{cells}")
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rivals", nargs="*", choices=NAMES)
    parser.add_argument("--victorialogs", default="", metavar="URL")
    parser.add_argument("--folder", type=Path)
    print("\n".join(table(measure(options_of(parser.parse_args())))))


if __name__ == "__main__":
    main()
