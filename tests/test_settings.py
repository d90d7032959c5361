"""Settings: where they come from, and what is said about wrong ones."""

from __future__ import annotations

import dataclasses
import inspect
import json
from pathlib import Path

import pytest
import yaml

from pipeline.collectors.collector import Collector
from pipeline.errors import ConfigError
from pipeline.settings import Settings, load
from pipeline.settings.generate import listing, schema
from pipeline.settings.keys import keys
from pipeline.settings.model import CollectorLimits, Files, Plugged

CONFIG = Path(__file__).parents[1] / "config"


@pytest.fixture
def write(tmp_path: Path):
    """Write a configuration file and return its path."""

    def _write(text: str | bytes) -> Path:
        path = tmp_path / "given.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return _write


def test_without_anything_the_defaults_hold():
    """No file is needed: the defaults live in the types."""
    assert load() == Settings()


@pytest.mark.parametrize("name", ["default.yaml", "recursive.yaml"])
def test_the_shipped_files_state_the_defaults(name):
    """Both files that come with the project load, and change nothing."""
    assert load(CONFIG / name) == Settings()


def test_the_listing_of_defaults_is_that_of_the_model():
    """`make config` was run after the last change of the model."""
    assert (CONFIG / "default.yaml").read_text() == listing()


def test_the_schema_is_that_of_the_model():
    """`make config` was run after the last change of the model."""
    assert (CONFIG / "schema.json").read_text() == schema()


def test_the_listing_names_every_key():
    """A file with every key, each of the right type, is what the listing is."""
    named = yaml.safe_load(listing())

    assert named == json.loads(json.dumps(dataclasses.asdict(Settings())))


def test_the_schema_describes_every_key():
    """Each key is a property with meaning and default; others are not allowed."""
    root = json.loads(schema())
    for path, key in keys().items():
        node = root
        for name in path.split("."):
            assert node["additionalProperties"] is False
            node = node["properties"][name]
        assert node["description"] == key.meaning
        assert node["default"] == json.loads(json.dumps(key.default))


def test_files_merge_deeply(write):
    """A file that names one key of a section leaves its neighbours alone."""
    got = load(write("collectors:\n  recursive_http: {capture_body: true}\n"))

    assert got.collectors.recursive_http.capture_body is True
    assert got.collectors.recursive_http.ignore_paths == (
        "/health",
        "/favicon.ico",
        "/static",
    )
    assert got.server == Settings().server


def test_a_list_in_a_file_replaces_the_default(write):
    """Lists are values: they are not joined."""
    got = load(write("alerts: {channels: []}"))

    assert got.alerts.channels == ()


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "server:\n", "server:\n  # port\n"]
)
def test_nothing_given_is_no_error(write, text):
    """Empty files, and sections whose keys are commented out, set nothing."""
    assert load(write(text)) == Settings()


def test_the_environment_comes_after_the_file(write):
    """PIPELINE_, section, two underscores, key."""
    got = load(write("server: {port: 1}"), {"PIPELINE_SERVER__PORT": "2"})

    assert got.server.port == 2


def test_flags_come_last():
    """A flag that was not given (None) changes nothing."""
    environ = {"PIPELINE_SERVER__PORT": "2", "PIPELINE_SERVER__HOST": "::1"}
    got = load(None, environ, {"server.port": "3", "server.host": None})

    assert (got.server.port, got.server.host) == (3, "::1")


@pytest.mark.parametrize(
    ("name", "text", "section", "key", "expected"),
    [
        ("STORAGE__DB_PATH", "/x y.db", "storage", "db_path", "/x y.db"),
        ("SERVER__AUTO_START", "off", "server", "auto_start", False),
        ("SERVER__AUTO_START", "True", "server", "auto_start", True),
        ("QUERY__TIMEOUT_SECONDS", "2", "query", "timeout_seconds", 2.0),
        ("ALERTS__CHANNELS", "console, x", "alerts", "channels", ("console", "x")),
        ("ALERTS__CHANNELS", "['a,b']", "alerts", "channels", ("a,b",)),
        ("ALERTS__CHANNELS", "", "alerts", "channels", ()),
    ],
)
def test_the_environment_is_read_by_the_type_of_the_key(
    name, text, section, key, expected
):
    """Numbers, truth values and lists are written as one would."""
    got = load(None, {f"PIPELINE_{name}": text})

    assert getattr(getattr(got, section), key) == expected


def test_keys_of_the_top_level_and_of_deep_sections_have_variables_too():
    """Every key can be set from the environment."""
    environ = {
        "PIPELINE_PROJECT_NAME": "mine",
        "PIPELINE_COLLECTORS__RECURSIVE_HTTP__CAPTURE_BODY": "1",
    }
    got = load(None, environ)

    assert got.project_name == "mine"
    assert got.collectors.recursive_http.capture_body is True


def test_variables_of_the_processes_are_not_settings():
    """Without two underscores a name is only taken when it is a key."""
    assert load(None, {"PIPELINE_READY_FD": "7"}) == Settings()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "server:\n  prot: 1\n",
            "server.prot: unknown key (FILE line 2); expected server.port",
        ),
        ("sevrer: {}", "sevrer: unknown key (FILE line 1); expected server"),
        ("port: 1", "port: unknown key (FILE line 1); expected server.port"),
        (
            "alerts:\n  zzz: 1",
            "alerts.zzz: unknown key (FILE line 2); expected one of "
            "alerts.detectors, alerts.enabled, alerts.error_spike_threshold, "
            "alerts.error_spike_window",
        ),
        ("8888: x", "8888: unknown key (FILE line 1); expected one of"),
        (
            "server: {port: abc}",
            "server.port: 'abc' is a text (FILE line 1); "
            "expected a whole number from 0 to 65535, like 8888",
        ),
        ("server: {port: true}", "server.port: True is a truth value"),
        ("server: {port: 70000}", "server.port: 70000 is not allowed"),
        ("server: {port: }", "server.port: nothing (FILE line 1)"),
        ("server: 5", "server: 5 is not a section (FILE line 1)"),
        ("server: {auto_start: 'yes'}", "server.auto_start: 'yes' is a text"),
        ("alerts: {channels: console}", "alerts.channels: 'console' is a text"),
        ("alerts: {channels: [1]}", "alerts.channels[0]: 1 is neither a text nor"),
        ("query: {timeout_seconds: .nan}", "query.timeout_seconds: nan is not allowed"),
        (
            "storage: {durability: dsik}",
            "storage.durability: 'dsik' is not allowed (FILE line 1); "
            "expected one of disk, process",
        ),
        ("ingest: {endpoint: 'udp://x:1'}", "ingest.endpoint: 'udp://x:1' is not"),
        ("publish: {endpoint: 'tcp://127.0.0.1:5555'}", "is ingest.endpoint too"),
        ("server: {}\nserver: {}", "server: stands twice (FILE lines 1 and 2)"),
        ("a: [\n  1\n", "FILE line 3: "),
        ("a: \x01", "FILE: unacceptable character"),
        ("collect: {files: app.log}", "collect.files: 'app.log' is a text"),
        (
            "collect:\n  files:\n  - paths: [a.log]\n  - app.log\n",
            "collect.files[1]: 'app.log' is not a section (FILE line 4); expected keys",
        ),
        (
            "collect:\n  files:\n  - paths: [a.log]\n    pahts: []\n",
            "collect.files[0].pahts: unknown key (FILE line 4); "
            "expected collect.files[0].paths",
        ),
        (
            "collect:\n  files:\n  - source: web\n",
            "collect.files[0].paths: is missing (FILE line 3); "
            "expected a list of texts, like ['/var/log/app/*.log']",
        ),
        ("collect: {files: [{paths: []}]}", "collect.files[0].paths: [] is not"),
        ("collect: {files: [{paths: ['']}]}", "collect.files[0].paths: '' is not"),
        (
            "collect: {files: [{paths: [a], format: xml}]}",
            "collect.files[0].format: 'xml' is not allowed (FILE line 1); "
            "expected one of auto, json, logfmt, plain",
        ),
        (
            f"collect: {{files: [{{paths: [a], source: {'é' * 200}}}]}}",
            "expected a text of at most 256 bytes, like web",
        ),
        (
            "collect: {files: [{paths: [a], paths: [b]}]}",
            "collect.files[0].paths: stands twice (FILE lines 1 and 1)",
        ),
        (
            "collect: {collectors: [{class: 'no path'}]}",
            "collect.collectors[0].class: 'no path' is not allowed (FILE line 1); "
            "expected a text, like package.module:Class",
        ),
        (
            "collect: {collectors: [{class: a.b, options: [1]}]}",
            "collect.collectors[0].options: [1] is a list (FILE line 1); "
            "expected a section, like {name: value}",
        ),
        ("- 1", "FILE: holds no keys"),
        ("a: 1\n---\nb: 2\n", "FILE line 2: "),
        ("a: " + "[" * 5000, "FILE: "),
        ("a: !!python/object:x {}", "FILE line 1: "),
        (b"\xff", "FILE: byte 0 is not UTF-8"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(write, text, error):
    """Path, problem, place, and what would be right."""
    path = write(text)
    with pytest.raises(ConfigError) as caught:
        load(path)

    assert error.replace("FILE", str(path)) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    """The path as it was given."""
    with pytest.raises(ConfigError, match=r"none\.yaml: No such file"):
        load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("environ", "error"),
    [
        (
            {"PIPELINE_SERVER__PROT": "1"},
            "server.prot: unknown key (environment, PIPELINE_SERVER__PROT); "
            "expected server.port",
        ),
        (
            {"PIPELINE_SERVER__PORT": "8 8"},
            "server.port: '8 8' is a text (environment, PIPELINE_SERVER__PORT)",
        ),
        ({"PIPELINE_SERVER__AUTO_START": "2"}, "expected true or false"),
        ({"PIPELINE_ALERTS__CHANNELS": "["}, "environment, PIPELINE_ALERTS__CHANNELS"),
    ],
)
def test_what_is_wrong_in_the_environment_is_named(environ, error):
    """The variable stands in the message."""
    with pytest.raises(ConfigError) as caught:
        load(None, environ)

    assert error in str(caught.value)


def test_a_wrong_flag_is_named():
    """The option stands in the message."""
    with pytest.raises(ConfigError, match=r"server\.port: 'x' .* \(flag --port\)"):
        load(None, {}, {"server.port": "x"})


def test_a_list_of_sections_is_a_list_of_objects(write):
    """Each has the defaults of its kind for what it doesn't name."""
    text = """
collect:
  files:
  - paths: [/var/log/*.log, x.log]
    tags: [prod]
  - {paths: [y], start: end, exclude: []}
  collectors:
  - class: acme.sensors:Thermometer
    options: {device: /dev/tty0, deep: {every: [5]}}
"""
    got = load(write(text)).collect

    assert got.files == (
        Files(paths=("/var/log/*.log", "x.log"), tags=("prod",)),
        Files(paths=("y",), start="end", exclude=()),
    )
    options = {"device": "/dev/tty0", "deep": {"every": [5]}}
    assert got.collectors == (Plugged("acme.sensors:Thermometer", options),)


def test_a_list_of_sections_can_come_from_the_environment():
    """Written as YAML is in one line."""
    environ = {"PIPELINE_COLLECT__FILES": "[{paths: [a.log], source: web}]"}

    assert load(None, environ).collect.files == (Files(("a.log",), source="web"),)


def test_settings_cannot_be_changed():
    """A process sees one configuration from its start to its end."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        load().server.port = 1


def test_collector_settings_are_the_collectors_own():
    """Each is an argument of Collector, with the default that it has there."""
    arguments = inspect.signature(Collector).parameters

    assert dataclasses.asdict(CollectorLimits()) == {
        item.name: arguments[item.name].default
        for item in dataclasses.fields(CollectorLimits)
    }
