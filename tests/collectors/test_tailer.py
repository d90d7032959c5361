"""Files are followed whatever happens to them: every line once."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.collectors.link import Link
from pipeline.collectors.tail import followed, streams, tailer
from pipeline.collectors.tail.tailer import Tailer
from pipeline.settings.model import Files
from tests.running import RunningIngester

SECONDS = 20.0


@pytest.fixture(scope="module")
def ingester(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningIngester]:
    """One for all tests: each has files of its own."""
    running = RunningIngester(tmp_path_factory.mktemp("t"))
    running.start()
    yield running
    running.stop()


class Following:
    """Tailers over one file, one after another; `lines` are what was stored."""

    def __init__(self, ingester: RunningIngester, path: Path) -> None:
        self.path = path
        self.group = Files(paths=(str(path),))
        self._ingester = ingester
        self._tailer: Tailer | None = None
        self._link: Link | None = None

    def start(self, **options: object) -> None:
        """Follow, with these settings beside the path."""
        if options:
            self.group = Files(**{"paths": (str(self.path),), **options})
        self._link = Link((self._ingester.ingest, self._ingester.publish))
        self._tailer = Tailer([self.group], self._link)

    def stop(self) -> None:
        """As a killed process does: without a word."""
        if self._tailer is not None and self._link is not None:
            self._tailer.close()
            self._link.close()
            self._tailer = None

    def restart(self) -> None:
        """Another process goes on."""
        self.stop()
        self.start()

    @property
    def tailer(self) -> Tailer:
        """The one that runs."""
        assert self._tailer is not None
        return self._tailer

    @property
    def lines(self) -> list[str]:
        """The texts of what is stored, in the order of each stream."""
        return [entry.message for entry in self._ingester.entries(self.path.stem)]

    def turn_until(self, condition: Callable[[], object]) -> None:
        """Go on until it holds; raises AssertionError when it doesn't in time."""
        end = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < end, list(self.tailer.status())
            self.tailer.turn()

    def turn_for(self, seconds: float) -> None:
        """Go on for a while, so that what must not happen could."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.tailer.turn()

    def expect(self, *lines: str) -> None:
        """Each of these is stored, once, and nothing else."""
        self.turn_until(lambda: len(self.lines) >= len(lines))
        self.turn_for(0.3)
        assert sorted(self.lines) == sorted(lines)

    def append(self, text: str) -> None:
        """Write to the file as a logger does."""
        with self.path.open("a") as file:
            file.write(text)


@pytest.fixture
def follow(
    ingester: RunningIngester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Following]:
    """A file with a name of its own, and a pace that tests can wait for."""
    monkeypatch.setattr(tailer, "SCAN_SECONDS", 0.05)
    monkeypatch.setattr(tailer, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(tailer, "OPEN_SECONDS", 0.1)
    monkeypatch.setattr(followed, "QUIET_SECONDS", 0.3)
    monkeypatch.setattr(streams, "REST_SECONDS", 0.3)
    following = Following(ingester, tmp_path / f"{tmp_path.name}.log")
    yield following
    following.stop()


def older(path: Path, number: int = 1) -> Path:
    """The name that rotation gives."""
    return path.with_name(f"{path.name}.{number}")


def copy_and_truncate(path: Path) -> None:
    """Rotation that leaves the file where it is."""
    shutil.copyfile(path, older(path))
    os.truncate(path, 0)


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


def test_a_trace_is_one_entry_at_any_pace(follow):
    """Its lines come one by one, none of them long after the one before."""
    follow.append("ERROR no\n")
    follow.start()
    for line in ("Traceback (most recent call last):", '  File "x"', "ValueError: no"):
        follow.append(line + "\n")
        follow.turn_for(0.03)
    follow.append("next\n")

    trace = 'ERROR no\nTraceback (most recent call last):\n  File "x"\nValueError: no'
    follow.expect(trace, "next")


@pytest.mark.parametrize("is_down", [False, True])
def test_a_renamed_file_is_read_to_its_end(follow, is_down):
    """Also what is written to it after that, and the new one from its beginning."""
    follow.append("one\n")
    follow.start()
    follow.expect("one")
    if is_down:
        follow.stop()
    with follow.path.open("a") as late:
        late.write("two\n")
        follow.path.rename(older(follow.path))
        late.write("three\n")
        late.flush()
        follow.append("four\n")
        if is_down:
            follow.start()
        follow.turn_for(0.1)
        late.write("five\nlast")
    follow.expect("one", "two", "three", "four", "five", "last")
    follow.restart()

    follow.expect("one", "two", "three", "four", "five", "last")


def test_two_rotations_while_nobody_follows(follow):
    """What came and went meanwhile is found by its name, and what was before is not."""
    older(follow.path).write_text("history\n")
    os.utime(older(follow.path), (1, 1))
    follow.append("one\n")
    follow.start()
    follow.expect("one")
    follow.stop()
    older(follow.path).rename(older(follow.path, 3))
    follow.append("two\n")
    follow.path.rename(older(follow.path, 2))
    time.sleep(0.02)  # so that the kernel's clock gives them another time
    follow.append("three\n")
    follow.path.rename(older(follow.path))
    follow.append("four\n")
    follow.start()

    follow.expect("one", "two", "three", "four")


@pytest.mark.parametrize("is_down", [False, True])
@pytest.mark.parametrize("pattern", ["", "*"])
def test_a_copied_and_emptied_file(follow, is_down, pattern):
    """The copy is not sent again, but for what was not read before."""
    follow.append("2026-11-22 10:00 one\n")
    follow.start(paths=(str(follow.path) + pattern,), source=follow.path.stem)
    follow.expect("2026-11-22 10:00 one")
    if is_down:
        follow.stop()
    follow.append("two\n")
    copy_and_truncate(follow.path)
    follow.append("2026-11-23 10:00 three\n")
    if is_down:
        follow.start()
    expected = ["2026-11-22 10:00 one", "two", "2026-11-23 10:00 three"]
    follow.expect(*expected)
    follow.restart()

    follow.expect(*expected)


def test_a_copy_alone_is_nothing_new(follow):
    """The file it was made of goes on."""
    follow.append("2026-11-22 10:00 one\n")
    follow.start(paths=(str(follow.path) + "*",), source=follow.path.stem)
    follow.expect("2026-11-22 10:00 one")
    shutil.copyfile(follow.path, older(follow.path))
    follow.turn_for(0.2)
    follow.append("two\n")

    follow.expect("2026-11-22 10:00 one", "two")


def test_what_was_read_after_the_copy_is_not_read_again(follow):
    """The copy is then shorter than what is stored."""
    follow.append("2026-11-22 10:00 one\n")
    follow.start(paths=(str(follow.path) + "*",), source=follow.path.stem)
    follow.expect("2026-11-22 10:00 one")
    copy = follow.path.read_bytes()
    follow.append("two\n")
    follow.expect("2026-11-22 10:00 one", "two")
    older(follow.path).write_bytes(copy)
    os.truncate(follow.path, 0)
    follow.append("2026-11-23 10:00 three\n")

    follow.expect("2026-11-22 10:00 one", "two", "2026-11-23 10:00 three")


def test_a_line_that_was_emptied_half_written(follow):
    """Without a copy it is all that there is of it."""
    follow.append("one\nha")
    follow.start()
    follow.expect("one")
    os.truncate(follow.path, 0)
    follow.append("two\n")

    follow.expect("one", "ha", "two")


@pytest.mark.parametrize("is_down", [False, True])
@pytest.mark.parametrize("text", ["x\n", "2\n" * 9, "one\n3\n", "one\n" + "3\n" * 9])
def test_an_emptied_file_is_begun_anew(follow, is_down, text):
    """Shorter or longer than it was, and with the same first line or another."""
    follow.append("one\ntwo\n")
    follow.start()
    follow.expect("one", "two")
    if is_down:
        follow.stop()
    with follow.path.open("w") as file:
        file.write(text)
    if is_down:
        follow.start()

    follow.expect("one", "two", *text.split())


@pytest.mark.parametrize("is_down", [False, True])
def test_a_file_that_another_took_the_place_of(follow, is_down):
    """By renaming a longer one onto it."""
    follow.append("one\n")
    follow.start()
    follow.expect("one")
    if is_down:
        follow.stop()
    new = follow.path.with_suffix(".new")
    new.write_text("one\ntwo\nthree\n")
    new.replace(follow.path)
    if is_down:
        follow.start()

    follow.expect("one", "one", "two", "three")


def test_a_new_file_with_the_old_ones_inode(follow):
    """File systems give it again at once; here the same one stands for another."""
    follow.append("one\n")
    follow.start()
    follow.expect("one")
    follow.stop()
    inode = follow.path.stat().st_ino
    follow.path.write_text("two\nthree\n")
    assert follow.path.stat().st_ino == inode
    follow.start()

    follow.expect("one", "two", "three")


def test_a_deleted_file_is_read_to_its_end(follow):
    """As long as somebody has it open; its last line gets no end any more."""
    follow.append("one\n")
    follow.start()
    follow.expect("one")
    with follow.path.open("a") as file:
        follow.path.unlink()
        follow.turn_for(0.1)
        file.write("two\nlast")

    follow.expect("one", "two", "last")
    follow.turn_until(lambda: not follow.tailer.files)


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


def test_a_rotation_before_the_first_look(follow):
    """The file came and went between two looks of a process that was there before."""
    follow.start()
    follow.turn_for(0.1)
    older(follow.path).write_text("one\n")
    older(follow.path, 2).write_text("history\n")
    os.utime(older(follow.path, 2), (1, 1))
    follow.append("two\n")

    follow.expect("one", "two")
