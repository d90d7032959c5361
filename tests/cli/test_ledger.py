"""`pipeline ledger`: the table, its exit code, and what it leaves out."""

from __future__ import annotations

import json
from dataclasses import fields

import msgspec
import pytest

from pipeline.cli import main
from pipeline.delivery.stream import Stream
from pipeline.gateway.methods.get_ledger import LedgerResult
from pipeline.store.producers import Ledger
from pipeline.store.writer import Writer


def stream(number, **changes):
    """12,345,678 numbers; all but 70 stored."""
    made = Stream(number.to_bytes(16, "big"), stored=12_345_608, lost=50, rejected=20)
    made.accepted, made.dropped, made.duplicates = 12_345_678, 3, 9
    made.reasons, made.source = {"entry_level": 15, "by the sender": 5}, "web"
    made.seen = 1_763_800_000_000_000_000 + number
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@pytest.fixture
def ledger(tmp_path, monkeypatch, capsys):
    """Run the command over these producers: exit code, output, errors."""

    def run(streams, *options):
        path = tmp_path / "logs.db"
        monkeypatch.setenv("PIPELINE_STORAGE__DB_PATH", str(path))
        writer = Writer(path)
        writer.commit([], streams, [], [], now=1)
        writer.close()
        code = main(["ledger", *options])
        shown = capsys.readouterr()
        return code, shown.out.splitlines(), shown.err

    return run


def test_the_table_says_what_became_of_all(ledger):
    """In columns, with the reasons of what was rejected."""
    code, lines, errors = ledger([stream(1, finished=True)])

    assert (code, errors) == (0, "")
    head, row, sums = lines
    assert head.split() == [
        *("producer", "kind", "source", "produced", "stored", "rejected"),
        *("lost", "dropped", "duplicates", "last", "seen"),
    ]
    assert row.split()[:10] == [
        *("0" * 31 + "1", "session", "web", "12,345,681", "12,345,608", "20"),
        *("50", "3", "9", "2025-11-22T08:26:40"),
    ]
    assert row.endswith("finished  rejected: entry_level 15, by the sender 5")
    assert sums.split()[:5] == ["all", "session", "1", "producers", "12,345,681"]
    assert row.index("12,345,681") == sums.index("12,345,681")


def test_a_producer_that_does_not_balance_is_an_error(ledger):
    """Said in its row and at the end."""
    code, lines, errors = ledger([stream(1), stream(2, lost=51)])

    assert code == 1
    assert errors == "pipeline ledger: 1 of 2 producers do not balance\n"
    assert ["DOES NOT BALANCE" in line for line in lines[1:3]] == [True, False]


def test_files_and_plain_messages_say_what_is_known_of_them(ledger):
    """Bytes of the one; that nothing is known beyond arrival of the other."""
    file = stream(1, kind="file", accepted=65_536, lost=64)
    plain = stream(2, kind="plain", accepted=12_345_658)
    code, lines, _ = ledger([file, plain])

    assert code == 0
    assert "65,536 bytes, 64 lost" in lines[2]
    assert lines[-1] == "plain: not acknowledged; only what arrived is known"


def test_the_newest_are_shown_and_the_others_counted(ledger):
    """Unless all are asked for, or one."""
    streams = [stream(number) for number in range(1, 26)]
    _, lines, _ = ledger(streams)
    assert lines[1].startswith(f"{25:032x}")
    assert lines[-1] == "and 5 more, which --all shows"

    assert len(ledger(streams, "--all")[1]) == 27
    _, lines, _ = ledger(streams, "--producer", f"{7:032X}")
    assert [line.split()[0] for line in lines[1:]] == [f"{7:032x}", "all"]


def test_json_is_the_gateway_s(ledger):
    """The same names and values as `get_ledger`."""
    _, lines, _ = ledger([stream(1), stream(2)], "--json")
    found = msgspec.convert(json.loads("\n".join(lines)), LedgerResult)

    assert [account.produced for account in found.producers] == [12_345_681] * 2
    assert found.balanced
    names = {field.name for field in fields(Ledger)}
    assert names == set(LedgerResult.__struct_fields__)


def test_a_source_can_not_command_the_terminal(ledger):
    """Its sender chose it."""
    _, lines, _ = ledger([stream(1, source="\x1b[2J\na" + "b" * 100)])

    assert "\x1b" not in "".join(lines)
    assert "?[2J?abbb" in lines[1]
    assert len(lines) == 3


def test_forgotten_producers_are_in_the_sums(ledger, tmp_path):
    """Which say of how many that is."""
    ledger([stream(1), stream(2)])
    writer = Writer(tmp_path / "logs.db")
    writer.commit([], [], [], [stream(1).producer], now=1)
    writer.close()
    _, lines, _ = ledger([])

    assert len(lines) == 3
    assert lines[2].split()[:5] == ["all", "session", "2", "producers", "24,691,362"]
    assert lines[2].endswith("1 forgotten")


def test_what_is_no_producer_is_told(ledger, capsys):
    """Exit code 2, as for other wrong options."""
    with pytest.raises(SystemExit) as caught:
        ledger([], "--producer", "abc")

    assert caught.value.code == 2
    assert "expected 32 hex digits" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"no database" * 1000])
def test_without_a_database_it_says_so(tmp_path, monkeypatch, capsys, content):
    """One line; and not the exit code of a producer that does not balance."""
    if content is not None:
        (tmp_path / "none.db").write_bytes(content)
    monkeypatch.setenv("PIPELINE_STORAGE__DB_PATH", str(tmp_path / "none.db"))
    assert main(["ledger"]) == 2

    error = capsys.readouterr().err
    assert "none.db can't be read" in error
    assert error.count("\n") == 1


def test_help_says_what_the_exit_codes_mean(capsys):
    """Scripts ask for them."""
    with pytest.raises(SystemExit):
        main(["ledger", "--help"])

    shown = " ".join(capsys.readouterr().out.split())
    assert "1 when a producer does not balance, 2 when there is no database" in shown
