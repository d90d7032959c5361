"""A client of `log_batch` that numbers its entries, as one in any language would."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import time

BUSY = -32003
OUT_OF_ORDER = -32010
INVALID_PARAMS = -32602


class Sender:
    """One session: a producer id, and entries whose messages are their numbers."""

    def __init__(self, pipeline, source="s"):
        self.pipeline = pipeline
        self.source = source
        self.producer = os.urandom(16).hex()

    def logs(self, sequence, count):
        """Entries with these numbers."""
        numbers = range(sequence, sequence + count)
        return [{"source": self.source, "message": str(n)} for n in numbers]

    def params(self, sequence, count, **more):
        """Of one call."""
        named = {"producer": self.producer, "sequence": sequence}
        return {"logs": self.logs(sequence, count), **named, **more}

    def call(self, sequence, count, **more):
        """The whole reply."""
        return self.pipeline.call("log_batch", self.params(sequence, count, **more))

    def result(self, sequence, count, **more):
        """What a call that succeeds answers."""
        reply = self.call(sequence, count, **more)
        assert "result" in reply, reply
        return reply["result"]

    def error(self, sequence, count, **more):
        """What a call that fails answers."""
        reply = self.call(sequence, count, **more)
        assert "error" in reply, reply
        return reply["error"]

    def insist(self, sequence, count, gateways=("gateway",)):
        """Make the same call, by one gateway or another, until it is answered."""
        end = time.monotonic() + 60
        ways = itertools.cycle(gateways)
        while time.monotonic() < end:
            try:
                reply = self._post(next(ways), self.params(sequence, count))
            except (OSError, KeyError, http.client.HTTPException):
                time.sleep(0.1)
                continue
            if "result" in reply:
                return reply["result"]
            assert reply["error"]["code"] == BUSY, reply
            time.sleep(reply["error"]["data"]["retry_after_ms"] / 10_000)
        raise AssertionError("no answer in time")

    def _post(self, gateway, params):
        """One call by the gateway of that name."""
        address = self.pipeline.processes[gateway].address
        call = {"jsonrpc": "2.0", "method": "log_batch", "params": params, "id": 1}
        host = address.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=60)
        try:
            kind = {"Content-Type": "application/json"}
            connection.request("POST", "/rpc", json.dumps(call), kind)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def stored(self):
        """The numbers of what is stored, in the store's order."""
        return [int(e["message"]) for e in self.pipeline.logs(sources=[self.source])]
