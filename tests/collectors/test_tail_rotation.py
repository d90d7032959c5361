"""Files that are renamed, copied, emptied, replaced or deleted: every line once."""

from __future__ import annotations

import os
import shutil
import time

import pytest

from tests.collectors.following import Following, copy_and_truncate, older
from tests.running import RunningIngester


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


def test_a_rotation_before_the_first_look(follow):
    """The file came and went between two looks of a process that was there before."""
    follow.start()
    follow.turn_for(0.1)
    older(follow.path).write_text("one\n")
    older(follow.path, 2).write_text("history\n")
    os.utime(older(follow.path, 2), (1, 1))
    follow.append("two\n")

    follow.expect("one", "two")


def test_what_stands_beside_a_file_is_not_its_older_self(follow):
    """A lock, an editor's copy, one that was compressed some other way."""
    follow.append("one\n")
    follow.start()
    follow.expect("one")
    for name in (".lock", ".swp", ".1.lz4", "ger", "-extra"):
        follow.path.with_name(follow.path.name + name).write_text("no\n")
    follow.append("two\n")

    follow.expect("one", "two")


def test_an_emptied_file_is_not_held_up_by_a_stream_that_was_dropped(tmp_path):
    """Its batches can't be sent as they were cut; a copy would go on with it."""
    running = RunningIngester(tmp_path)
    running.start()
    follow = Following(running, tmp_path / "app.log")
    follow.append("one\n")
    follow.start()
    follow.expect("one")
    running.stop()
    follow.append("two\n")
    follow.turn_for(1.5)
    follow.path.write_text("new\n")
    follow.turn_for(0.5)
    ((producer, feed),) = follow.tailer._sending.feeds.items()
    assert not feed.window.is_empty
    follow.tailer._streams.drop(producer)
    running.start()
    try:
        follow.expect("one", "new")
    finally:
        follow.stop()
        running.stop()
