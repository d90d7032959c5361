"""`python -m tests.faults`: which faults there are, and what it says of them."""

from __future__ import annotations

import sys

import pytest

from tests.capabilities import Absent
from tests.faults import __main__ as program
from tests.faults.report import Figures

GOOD = Figures("good", 1, 10, 0, 0, 0)


def absent(_folder, *, long):
    """A fault of another machine."""
    assert long
    raise Absent("moonlight can't be had")


@pytest.fixture
def said(monkeypatch, capsys):
    """Runs the program with these faults; its status and what it printed."""

    def run(**faults):
        monkeypatch.setattr(program, "known", lambda: {"module": faults})
        monkeypatch.setattr(sys, "argv", ["faults"])
        return program.main(), capsys.readouterr().out

    return run


def test_every_fault_of_the_folder_is_known():
    """By its name; no list has to be kept."""
    faults = program.known()

    assert {"ingester-kills", "collector-kills"} <= set(faults["kills"])
    assert program.chosen(["kills"]) == faults["kills"]
    assert list(program.chosen(["freezes"])) == ["freezes"]


def test_a_name_unknown_is_refused():
    """With those that there are."""
    with pytest.raises(SystemExit, match=r"earthquake is no fault; known: .*freezes"):
        program.chosen(["earthquake"])


def test_what_can_not_be_run_is_skipped_by_name(said):
    """It is no failure."""
    status, text = said(good=lambda _, long: GOOD, dark=absent)

    assert status == 0
    assert "dark skipped: moonlight can't be had" in text
    assert "good" in text


def test_one_that_does_not_hold_is_a_failure(said):
    """The others are run all the same."""
    lossy = GOOD._replace(fault="lossy", lost=1)
    status, text = said(bad=lambda _, long: lossy, good=lambda _, long: GOOD)

    assert status == 1
    assert text.endswith("not as it must be: bad\n")
    assert "good" in text
