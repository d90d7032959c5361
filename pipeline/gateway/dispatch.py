"""A body with calls to a body with replies: the one way in for HTTP and WebSocket."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from typing import Final

from pipeline.errors import PipelineError
from pipeline.gateway import jsonrpc
from pipeline.gateway.errors import INTERNAL_ERROR, RpcError
from pipeline.gateway.jsonrpc import Call, Refused, Request
from pipeline.gateway.methods.method import Answer
from pipeline.gateway.services import Services

LARGE_BYTES: Final = 256 << 10
"""Bodies beyond this are cut into calls on a thread: a flawed one takes a second."""

_log = logging.getLogger(__name__)


class Dispatcher:
    """Answers bodies with the methods given; counts what it answered."""

    def __init__(
        self,
        services: Services,
        answers: Mapping[str, Answer],
        calls_max: int,
        counters: Counter[str] | None = None,
    ) -> None:
        self._services = services
        self._answers = answers
        self._calls_max = calls_max
        self.counters: Counter[str] = Counter() if counters is None else counters

    def extended(self, answers: Mapping[str, Answer]) -> Dispatcher:
        """The same with more methods; it counts into the same counters."""
        more = {**self._answers, **answers}
        return Dispatcher(self._services, more, self._calls_max, self.counters)

    async def answer(self, body: bytes) -> bytes | None:
        """The reply's body; None when nothing in the request wants one."""
        try:
            request = await self._parse(body)
        except RpcError as error:
            self.counters["refused"] += 1
            return jsonrpc.failure(jsonrpc.NULL, error)
        # all at once, so that the entries of a batch share a commit
        replies = await asyncio.gather(*map(self._reply, request.calls))
        wanted = [reply for reply in replies if reply is not None]
        if not wanted:
            return None
        return jsonrpc.join(wanted) if request.is_batch else wanted[0]

    async def _parse(self, body: bytes) -> Request:
        if len(body) > LARGE_BYTES:
            return await asyncio.to_thread(jsonrpc.parse, body, self._calls_max)
        return jsonrpc.parse(body, self._calls_max)

    async def _reply(self, call: Call | Refused) -> bytes | None:
        if isinstance(call, Refused):
            self.counters["refused"] += 1
            return jsonrpc.failure(call.id, call.error)
        try:
            result = await self._result(call)
        except RpcError as error:
            self.counters["failed"] += 1
            return None if call.id is None else jsonrpc.failure(call.id, error)
        self.counters["answered"] += 1
        return None if call.id is None else jsonrpc.reply(call.id, result)

    async def _result(self, call: Call) -> bytes:
        answer = self._answers.get(call.method)
        if answer is None:
            raise jsonrpc.unknown_method(call.method, self._answers)
        try:
            return await answer(self._services, call.params, call.id is None)
        except RpcError:
            raise
        except PipelineError as error:
            _log.warning("%s: %s", call.method, error)
            raise RpcError(INTERNAL_ERROR, {"problem": str(error)}) from None
        except Exception as error:  # one call must not end the others
            self.counters["internal_errors"] += 1
            _log.exception("%s failed", call.method)
            problem = "an error of the gateway; its log has the details"
            raise RpcError(INTERNAL_ERROR, {"problem": problem}) from error
