"""Channels are complete before anything starts, and their secrets are not shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pipeline.analyzer
from pipeline.analyzer.channels.config import NEEDS, read_channels
from pipeline.errors import ConfigError
from pipeline.settings import load
from pipeline.settings.alerts import Channel

ENVIRON = {"HOOK": "https://example.org/T0P/S3CR3T", "TOKEN": "S3CR3T"}
MAIL = Channel(type="email", host="h", sender="a@b", to=("c@d",))


def test_names_and_sections_stand_beside_each_other(tmp_path: Path) -> None:
    """In a file of settings; keys that have no value have their defaults."""
    path = tmp_path / "c.yaml"
    path.write_text(
        "alerts:\n  channels:\n    - console\n    - type: slack\n"
        "      url: ${HOOK}\n      name: ops\n"
    )
    given = load(path).alerts.channels
    console, slack = read_channels(given, ENVIRON)

    assert (console.type, console.name) == ("console", "console")
    assert (slack.name, slack.url) == ("ops", ENVIRON["HOOK"])
    assert "S3CR3T" not in repr(given)


def test_a_secret_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    """Without the line's end."""
    (tmp_path / "hook").write_text("https://example.org/x\n")
    given = Channel(type="discord", url=f"file:{tmp_path}/hook")

    assert read_channels([given], {})[0].url == "https://example.org/x"


def test_a_reference_may_be_a_part() -> None:
    """As in a header."""
    headers = {"Authorization": "Bearer ${TOKEN}", "X-Team": "ops"}
    given = Channel(type="webhook", url="http://h/", headers=headers)

    read = read_channels([given], ENVIRON)[0].headers
    assert read == {"Authorization": "Bearer S3CR3T", "X-Team": "ops"}


WRONG = [
    ("pager", "alerts.channels: no channel 'pager'; expected console, file"),
    (Channel(type="webhook"), "[0].url: is missing, and webhook needs it"),
    (Channel(type="file"), "[0].path: is missing"),
    (Channel(type="file", path="/nowhere/a"), "[0].path: /nowhere is no folder"),
    (Channel(type="file", path="/"), "[0].path: / is a folder"),
    (Channel(type="email", host="h", sender="a@b"), "[0].to: is missing"),
    (Channel(type="slack", url="https://h/S3CR3T"), "[0].url: is a secret that stands"),
    (Channel(type="apprise", url="json://S3CR3T@h"), "[0].url: is a secret"),
    (Channel(type="webhook", url="https://u:S3CR3T@h/"), "[0].url: is a secret"),
    (Channel(type="webhook", url="ftp://S3CR3T/"), "[0].url: is no URL"),
    (Channel(type="webhook", url="http://S3CR3T:x/"), "[0].url: is no URL"),
    (Channel(type="webhook", url="http://h/\r\nS3CR3T"), "[0].url: is no URL"),
    (Channel(type="slack", url="${TOKEN}"), "[0].url: is no URL"),
    (Channel(type="slack", url="${GONE}"), "[0].url: the environment has no GONE"),
    (Channel(type="slack", url="file:/nowhere"), "/nowhere: No such file"),
    (Channel(type="slack", url="file:/dev/null"), "/dev/null is empty"),
    (
        Channel(type="webhook", url="http://h/", headers={"X-Api-Key": "S3CR3T"}),
        "[0].headers.X-Api-Key: is a secret",
    ),
    (
        Channel(type="webhook", url="http://h/", headers={"X-A": "a\nS3CR3T"}),
        "[0].headers.X-A: has characters",
    ),
    (
        Channel(type="webhook", url="http://h/", headers={"X A": "b"}),
        "[0].headers.X A: is no header",
    ),
]


@pytest.mark.parametrize(("given", "problem"), WRONG)
def test_what_is_wrong_is_named_and_no_secret_shown(
    given: str | Channel, problem: str
) -> None:
    """The key, the problem, and what would be right."""
    with pytest.raises(ConfigError) as raised:
        read_channels([given], ENVIRON)

    assert problem in str(raised.value)
    assert "S3CR3T" not in str(raised.value)


def test_two_channels_need_two_names() -> None:
    """An entry says which of them did not deliver."""
    with pytest.raises(ConfigError, match="two channels are called 'file'"):
        read_channels([Channel(type="file", path=path) for path in "ab"], {})


def test_a_password_goes_through_no_open_line() -> None:
    """But to a server on this machine."""
    safe = Channel(**{**_keys(MAIL), "user": "u", "password": "${TOKEN}"})
    bare = Channel(**{**_keys(safe), "encryption": "none"})
    here = Channel(**{**_keys(bare), "host": "localhost"})
    read_channels([safe], ENVIRON)
    read_channels([here], ENVIRON)

    with pytest.raises(ConfigError, match=r"encryption: none would show the password"):
        read_channels([bare], ENVIRON)


@pytest.mark.parametrize("given", ["hunter2", "[hunter2]"])
def test_a_password_in_the_file_is_refused_and_not_shown(
    tmp_path: Path, given: str
) -> None:
    """It must be a reference."""
    path = tmp_path / "c.yaml"
    path.write_text(f"alerts: {{channels: [{{type: email, password: {given}}}]}}")
    with pytest.raises(ConfigError) as raised:
        load(path)

    assert "alerts.channels[0].password: what is given is not" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def _keys(channel: Channel) -> dict[str, object]:
    return {name: getattr(channel, name) for name in Channel.__dataclass_fields__}


def test_the_example_of_the_page_is_complete(tmp_path: Path) -> None:
    """One channel of each type, with every reference that it has."""
    page = Path(pipeline.analyzer.__file__).parent / "CHANNELS.md"
    (example,) = re.findall(r"```yaml\n(.*?)```", page.read_text(), re.S)
    (tmp_path / "c.yaml").write_text(example)
    names = re.findall(r"\$\{(\w+)\}", example)
    environ = dict.fromkeys(names, "https://example.org/x")
    read = read_channels(load(tmp_path / "c.yaml").alerts.channels, environ)

    assert [channel.type for channel in read] == list(NEEDS)
