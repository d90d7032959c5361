"""Questions to the store, by a real worker process over a real database."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.analyzer.questions import (
    QUESTIONS_MAX,
    Questions,
    UnansweredError,
    Worker,
    worker_of,
)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    """A worker over a store that isn't there yet."""
    worker = worker_of(str(tmp_path / "logs.db"))
    yield worker
    worker.end()


def _scripted(program: str) -> Worker:
    """A worker that does something else."""
    return Worker([sys.executable, "-c", program], os.environ)


def test_a_worker_starts_with_its_first_question(worker: Worker) -> None:
    """And answers the second, too."""
    assert worker.pid is None

    for _ in range(2):
        reply = json.loads(worker.ask("get_stats", {}, 10))
        assert reply["total_logs"] == 0
    assert worker.started == 1


def test_what_the_worker_refuses_is_told(worker: Worker) -> None:
    """It goes on with the same process."""
    with pytest.raises(UnansweredError, match="no method 'nonsense'"):
        worker.ask("nonsense", {}, 10)

    assert worker.ask("get_stats", {}, 10)
    assert worker.started == 1


def test_a_killed_worker_is_replaced(worker: Worker) -> None:
    """The question that it had fails, or the next does: never one after that."""
    worker.ask("get_stats", {}, 10)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(UnansweredError):
        worker.ask("get_stats", {}, 10)

    assert worker.ask("get_stats", {}, 10)
    assert worker.started == 2


def test_a_worker_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the time and the grace are over."""
    monkeypatch.setattr("pipeline.analyzer.questions.GRACE_SECONDS", 0.1)
    worker = _scripted("import time; time.sleep(60)")

    with pytest.raises(UnansweredError, match="no answer in time"):
        worker.ask("get_stats", {}, 0.1)
    assert worker.pid is None


def test_a_reply_of_absurd_length_is_refused() -> None:
    """A stray print between frames is not taken for 540 MB."""
    worker = _scripted("print('    nonsense', flush=True); input()")

    with pytest.raises(UnansweredError, match="mustn't exceed"):
        worker.ask("get_stats", {}, 10)


def _answers(questions: Questions, found: list[object], wanted: int) -> None:
    while len(found) < wanted:
        assert select.select([questions], [], [], 20)[0]
        questions.deliver()


def test_answers_come_through_the_loop(worker: Worker) -> None:
    """In the order of the questions; a failure is an answer too."""
    questions = Questions(worker)
    found: list[object] = []
    take = found.append
    questions.ask("get_stats", {}, lambda result, _: take(result is not None))
    questions.ask("nonsense", {}, lambda _, problem: take(problem))
    _answers(questions, found, 2)

    assert found == [True, "no method 'nonsense'"]
    assert dict(questions.counters) == {"asked": 2, "answered": 1, "failed": 1}
    questions.close()


def test_an_idle_worker_ends(worker: Worker) -> None:
    """The next question starts another."""
    questions = Questions(worker, idle_seconds=0.01)
    found: list[object] = []
    for wanted in (1, 2):
        questions.ask("get_stats", {}, lambda result, _: found.append(result))
        _answers(questions, found, wanted)
        while worker.pid is not None:
            select.select([], [], [], 0.01)

    assert worker.started == 2
    questions.close()


def test_the_queue_is_bounded() -> None:
    """What is too much is refused and counted."""
    questions = Questions(_scripted("import time; time.sleep(60)"))
    taken = [
        questions.ask("get_stats", {}, lambda *_: None)
        for _ in range(QUESTIONS_MAX + 10)
    ]

    assert taken.count(True) in (QUESTIONS_MAX, QUESTIONS_MAX + 1)
    assert questions.counters["refused"] == taken.count(False)
    questions.close()
