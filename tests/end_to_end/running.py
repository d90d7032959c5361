"""A whole pipeline in processes of its own: what the end-to-end tests talk to."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

START_SECONDS = 30
STOP_SECONDS = 20

PYTHON = [sys.executable, "-X", "dev", "-W", "error"]


class Process:
    """One of the pipeline's processes; what it says is kept."""

    def __init__(self, name, environ, *flags):
        self.lines = []
        self._is_ready = False
        self._ready = threading.Event()
        self._process = subprocess.Popen(
            [*PYTHON, "-m", "pipeline", name, *flags],
            env=environ,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, args=(name,))
        self._reader.start()
        self._ready.wait(START_SECONDS)
        if not self._is_ready:
            code = self.stop(signal.SIGKILL)
            raise RuntimeError(f"{name} ended with {code}: {self.lines}")

    def _read(self, name):
        for line in self._process.stderr:
            self.lines.append(line.rstrip())
            if line.startswith(f"{name} ready"):
                self._is_ready = True
                self._ready.set()
        self._ready.set()

    @property
    def pid(self):
        """Its process id."""
        return self._process.pid

    @property
    def address(self):
        """What it said when it was ready."""
        return next(line.split()[-1] for line in self.lines if " ready" in line)

    def stop(self, number=signal.SIGTERM):
        """End it; the exit code."""
        self._process.send_signal(number)
        code = self._process.wait(STOP_SECONDS)
        self._reader.join()
        self._process.stderr.close()
        return code


class Pipeline:
    """Ingester and gateway over one database in a directory of its own."""

    def __init__(self, **settings):
        # short, because a unix socket's path is: pytest's own directories are too long
        self.path = Path(tempfile.mkdtemp(prefix="pipeline-"))
        self.ingest = f"ipc://{self.path}/in"
        self.publish = f"ipc://{self.path}/out"
        self.database = self.path / "logs.db"
        self.environ = {
            **os.environ,
            "PIPELINE_INGEST__ENDPOINT": self.ingest,
            "PIPELINE_PUBLISH__ENDPOINT": self.publish,
            "PIPELINE_STORAGE__DB_PATH": str(self.database),
            "PIPELINE_SERVER__PORT": "0",
            **{f"PIPELINE_{name.upper()}": str(v) for name, v in settings.items()},
        }
        self.processes = {}

    def start(self, *names):
        """Start processes and wait until they are ready."""
        for name in names:
            self.processes[name] = Process(name, self.environ)
        return self

    def process(self, name, *flags):
        """One more process, with flags of its own."""
        return Process(name, self.environ, *flags)

    def wait_until_ready(self):
        """The ingester says once a second how it is; until then it counts as away."""
        end = time.monotonic() + START_SECONDS
        while self.request("GET", "/health/ready")[0] != HTTPStatus.OK:
            assert time.monotonic() < end, self.request("GET", "/health/ready")
            time.sleep(0.05)
        return self

    def stop(self, name, number=signal.SIGTERM):
        """Stop one; its exit code."""
        return self.processes.pop(name).stop(number)

    def close(self):
        """Stop all, the gateway first."""
        try:
            for name in reversed(list(self.processes)):
                self.stop(name)
        finally:
            shutil.rmtree(self.path)

    @property
    def url(self):
        """Of the gateway."""
        return self.processes["gateway"].address

    @property
    def host(self):
        """Of the gateway, with its port."""
        return self.url.removeprefix("http://")

    def request(self, method, path, body=None, headers=None):
        """One HTTP exchange: status, headers and body."""
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def post(self, body):
        """Bytes to POST /rpc and the decoded reply; None when there is none."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        kind = {"Content-Type": "application/json"}
        status, _, reply = self.request("POST", "/rpc", body, kind)
        return None if status == 204 else json.loads(reply)

    def call(self, method, params=None):
        """The whole reply to one call."""
        body = {"jsonrpc": "2.0", "method": method, "params": params or {}, "id": 1}
        return self.post(body)

    def result(self, method, **params):
        """The result of one call, which must not fail."""
        reply = self.call(method, params)
        assert "result" in reply, reply
        return reply["result"]

    def error(self, method, **params):
        """The error of one call, which must fail."""
        reply = self.call(method, params)
        assert "error" in reply, reply
        return reply["error"]

    def logs(self, **params):
        """Entries, oldest first."""
        return self.result("query", order="asc", limit=10_000, **params)["logs"]


@contextmanager
def running(*names, **settings):
    """A pipeline for one test or module."""
    pipeline = Pipeline(**settings)
    try:
        pipeline.start(*(names or ("ingester", "gateway")))
        yield pipeline if names else pipeline.wait_until_ready()
    finally:
        pipeline.close()
