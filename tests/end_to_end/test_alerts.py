"""Alerts on real processes: from entries to console, webhook and store, and back."""

from __future__ import annotations

import http.server
import json
import threading
import time

import pytest

from pipeline import control
from tests.end_to_end.running import Pipeline

WINDOW = 4
"""Seconds of the sliding window of these tests."""

SECONDS = 30
"""A busy machine gets this long; what is measured against a limit says so."""


class Hook:
    """A real HTTP server that keeps what is posted to it."""

    def __init__(self):
        self.posts = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.posts.append((time.time(), json.loads(body)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                """Nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self):
        """End it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def hook():
    """A webhook."""
    hook = Hook()
    yield hook
    hook.close()


class Watched(Pipeline):
    """A pipeline with an analyzer that tells a webhook."""

    def __init__(self, hook, *, window=WINDOW, **alerts):
        super().__init__()
        self.config = self.path / "pipeline.yaml"
        self.environ["PIPELINE_COLLECTOR__SPOOL_DIR"] = str(self.path / "spool")
        self.hook = hook
        self.configure(window=window, **alerts)

    def configure(self, *, window=WINDOW, threshold=20, **alerts):
        """Write the configuration that the analyzer reads."""
        channels = ["console", {"type": "webhook", "url": self.hook.url}]
        settings = {
            "error_spike_threshold": threshold,
            "error_spike_window": window,
            "group_wait_seconds": 0.3,
            "cooldown_seconds": 0.0,
            "channels": channels,
            **alerts,
        }
        self.config.write_text(json.dumps({"alerts": settings}))

    def start(self, *names):
        """The analyzer has the configuration, and has asked the store."""
        super().start(*(name for name in names if name != "analyzer"))
        if "gateway" in names:
            self.wait_until_ready()
        if "analyzer" in names:
            self.start_analyzer()
        return self

    def start_analyzer(self):
        """And wait until it judges."""
        self.processes["analyzer"] = self.process("analyzer", f"--config={self.config}")
        self.until(lambda: self.status()["ready"])

    def status(self):
        """What the analyzer's control socket says."""
        endpoint = control.analyzer_endpoint_of(str(self.database))
        return control.Client(endpoint).status()

    def errors(self, count, source="api", message="request 7 failed"):
        """Log errors in one call; when they were durable."""
        logs = [{"source": source, "level": "ERROR", "message": message}] * count
        assert self.result("log_batch", logs=logs)["accepted"] == count
        return time.time()

    def lines(self):
        """What the console channel said."""
        said = self.processes["analyzer"].lines
        return [line for line in said if line.startswith("alert:")]

    def events(self, *kinds):
        """Stored alert entries of these kinds, oldest first."""
        stored = [entry["metadata"] for entry in self.logs(sources=["alerts"])]
        return [one for one in stored if not kinds or one["event"] in kinds]

    def until(self, done, what=""):
        """Wait for it; the value."""
        end = time.monotonic() + SECONDS
        while not (value := done()):
            assert time.monotonic() < end, (what, self.processes["analyzer"].lines)
            time.sleep(0.05)
        return value


@pytest.fixture
def watched(hook):
    """Ingester, gateway and analyzer."""
    pipeline = Watched(hook)
    try:
        yield pipeline.start("ingester", "gateway", "analyzer")
    finally:
        pipeline.close()


def test_a_burst_is_told_once_everywhere(watched, hook):
    """One line, one POST, one entry; its query replays the 20; then it is over."""
    logged = watched.errors(20)
    watched.until(lambda: hook.posts, "a POST")
    (opened,) = watched.until(lambda: watched.events("opened"), "an entry")
    at, posted = hook.posts[0]
    replayed = watched.logs(
        q=opened["query"], since=opened["query_since"], until=opened["query_until"]
    )

    assert at - logged <= WINDOW + 2
    assert posted["fingerprint"] == opened["fingerprint"]
    assert opened["value"] == opened["threshold"] == 20
    assert [entry["message"] for entry in replayed] == ["request 7 failed"] * 20
    assert {one["id"] for one in opened["samples"]} < {one["id"] for one in replayed}
    assert len(opened["samples"]) == 5
    assert opened["patterns"] == [{"pattern": "request <*> failed", "count": 20}]
    (line,) = watched.lines()
    assert "20 errors of api" in line

    watched.until(lambda: watched.events("resolved"), "its end")
    watched.until(lambda: len(hook.posts) == 2, "a second POST")
    time.sleep(1)
    assert [one["event"] for one in watched.events()] == ["opened", "resolved"]
    assert len(watched.lines()) == len(hook.posts) == 2


def test_nineteen_are_none(watched, hook):
    """Nor are 19 twice, a window apart."""
    watched.errors(19)
    time.sleep(WINDOW + 1)
    watched.errors(19)
    time.sleep(WINDOW + 1)

    assert watched.events() == hook.posts == watched.lines() == []
