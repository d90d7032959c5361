"""A pipeline with an analyzer that tells a real HTTP server."""

from __future__ import annotations

import http.server
import json
import threading
import time

from pipeline import control
from tests.end_to_end.running import Pipeline

WINDOW = 4
"""Seconds of the sliding window of these tests."""

SECONDS = 30
"""A busy machine gets this long; what is measured against a limit says so."""


class Hook:
    """A real HTTP server that keeps what is posted to it, and when."""

    def __init__(self):
        self.posts = []
        self.on_post = lambda: None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.posts.append((time.time(), json.loads(body)))
                outer.on_post()
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                """Nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def events(self):
        """What the posts told."""
        return [body["event"] for _, body in self.posts]

    def close(self):
        """End it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Watched(Pipeline):
    """Ingester, gateway and analyzer."""

    def __init__(self, hook, **alerts):
        super().__init__()
        self.config = self.path / "pipeline.yaml"
        self.environ["PIPELINE_COLLECTOR__SPOOL_DIR"] = str(self.path / "spool")
        self.hook = hook
        self.configure(**alerts)

    def configure(self, **alerts):
        """Write the configuration that the analyzer reads."""
        settings = {
            "error_spike_threshold": 20,
            "error_spike_window": WINDOW,
            "group_wait_seconds": 0.3,
            "cooldown_seconds": 0.0,
            "channels": ["console", {"type": "webhook", "url": self.hook.url}],
            **alerts,
        }
        self.config.write_text(json.dumps({"alerts": settings}))

    def start_all(self):
        """All three; the analyzer has asked the store when this returns."""
        self.start("ingester", "gateway").wait_until_ready()
        self.start_analyzer()
        return self

    def start_analyzer(self):
        """And wait until it judges."""
        self.processes["analyzer"] = self.process("analyzer", f"--config={self.config}")
        self.until(lambda: self.status()["ready"], "the analyzer to be ready")

    def status(self):
        """What the analyzer's control socket says."""
        endpoint = control.analyzer_endpoint_of(str(self.database))
        return control.Client(endpoint).status()

    def errors(self, count, source="api", message="request 7 failed", **fields):
        """Log errors in one call; the time when they were durable."""
        log = {"source": source, "level": "ERROR", "message": message, **fields}
        assert self.result("log_batch", logs=[log] * count)["accepted"] == count
        return time.time()

    def said(self):
        """All that the analyzer said."""
        return self.processes["analyzer"].lines

    def lines(self):
        """What the console channel said."""
        return [line for line in self.said() if line.startswith("alert:")]

    def events(self, *kinds):
        """Metadata of stored alert entries of these kinds, oldest first."""
        stored = [entry["metadata"] for entry in self.logs(sources=["alerts"])]
        return [one for one in stored if not kinds or one["event"] in kinds]

    def kinds(self):
        """What happened to alerts, in order."""
        return [one["event"] for one in self.events()]

    def until(self, done, what):
        """Wait for it; the value."""
        end = time.monotonic() + SECONDS
        while not (value := done()):
            assert time.monotonic() < end, f"no {what}: {self.said()}"
            time.sleep(0.05)
        return value
