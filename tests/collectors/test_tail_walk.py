"""Looking around: what is found, and what is not taken for gone."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.collectors.tail import tailer, walk
from pipeline.collectors.tail.opened import OpenFile, allow
from pipeline.collectors.tail.scan import scan
from pipeline.collectors.tail.walk import Walk
from pipeline.settings.model import Files

NOBODY = 65534


@contextmanager
def descriptors(soft: int) -> Iterator[None]:
    """This process may open fewer files for a while."""
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))


@contextmanager
def forbidden(folder: Path) -> Iterator[None]:
    """Nobody may enter it; for root this process is nobody meanwhile."""
    user, mode = os.geteuid(), folder.stat().st_mode
    folder.chmod(0)
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
        folder.chmod(mode)


def matched(pattern: Path) -> list[str]:
    """Paths below the pattern's first folder with a wildcard."""
    return [os.path.join(*found) for found in Walk().matches(str(pattern))]


def test_links_into_each_other_end(tmp_path):
    """Each folder is entered once, under its own name rather than a link's."""
    logs = tmp_path / "logs"
    (logs / "sub").mkdir(parents=True)
    (logs / "loop").symlink_to("sub")
    (logs / "sub/up").symlink_to("..")
    for path in (logs / "a.log", logs / "sub/b.log"):
        path.write_text("one\n")

    found = {file.path for file in scan([Files(paths=(f"{logs}/**/*.log",))]).files}

    assert found == {f"{logs}/a.log", f"{logs}/sub/b.log"}


def test_links_are_followed(tmp_path):
    """To folders elsewhere and to files, as a shell does."""
    (tmp_path / "far/deep").mkdir(parents=True)
    (tmp_path / "logs").mkdir()
    (tmp_path / "far/deep/a.log").write_text("one\n")
    (tmp_path / "logs/far").symlink_to(tmp_path / "far")
    (tmp_path / "logs/b.log").symlink_to("../far/deep/a.log")

    assert matched(tmp_path / "logs/**/*.log") == [
        f"{tmp_path}/logs/b.log",
        f"{tmp_path}/logs/far/deep/a.log",
    ]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.log", ["a.log"]),
        ("*/*.log", ["d/b.log"]),
        ("d/?.log", ["d/b.log"]),
        ("[d]/b.log", ["d/b.log"]),
        ("**/*.log", ["a.log", "d/b.log", "d/e/c.log"]),
        ("**/**/c.log", ["d/e/c.log"]),
        ("d/**/e/*", ["d/e/c.log"]),
        (".*/*", [".hidden/x.log"]),
        ("none/*/x", []),
    ],
)
def test_patterns(tmp_path, pattern, names):
    """As glob reads them."""
    (tmp_path / "d/e").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    for name in ("a.log", "d/b.log", "d/e/c.log", ".hidden/x.log", ".h.log"):
        (tmp_path / name).write_text("one\n")

    found = scan([Files(paths=(f"{tmp_path}/{pattern}",))]).files

    assert sorted(os.path.relpath(f.path, tmp_path) for f in found) == names


def test_one_look_around_has_a_bound(tmp_path):
    """What is beyond it is said, and what was followed there is kept."""
    for number in range(20):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}/a.log").write_text("one\n")
    bounded = Walk(names_max=25)
    found = list(bounded.matches(f"{tmp_path}/**/*.log"))

    assert 0 < len(found) < 20
    assert f"more than {walk.NAMES_MAX} names" in next(iter(bounded.unlisted.values()))


def test_without_descriptors_nobody_is_missed(follow, capfd):
    """A line that has no end yet is not sent without, for the file isn't gone."""
    follow.append("one\nha")
    follow.start(paths=(f"{follow.path.parent}/**/*.log",))
    follow.expect("one")
    with descriptors(3):
        follow.turn_for(1.0)
    follow.append("lf\n")

    follow.expect("one", "half")
    assert "can't see all of" in capfd.readouterr().err


def test_a_forbidden_folder_is_not_an_empty_one(follow, capfd):
    """As long as it can't be entered nobody knows what is in it."""
    follow.append("one\nha")
    follow.start(paths=(f"{follow.path.parent}/*.log",))
    follow.expect("one")
    with forbidden(follow.path.parent):
        follow.turn_for(1.0)
    follow.append("lf\n")

    follow.expect("one", "half")
    assert capfd.readouterr().err.count("Permission denied") == 1


def test_elsewhere_a_deleted_file_is_missed(follow):
    """A folder that is always forbidden keeps no other's files open."""
    closed = follow.path.parent / "d"
    closed.mkdir()
    follow.append("one\nlast")
    pattern = f"{follow.path.parent}/**/*.log"
    follow.start(paths=(pattern,))
    follow.expect("one")
    (followed,) = follow.tailer.files.values()
    follow.path.unlink()
    with forbidden_to_list(closed):
        assert scan([Files(paths=(pattern,))]).unlisted
        assert not scan([Files(paths=(pattern,))]).hides(followed.found)
        follow.turn_for(0.5)

    follow.expect("one", "last")


@contextmanager
def forbidden_to_list(folder: Path) -> Iterator[None]:
    """Only this folder; those above are anybody's."""
    above = [folder.parent, *folder.parent.parents]
    modes = {path: path.stat().st_mode for path in above}
    mine = {path: mode for path, mode in modes.items() if mode & 0o005 != 0o005}
    for path in mine:
        path.chmod(0o755)
    try:
        with forbidden(folder):
            yield
    finally:
        for path, mode in mine.items():
            path.chmod(mode)


def test_files_are_closed_while_they_are_asked_for(follow, monkeypatch):
    """Nobody answers for long, and few of them may be open."""
    monkeypatch.setattr(tailer, "OPEN_MAX", 5)
    folder = follow.path.parent / "many"
    folder.mkdir()
    before = OpenFile.count
    for number in range(50):
        (folder / f"{number}.log").write_text(f"{number}\nhalf")
    follow.start(paths=(f"{folder}/*.log",), source=follow.path.stem)
    follow.tailer.turn()
    assert OpenFile.count - before <= 5
    lines = [str(number) for number in range(50)]
    follow.expect(*lines)
    assert OpenFile.count - before <= 5
    for number in range(50):
        with (folder / f"{number}.log").open("a") as file:
            file.write(" and half\n")

    follow.expect(*lines, *["half and half"] * 50)


def test_a_closed_file_that_is_deleted_is_let_go(follow, monkeypatch):
    """What was read of it is sent, its unfinished line, too."""
    monkeypatch.setattr(tailer, "OPEN_MAX", 0)
    follow.append("one\nlast")
    follow.start()
    follow.expect("one")
    follow.path.unlink()

    follow.expect("one", "last")
    follow.turn_until(lambda: not follow.tailer.files)


def test_as_many_descriptors_as_are_needed():
    """The soft limit is raised, as far as the hard one lets it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with descriptors(300):
        assert allow(512) == 512
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(768, hard)
