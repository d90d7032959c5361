"""Files are followed while they grow: every line once."""

from __future__ import annotations

import os
import time

from pipeline.collectors.tail import tailer
from pipeline.collectors.tail.tailer import Tailer
from tests.collectors.following import SECONDS, Following
from tests.running import RunningIngester


def test_what_is_appended_is_stored(follow):
    """Once, and nothing of it again by the next process."""
    follow.append("one\ntwo\n")
    follow.start()
    follow.expect("one", "two")
    follow.append("three\n")
    follow.expect("one", "two", "three")
    follow.restart()
    follow.append("four\n")

    follow.expect("one", "two", "three", "four")


def test_a_number_is_the_place_of_a_byte(follow, ingester):
    """Of the entry's first one, counted from 1."""
    follow.append("one\n\ntwo\n")
    follow.start()
    follow.expect("one", "two")
    (stream,) = follow.tailer._sending.feeds.values()

    assert (stream.window.durable, stream.entries) == (9, 2)
    assert ingester.numbers(follow.path.stem) == [1, 6]


def test_a_line_without_an_end_waits_for_it(follow):
    """Nobody knows what will be written behind it."""
    follow.append("one\nhalf")
    follow.start()
    follow.expect("one")
    follow.append(" and half\n")

    follow.expect("one", "half and half")


def test_a_trace_is_one_entry_at_any_pace(follow, monkeypatch):
    """Its lines come one by one, none of them long after the one before."""
    monkeypatch.setattr("pipeline.collectors.tail.tailer.OPEN_SECONDS", 3.0)
    follow.append("ERROR no\n")
    follow.start()
    for line in ("Traceback (most recent call last):", '  File "x"', "ValueError: no"):
        follow.append(line + "\n")
        follow.turn_for(0.03)
    follow.append("next\n")

    trace = 'ERROR no\nTraceback (most recent call last):\n  File "x"\nValueError: no'
    follow.expect(trace, "next")


def test_a_line_beyond_the_limit(follow, ingester):
    """It is cut, that is said, and those behind it are as they were."""
    follow.append("x" * 3_000_000 + "\nnext\n")
    follow.start()
    follow.turn_until(lambda: len(follow.lines) == 2)
    entry = ingester.entries(follow.path.stem)[0]

    assert len(entry.message) + entry.metadata["truncated_bytes"] == 3_000_000
    assert follow.lines[1] == "next"


def test_unfinished_lines_of_many_files_do_not_fill_memory(follow):
    """The longest of them may go on, the others are read again."""
    folder = follow.path.parent / "many"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.log").write_text("x" * 2_000_000)
    follow.start(paths=(f"{folder}/*.log",), source=follow.path.stem)
    follow.tailer._memory_bytes = 4 << 20
    follow.turn_for(0.5)
    assert follow.tailer._sending.memory < 7 << 20
    for number in range(6):
        with (folder / f"{number}.log").open("a") as file:
            file.write("\n")

    follow.turn_until(lambda: len(follow.lines) == 6)


def test_the_end_is_where_a_file_may_be_begun(follow):
    """What was there before is not read, by the next process neither."""
    follow.append("old\n")
    follow.start(start="end")
    follow.turn_until(lambda: follow.tailer._sending.feeds)
    follow.turn_until(lambda: follow.tailer._sending.is_idle)
    follow.append("new\n")
    follow.expect("new")
    follow.restart()
    follow.append("newer\n")

    follow.expect("new", "newer")


def test_files_that_match_are_found_when_they_come(follow):
    """In folders of any depth, but for those that are excluded."""
    folder = follow.path.parent / "d"
    follow.start(paths=(f"{folder}/**/*.log*",), source=follow.path.stem)
    follow.turn_for(0.1)
    (folder / "e").mkdir(parents=True)
    (folder / "a.log").write_text("one\n")
    (folder / "e/b.log").write_text("two\n")
    (folder / "e/b.log.1.gz").write_text("not text\n")
    os.mkfifo(folder / "c.log")

    follow.expect("one", "two")


def test_two_processes_on_one_file(follow, ingester):
    """Neither knows of the other, and each line is there once."""
    other = Following(ingester, follow.path)
    follow.start()
    other.start()
    lines = [f"line {number}" for number in range(300)]
    for place in range(0, 300, 7):
        follow.append("\n".join(lines[place : place + 7]) + "\n")
        follow.tailer.turn()
        if place % 3:
            other.tailer.turn()
    end = time.monotonic() + SECONDS
    while len(follow.lines) < 300 and time.monotonic() < end:
        follow.tailer.turn()
        other.tailer.turn()
    other.stop()

    follow.expect(*lines)


def test_what_the_ingester_lost_is_read_again(tmp_path, monkeypatch):
    """Its database is gone, the file is not."""
    monkeypatch.setattr(tailer, "SCAN_SECONDS", 0.05)
    running = RunningIngester(tmp_path)
    running.start()
    follow = Following(running, tmp_path / "app.log")
    follow.append("one\ntwo\n")
    follow.start()
    follow.expect("one", "two")
    running.stop()
    for path in tmp_path.glob("test.db*"):
        path.unlink()
    running.start()
    follow.append("three\n")
    try:
        follow.expect("one", "two", "three")
    finally:
        follow.stop()
        running.stop()


def test_a_file_that_cannot_be_read_is_tried_again(follow, monkeypatch, capfd):
    """It is said once, and nothing is sent twice."""
    follow.append("one\n")
    follow.start()
    follow.expect("one")
    (file,) = follow.tailer.files.values()
    with monkeypatch.context() as broken:
        broken.setattr(type(file.file), "read", _fail)
        follow.append("two\n")
        follow.turn_for(0.3)
    follow.expect("one", "two")

    assert capfd.readouterr().err.count("Input/output error; trying again") == 1


def _fail(*_: object) -> bytes:
    raise OSError(5, "Input/output error")


def test_few_files_are_open_at_once(follow, monkeypatch):
    """Those that were quiet longest are closed, and opened when they change."""
    monkeypatch.setattr(tailer, "OPEN_MAX", 3)
    folder = follow.path.parent / "many"
    folder.mkdir()
    paths = [folder / f"{number}.log" for number in range(9)]
    for path in paths:
        path.write_text(f"{path.stem}\n")
    follow.start(paths=(f"{folder}/*.log",), source=follow.path.stem)
    expected = [path.stem for path in paths]
    most = _read_all(follow, expected)
    for path in paths:
        with path.open("a") as file:
            file.write("more\n")

    assert max(most, _read_all(follow, [*expected, *["more"] * 9])) <= 3
    follow.expect(*expected, *["more"] * 9)


def _read_all(follow: Following, lines: list[str]) -> int:
    """Until so many lines are stored; how many files were open at once."""
    most = 0

    def is_read() -> bool:
        nonlocal most
        most = max(most, _open_files(follow.tailer))
        return len(follow.lines) == len(lines)

    follow.turn_until(is_read)
    return most


def _open_files(running: Tailer) -> int:
    return sum(followed.file is not None for followed in running.files.values())
