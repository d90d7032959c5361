"""`pipeline collect`: what is collected, and what is said about wrong settings."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

import pytest

from pipeline.cli import collect, main
from pipeline.errors import ConfigError
from pipeline.settings import Settings, load
from pipeline.settings.model import Collect, Files


def parse(*words: str) -> Namespace:
    """The command line."""
    parser = ArgumentParser()
    collect.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture
def configured() -> Settings:
    """Files and a collector in the environment."""
    return load(
        None,
        {
            "PIPELINE_COLLECT__FILES": "[{paths: [a.log], source: web}]",
            "PIPELINE_COLLECT__COLLECTORS": "[{class: 'a.b:C'}]",
        },
    )


def test_without_files_the_configured_ones_are_collected(configured):
    """And the collectors of the configuration are run."""
    found = collect.collected(configured, parse().files)

    assert found == configured.collect
    assert found.collectors


def test_files_given_stand_for_all_that_is_configured(configured):
    """They are for a look at something else."""
    given = parse("--source", "db", "x.log", "y*.log")

    assert collect.collected(configured, given.files, given.source) == Collect(
        files=(Files(paths=("x.log", "y*.log"), source="db"),)
    )


def test_a_source_alone_is_refused(configured):
    """It would be ignored."""
    with pytest.raises(ConfigError, match="--source: is for files given here"):
        collect.collected(configured, [], "web")


@pytest.mark.parametrize(
    ("files", "error"),
    [
        (
            "[{paths: [a], tags: [" + ", ".join("abcdefgh" * 9) + "]}]",
            "pipeline collect: collect.files[0].tags: 72 tags;"
            " expected at most 64 tags\n",
        ),
        (
            "[{paths: [a], formatt: json}]",
            "pipeline collect: collect.files[0].formatt: unknown key (environment, "
            "PIPELINE_COLLECT__FILES); expected collect.files[0].format\n",
        ),
    ],
)
def test_what_is_wrong_is_one_line(files, error, monkeypatch, capsys):
    """Exit code 2, before anything is connected."""
    monkeypatch.setenv("PIPELINE_COLLECT__FILES", files)

    assert main(["collect"]) == 2
    assert capsys.readouterr().err == error


def test_a_collector_that_there_is_not_is_one_line(monkeypatch, capsys):
    """It names the setting."""
    monkeypatch.setenv("PIPELINE_COLLECT__COLLECTORS", "[{class: 'nobody.here:C'}]")

    assert main(["collect"]) == 2
    assert "nobody.here:C: ModuleNotFoundError" in capsys.readouterr().err
