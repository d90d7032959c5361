"""What goes early, by source and level."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from pipeline.entry import Entry
from pipeline.errors import ConfigError
from pipeline.ingester.retention.elapsed import DAY
from pipeline.ingester.retention.rules import check, filters, orders
from pipeline.settings.model import Compaction, Settings
from pipeline.settings.storage import RetentionRule, Storage
from tests.query.stores import Asker, append


class Block(NamedTuple):
    """What of a block counts here."""

    last: int


def test_the_first_rule_that_fits_counts(tmp_path) -> None:
    """A longer time for one source stands before a shorter one for all."""
    rows = [
        Entry(at, source, level, f"{source} {level}", {}, [], None)
        for at, (source, level) in enumerate(
            [("auth", 5), ("web-1", 5), ("web-2", 9), ("auth", 9), ('a"b\\', 5)]
        )
    ]
    append(tmp_path / "logs.db", [[(0, rows)]])
    store = Asker(tmp_path / "logs.db")
    found = [
        {row["message"] for row in store.ask("query", q=text)["logs"]}
        for text in filters(
            [
                RetentionRule("auth", "DEBUG", "9d"),
                RetentionRule('a"b\\', "", "8d"),
                RetentionRule("", "DEBUG", "2d"),
                RetentionRule("web-*", "", "3d"),
            ]
        )
    ]

    assert found == [{"auth 5"}, {'a"b\\ 5'}, {"web-1 5"}, {"web-2 9"}]


def test_a_rule_goes_up_to_the_newest_block_of_its_age() -> None:
    """And is silent while no block has it."""
    rules = [RetentionRule("", "DEBUG", "2d"), RetentionRule("web", "", "20d")]

    assert orders(rules, [Block(4), Block(9)], [3 * DAY, DAY]) == [
        {"q": "level:DEBUG", "up_to": 4}
    ]
    assert orders(rules, [Block(4)], [DAY]) == []


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (RetentionRule("", "", "2d"), "neither source nor level"),
        (RetentionRule("", "DEBUG", "30d"), "no shorter than storage.max_days"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule: RetentionRule, text: str) -> None:
    """With its place and what would be right."""
    rules = (RetentionRule("", "DEBUG", "2d"), rule)
    with pytest.raises(ConfigError, match=text) as told:
        check(Settings(storage=Storage(rules=rules, max_days=30)))

    assert "storage.rules[1]" in str(told.value)


def test_rules_that_nobody_would_carry_out_are_refused() -> None:
    """Without compaction no block is written anew."""
    storage = Storage(rules=(RetentionRule("", "DEBUG", "2d"),))
    with pytest.raises(ConfigError, match="are carried out by compaction"):
        check(Settings(storage=storage, compaction=Compaction(enabled=False)))
