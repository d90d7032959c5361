"""Images, manifests, rotation and Procfile: what they run is there and is right."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "config" / "deploy"
DOCKERFILE = (DEPLOY / "docker" / "Dockerfile").read_text()
MANIFESTS = list(
    yaml.safe_load_all((DEPLOY / "kubernetes" / "pipeline.yaml").read_text())
)
(SET,) = [each for each in MANIFESTS if each["kind"] == "StatefulSet"]
POD = SET["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
STOP_SECONDS = 50
"""`up` gives each of its processes 10, and there are four."""


def test_the_image_copies_what_is_there_and_runs_as_nobody():
    """Without root, with a check of its health and the signal that stops it."""
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M)
    sources = [source for words in copied for source in words.split()]

    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.M)
    assert "STOPSIGNAL SIGTERM" in DOCKERFILE
    assert CONTAINER["image"].startswith("recursive-log-pipeline")


def test_probes_of_docker_and_kubernetes_are_python_that_compiles():
    """The same question: an image needs no curl."""
    (words,) = re.findall(r"^    CMD (\[.+\])$", DOCKERFILE, re.M)
    commands = [ast.literal_eval(words)]
    commands += [
        CONTAINER[probe]["exec"]["command"]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    ]
    for command in commands:
        assert command[:2] == ["python", "-c"]
        compile(command[2], "probe", "exec")
    assert [re.findall("/health/\\w+", command[2]) for command in commands] == [
        *([["/health/ready"]] * 3),
        ["/health/live"],
    ]


@pytest.mark.parametrize("place", ["docker", "kubernetes"])
def test_the_configurations_are_right(place, tmp_path):
    """As `pipeline config check` sees them."""
    config = tmp_path / "config.yaml"
    if place == "docker":
        config.write_text((DEPLOY / "docker" / "config.yaml").read_text())
    else:
        (about,) = [each for each in MANIFESTS if each["kind"] == "ConfigMap"]
        config.write_text(about["data"]["config.yaml"])
    words = [sys.executable, "-m", "pipeline", "config", "check", "--config"]
    done = subprocess.run([*words, str(config)], capture_output=True, check=False)

    assert done.returncode == 0, done.stderr


def test_whoever_stops_it_waits_long_enough():
    """Or what is on its way would have to be sent again."""
    compose = yaml.safe_load((DEPLOY / "docker" / "compose.yaml").read_text())
    unit = (DEPLOY / "systemd" / "recursive-log-pipeline.service").read_text()
    (systemd,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.M)
    (docker,) = [each["stop_grace_period"] for each in compose["services"].values()]
    seconds = (int(systemd), int(docker.rstrip("s")))

    assert min(*seconds, POD["terminationGracePeriodSeconds"]) >= STOP_SECONDS


def test_a_pod_has_no_rights_and_one_writer():
    """What the strictest of Kubernetes' standards asks."""
    rights = CONTAINER["securityContext"]

    assert SET["spec"]["replicas"] == 1
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert rights["allowPrivilegeEscalation"] is False
    assert rights["readOnlyRootFilesystem"] is True
    assert rights["capabilities"] == {"drop": ["ALL"]}
    claims = SET["spec"]["volumeClaimTemplates"]
    named = {claim["metadata"]["name"] for claim in claims}
    named |= {volume["name"] for volume in POD["volumes"]}
    assert {mount["name"] for mount in CONTAINER["volumeMounts"]} <= named


@pytest.mark.requires_tool("logrotate")
def test_logrotate_loses_no_line_of_a_process_that_goes_on(tmp_path):
    """It writes on into the same file, which was copied and emptied."""
    text = (DEPLOY / "logrotate" / "recursive-log-pipeline").read_text()
    text = re.sub(r"^    su .*\n", "", text, flags=re.M)
    file, config = tmp_path / "up.log", tmp_path / "logrotate.conf"
    config.write_text(text.replace("/var/log/recursive-log-pipeline", str(tmp_path)))
    config.chmod(0o644)
    words = ["logrotate", "--force", "--state", str(tmp_path / "state"), str(config)]
    with file.open("ab") as log:
        log.write(b"before\n")
        log.flush()
        done = subprocess.run(words, capture_output=True, check=False)
        log.write(b"after\n")

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "up.log.1").read_text() == "before\n"
    assert file.read_text() == "after\n"


def test_honcho_starts_and_stops_the_procfile(tmp_path):
    """All processes, from the root of the repository."""
    environ = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PIPELINE_SERVER__PORT": "0",
        "PIPELINE_INGEST__ENDPOINT": f"ipc://{tmp_path}/i",
        "PIPELINE_PUBLISH__ENDPOINT": f"ipc://{tmp_path}/o",
        "PIPELINE_STORAGE__DB_PATH": f"{tmp_path}/logs.db",
        "PYTHONUNBUFFERED": "1",
    }
    names = {"ingester", "gateway", "analyzer", "collector"}
    with subprocess.Popen(
        [sys.executable, "-m", "honcho", "start", "--no-prefix"],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        seen: set[str] = set()
        for line in process.stdout:
            seen |= {name for name in names if line.startswith(f"{name} ready")}
            if seen == names:
                break
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=30)

    assert seen == names, rest
