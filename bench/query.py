"""How long questions take, of the pipeline's query worker and of rivals.

    python -m bench.query --entries 5000000 --rivals chdb
    python -m bench.query --entries 1000000 --growth 20

Every store holds the same corpus, the pipeline's compacted, and answers are compared
before any is timed. A query worker remembers what matched, so its warm times are two:
new, for what it was never asked before, the median of 5 workers, and again, the median
of 15. Rivals: the median of 15, asked again. After a restart: a process or session that
has just been opened, its files dropped from the page cache; the median of 5.
The pipeline is asked through a query worker's own pipe and pages through the gateway
too, rivals through their client, all in the bench's process.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.corpus import facts
from bench.ingest import Options, fill, options_of, rival_step
from bench.measure import median, memory_of
from bench.processes import Asker, Gateway, Place, compact, place, running
from bench.questions import Pipeline, Question, questions
from bench.rivals import NAMES, Row, open_rival

OURS: Final = "pipeline"
_RUNS: Final = 15
_RESTARTS: Final = 5
_GROWING: Final = ("trace", "word", "newest")
"""Methods whose answer must not take longer because there is more beside it."""


@dataclass(slots=True)
class Findings:
    """Milliseconds by store and question, and what the pipeline's store takes."""

    new: dict[str, float] = field(default_factory=dict)
    """Of the pipeline, asked for the first time."""
    warm: dict[str, dict[str, float]] = field(default_factory=dict)
    restarted: dict[str, dict[str, float]] = field(default_factory=dict)
    gateway: dict[str, float] = field(default_factory=dict)
    bytes_per_entry: dict[str, float] = field(default_factory=dict)
    worker_bytes: int = 0
    """The most that the query worker has had resident."""


def measure(options: Options, kept: Path | None = None) -> Findings:
    """All questions to all stores; those in a folder that is kept are filled once."""
    found = Findings()
    with _folder(options, kept) as folder:
        where = _filled(folder, options.entries)
        found.bytes_per_entry[OURS] = where.disk() / options.entries
        asked, expected = _ask_pipeline(where, options, found)
        for rival in options.rivals:
            _ask_rival(rival, folder, options, asked, expected, found)
    return found


@contextmanager
def _folder(options: Options, kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="bench-") as name:
        yield Path(name)


def _filled(folder: Path, entries: int) -> Place:
    """The corpus in the folder's store, compacted."""
    if (where := place(folder)).database.exists():
        return where
    where = fill(folder, entries)
    compact(where)
    return where


def _ask_pipeline(
    where: Place, options: Options, found: Findings
) -> tuple[list[Question], dict[str, object]]:
    known = facts(options.entries)
    with Asker(where) as worker:
        store = Pipeline(worker.ask)
        hits = store.word(known.rare_word)
        hit: Row | None = hits[len(hits) // 2] if hits else None
        expected: dict[str, object] = {}
        asked = [
            each
            for each in questions(known, hit)
            if _is_answered(each, store, expected)
        ]
        found.warm[OURS] = {each.name: _time(each, store) for each in asked}
        found.worker_bytes = memory_of(worker.pid)
    found.new = _new(asked, where, store.ids)
    with running("gateway", where):
        through = Pipeline(Gateway(where.port).ask, store.ids)
        pages = [each for each in asked if each.page]
        found.gateway = {each.name: _time(each, through) for each in pages}
    found.restarted[OURS] = {
        each.name: median([_first(each, where, store.ids) for _ in range(_RESTARTS)])
        for each in asked
    }
    return asked, expected


def _new(
    asked: Sequence[Question], where: Place, ids: dict[Row, str]
) -> dict[str, float]:
    """What each takes a worker that was asked others before."""
    times: dict[str, list[float]] = {each.name: [] for each in asked}
    for _ in range(_RESTARTS):
        with Asker(where) as worker:
            store = Pipeline(worker.ask, ids)
            store.counts()
            store.word("unheard")
            store.newest(5, "cache")
            for each in asked:
                times[each.name].append(_once(each, store))
    return {name: median(found) for name, found in times.items()}


def _is_answered(
    question: Question, store: Pipeline, expected: dict[str, object]
) -> bool:
    """Whether it is within the limits: notes the answer, or tells of the refusal."""
    try:
        expected[question.name] = question.same(question.ask(store))
    except RuntimeError as error:
        print(f"{OURS} refuses {question.name}: {error}", flush=True)
        return False
    return True


def _first(question: Question, where: Place, ids: dict[Row, str]) -> float:
    drop_cached(where.folder)
    with Asker(where) as worker:
        worker.wait_ready()
        return _once(question, Pipeline(worker.ask, ids))


def _ask_rival(
    name: str,
    folder: Path,
    options: Options,
    asked: Sequence[Question],
    expected: dict[str, object],
    found: Findings,
) -> None:
    report = folder / f"{name}.json"
    if not report.exists():
        rival_step(name, "prepare", folder, options)
        report.write_text(rival_step(name, "ingest", folder, options))
    with opened(name, folder, options) as store:
        fit = [each for each in asked if each.is_for(store)]
        for each in fit:
            if (answer := each.same(each.ask(store))) != expected[each.name]:
                shown = f"{answer!r:.300} and {expected[each.name]!r:.300}"
                print(f"{name} and {OURS} differ on {each.name}: {shown}", flush=True)
        found.warm[name] = {each.name: _time(each, store) for each in fit}
    disk = json.loads(report.read_text())["disk"]
    found.bytes_per_entry[name] = disk / options.entries
    found.restarted[name] = {
        each.name: median([_reopened(each, name, folder, options) for _ in range(3)])
        for each in fit
    }


def _reopened(question: Question, name: str, folder: Path, options: Options) -> float:
    drop_cached(folder / name)
    with opened(name, folder, options) as store:
        if hasattr(store, "run"):
            store.run("SELECT 1")
        return _once(question, store)


@contextmanager
def opened(name: str, folder: Path, options: Options) -> Iterator[Any]:
    """A rival with its data in the folder."""
    with ExitStack() as stack:
        store = open_rival(name, folder / name, options.victorialogs)
        stack.enter_context(closing(store))
        yield store


def drop_cached(folder: Path) -> None:
    """Have the files of a folder out of the page cache, as after a restart."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            file = os.open(path, os.O_RDONLY)
            try:
                os.fsync(file)
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(file)


def _time(question: Question, store: Any) -> float:
    return median([_once(question, store) for _ in range(_RUNS)])


def _once(question: Question, store: Any) -> float:
    start = time.perf_counter()
    question.ask(store)
    return (time.perf_counter() - start) * 1e3


def growth(options: Options, factor: int) -> dict[str, tuple[float, float]]:
    """Milliseconds of the questions that should not grow, at both sizes."""
    sizes = [options.entries, options.entries * factor]
    times: dict[str, list[float]] = {}
    for entries in sizes:
        with tempfile.TemporaryDirectory(dir=options.folder, prefix="bench-") as name:
            where = _filled(Path(name), entries)
            with Asker(where) as worker:
                store = Pipeline(worker.ask)
                for each in questions(facts(entries)):
                    if each.method in _GROWING:
                        each.ask(store)
                        times.setdefault(each.name, []).append(_time(each, store))
    return {name: (small, large) for name, (small, large) in times.items()}


def table(found: Findings) -> list[str]:
    """Milliseconds as lines of text, a question a line."""
    stores = list(found.warm)
    heads = ["new", "again", *stores[1:], "gateway"]
    heads += [f"{store} restart" for store in stores]
    lines = [f"{'ms, medians':34}" + "".join(f"{head:>18}" for head in heads)]
    for name in found.warm[OURS]:
        cells = [found.new.get(name)]
        cells += [found.warm[store].get(name) for store in stores]
        cells.append(found.gateway.get(name))
        cells += [found.restarted[store].get(name) for store in stores]
        shown = ["-" if cell is None else f"{cell:.2f}" for cell in cells]
        lines.append(f"{name:34}" + "".join(f"{cell:>18}" for cell in shown))
    sizes = [f"{name} {size:.1f}" for name, size in found.bytes_per_entry.items()]
    lines.append(f"bytes an entry on disk: {', '.join(sizes)}")
    lines.append(f"query worker, peak: {found.worker_bytes / 2**20:.0f} MB")
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rivals", nargs="*", choices=NAMES)
    parser.add_argument("--victorialogs", default="", metavar="URL")
    parser.add_argument("--growth", type=int, metavar="TIMES", default=0)
    parser.add_argument("--folder", type=Path, help="where the data go (default: /tmp)")
    parser.add_argument("--keep", type=Path, help="a folder to fill once and reuse")
    arguments = parser.parse_args()
    factor, kept = arguments.growth, arguments.keep
    del arguments.growth, arguments.keep
    options = options_of(arguments)
    if factor:
        for name, (small, large) in growth(options, factor).items():
            ratio = f"x{large / small:.2f} with {factor} times the entries"
            print(f"{name:34}{small:10.2f} ms{large:10.2f} ms  {ratio}")
        return
    print("\n".join(table(measure(options, kept))))


if __name__ == "__main__":
    main()
