"""A Collector in programs that end, fork and take signals: each entry there, once."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import RunningIngester


@pytest.fixture(scope="module")
def ingester(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningIngester]:
    """One for all tests of this file; each has a source of its own."""
    running = RunningIngester(tmp_path_factory.mktemp("i"))
    running.start()
    yield running
    running.stop()


def run_program(ingester: RunningIngester, text: str, source: str) -> None:
    """Run a program that has a Collector `log`."""
    head = f"""
    import os, sys, threading
    from pipeline import Collector
    log = Collector({ingester.ingest!r}, {source!r},
                    acknowledge_endpoint={ingester.publish!r})
    """
    program = textwrap.dedent(head) + textwrap.dedent(text)
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr[-3000:]


def test_a_signals_handler_may_log(ingester: RunningIngester) -> None:
    """In the middle of a call that logs; each entry is there once."""
    run_program(
        ingester,
        """
        import signal
        count = 0
        def handle(number, frame):
            global count
            count += 1
            log.log("INFO", f"signal {count}")
        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.005, 0.002)
        for number in range(30000):
            log.log("INFO", str(number))
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert count > 10 and log.flush(20)
        """,
        source="signals",
    )

    found = Counter(row.message for row in ingester.entries("signals"))
    assert set(found.values()) == {1}
    assert set(map(str, range(30000))) < found.keys()


@pytest.mark.parametrize(
    "text",
    [
        'log.log("INFO", "m")',
        'log.log("INFO", "m"); sys.exit(0)',
        'def f():\n    log.log("INFO", "m")\nf(); del log; import gc; gc.collect()',
        't = threading.Thread(target=log.log, args=("INFO", "m")); t.start()',
    ],
)
def test_a_program_that_just_ends_has_delivered(
    ingester: RunningIngester, text: str
) -> None:
    """Without flush or close, and after its Collector's last name is gone."""
    source = f"exit {text}"

    run_program(ingester, text, source)

    assert [row.message for row in ingester.entries(source)] == ["m"]


def test_a_forked_child_has_a_session_of_its_own(ingester: RunningIngester) -> None:
    """The parent's goes on; what waited in it is not sent by both."""
    run_program(
        ingester,
        """
        for number in range(500):
            log.log("INFO", f"before {number}")
        children = []
        for child in range(3):
            pid = os.fork()
            if not pid:
                for number in range(100):
                    log.log("INFO", f"child {child} {number}")
                os._exit(0 if log.flush(10) else 1)
            children.append(pid)
        for number in range(500):
            log.log("INFO", f"after {number}")
        assert log.flush(10)
        assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
        """,
        source="fork",
    )

    found = Counter(row.message for row in ingester.entries("fork"))
    assert len(found) == 1300
    assert set(found.values()) == {1}


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_a_multiprocessing_child_that_never_flushes_delivers(
    ingester: RunningIngester, tmp_path: Path, how: str
) -> None:
    """It leaves by os._exit; with a Collector inherited, or made there."""
    source = f"multiprocessing {how}"
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            f"""
            import multiprocessing, sys
            from pipeline import Collector
            def make():
                return Collector({ingester.ingest!r}, {source!r},
                                 acknowledge_endpoint={ingester.publish!r})
            def inherited(log, name):
                log.log("INFO", f"inherited {{name}}")
            def made(name):
                make().log("INFO", f"made {{name}}")
            if __name__ == "__main__":
                context = multiprocessing.get_context({how!r})
                log = make()
                log.log("INFO", "parent")
                children = [context.Process(target=made, args=(n,)) for n in range(2)]
                if {how!r} == "fork":
                    children += [context.Process(target=inherited, args=(log, n))
                                 for n in range(2)]
                for child in children:
                    child.start()
                for child in children:
                    child.join()
            """
        )
    )
    subprocess.run([sys.executable, program], check=True, timeout=60)

    names = ["made 0", "made 1", "parent"]
    names += ["inherited 0", "inherited 1"] if how == "fork" else []
    assert sorted(row.message for row in ingester.entries(source)) == sorted(names)
