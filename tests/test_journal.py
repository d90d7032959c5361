"""What a process complains of: kept to be stored, bounded, and never about itself."""

from __future__ import annotations

import threading

from pipeline import journal
from pipeline.journal import BURST, EVERY_SECONDS, SAME_SECONDS, WAITING_MAX, Journal
from pipeline.level import Level


def noted(own: Journal, text: str, now: float = 0.0) -> None:
    """A warning of the gateway."""
    own.note(Level.WARN, "gateway", text, {}, now, 7)


def stored(own: Journal, *, has_room: bool = True) -> list[str]:
    """What is handed over now."""
    taken: list[str] = []

    def write(entry: journal.Entry) -> bool:
        taken.append(entry.message)
        return has_room

    own.store(write)
    return taken


def test_a_note_is_an_entry():
    """Of the source `pipeline`, with its process."""
    own = Journal(42)
    own.note(Level.ERROR, "gateway", "it burns", {"stack": "s"}, 0.0, 7)
    (entry,) = own.take()

    metadata = {"process": "gateway", "pid": 42, "stack": "s"}
    assert entry == (7, "pipeline", Level.ERROR, "it burns", metadata, None, None)
    assert own.take() == []


def test_the_same_words_are_counted_for_a_minute():
    """And told with the next note that has them."""
    own = Journal(1)
    for second in range(4):
        noted(own, "again", second)
    noted(own, "again", SAME_SECONDS)
    entries = own.take()

    assert [entry.metadata.get("repeated") for entry in entries] == [None, 3]
    assert own.told()["repeated"] == 3


def test_no_process_fills_the_store():
    """Beyond a burst there is one in ten seconds, which tells how many are missing."""
    own = Journal(1)
    for number in range(BURST + 5):
        noted(own, f"problem {number}")
    assert len(own.take()) == BURST
    noted(own, "later", EVERY_SECONDS)
    noted(own, "too soon", EVERY_SECONDS)

    (entry,) = own.take()
    assert entry.metadata["suppressed"] == 5
    assert own.told()["suppressed"] == 6


def test_what_nobody_takes_is_bounded():
    """By number and by length."""
    own = Journal(1)
    for number in range(2 * WAITING_MAX):
        noted(own, f"{number} " + "x" * 100_000, number * EVERY_SECONDS)
    entries = own.take()

    assert len(entries) == WAITING_MAX
    assert max(len(entry.message) for entry in entries) == journal.TEXT_CHARACTERS
    assert own.told()["lost"] == WAITING_MAX


def test_what_is_noted_while_notes_are_stored_waits():
    """Storing that complains of itself makes no loop."""
    own = Journal(1)
    noted(own, "first")
    calls = []

    def write(entry: journal.Entry) -> bool:
        calls.append(entry.message)
        noted(own, f"could not store: {entry.message}")
        return False

    own.store(write)

    assert calls == ["first"]
    assert own.told() == {"stored": 0, "repeated": 0, "suppressed": 0, "lost": 1}


def test_what_is_told_is_said_and_noted(capsys, monkeypatch):
    """On stderr at once, so that nothing is lost while nobody stores."""
    own = Journal(1)
    monkeypatch.setattr(journal, "own", own)
    journal.warn("collector", "no such folder", path="/x")

    assert capsys.readouterr().err == "collector: no such folder\n"
    assert stored(own) == ["no such folder"]


def test_what_ends_a_thread_is_noted(monkeypatch):
    """With its stack, beside what Python prints."""
    own, printed = Journal(1), []
    monkeypatch.setattr(journal, "own", own)
    monkeypatch.setattr(threading, "excepthook", printed.append)
    journal.note_threads("ingester")
    thread = threading.Thread(target=lambda: [][0], name="committer")
    thread.start()
    thread.join()
    (entry,) = own.take()

    assert "thread committer ended with IndexError" in entry.message
    assert "IndexError" in entry.metadata["stack"]
    assert len(printed) == 1


def test_words_of_a_strange_supervisor_are_left():
    """The environment may hold anything."""
    journal.own.take()  # of the tests before
    for told in (None, "", "{", "[1]", '{"name": "a"}', "7"):
        journal.note_predecessor(told)

    assert journal.own.take() == []
