"""delete through a real gateway and ingester: what was shown goes, and nothing else."""

from __future__ import annotations

import time

import pytest

from pipeline.gateway.errors import INVALID_PARAMS, NOT_DONE
from tests.end_to_end.running import running


@pytest.fixture(scope="module")
def full():
    """Ten entries of each of two sources."""
    with running() as pipeline:
        for source in ("kept", "gone"):
            logs = [{"source": source, "message": f"secret {n}"} for n in range(10)]
            pipeline.result("log_batch", logs=logs)
        yield pipeline


def messages(pipeline, **params):
    """Of the entries that match."""
    return {log["message"] for log in pipeline.logs(**params)}


def test_what_the_dry_run_has_shown_goes(full):
    """And what came since stays, though it matches; an audit entry tells of it."""
    shown = full.result("delete", q="secret", sources=["gone"])
    full.result("log", source="gone", message="secret after the dry run")
    done = full.result(
        "delete",
        q="secret",
        sources=["gone"],
        dry_run=False,
        confirm=shown["confirm"],
    )

    assert (shown["dry_run"], shown["count"], shown["deleted"]) == (True, 10, 0)
    assert (done["dry_run"], done["count"], done["deleted"]) == (False, 10, 10)
    assert done["blocks_rewritten"] >= 1
    assert messages(full, sources=["gone"]) == {"secret after the dry run"}
    assert len(messages(full, sources=["kept"])) == 10
    end = time.monotonic() + 20
    while not (audit := full.logs(sources=["audit"])):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert audit[0]["metadata"]["deleted"] == 10
    assert audit[0]["metadata"]["by"] == "gateway"


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"q": "secret", "dry_run": False}, "confirm"),
        ({"q": "secret", "confirm": "x"}, "confirm"),
        ({"q": "secret", "dry_run": False, "confirm": "x"}, "confirm"),
        ({"dry_run": True}, "q"),
        ({"q": "secret | limit 5"}, "q"),
    ],
)
def test_a_delete_that_could_be_a_mistake(full, params, field):
    """It is refused, and nothing goes."""
    error = full.error("delete", **params)

    assert (error["code"], error["data"]["field"]) == (INVALID_PARAMS, field)
    assert len(messages(full, sources=["kept"])) == 10


def test_without_an_ingester():
    """It says so; a dry run still counts."""
    with running("ingester", "gateway") as pipeline:
        pipeline.wait_until_ready()
        pipeline.result("log", source="s", message="m")
        pipeline.stop("ingester")
        shown = pipeline.result("delete", q="m")
        error = pipeline.error("delete", q="m", dry_run=False, confirm=shown["confirm"])

        assert shown["count"] == 1
        assert error["code"] == NOT_DONE
        assert "no ingester answers" in error["data"]["problem"]
