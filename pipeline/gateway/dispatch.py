"""A body with calls to a body with replies: the one way in for HTTP and WebSocket."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from pipeline.errors import PipelineError
from pipeline.gateway import jsonrpc
from pipeline.gateway.admission import too_often
from pipeline.gateway.errors import FORBIDDEN, INTERNAL_ERROR, RpcError, refused
from pipeline.gateway.jsonrpc import Call, Refused, Request
from pipeline.gateway.methods.method import Answer
from pipeline.gateway.principal import Principal
from pipeline.gateway.rates import Rates
from pipeline.gateway.services import Services

LARGE_BYTES: Final = 256 << 10
"""Bodies beyond this are cut into calls on a thread: a flawed one takes a second."""

Took = Callable[[str, float], None]
"""(method, seconds)."""

_log = logging.getLogger(__name__)


class Dispatcher:
    """Answers bodies with the methods given; counts what it answered."""

    def __init__(
        self,
        services: Services,
        answers: Mapping[str, Answer],
        calls_max: int,
        counters: Counter[str] | None = None,
        took: Took = lambda _method, _seconds: None,
        rates: Rates | None = None,
    ) -> None:
        """`took` hears how long each call took that a method answered."""
        self._rates = Rates() if rates is None else rates
        self._services = services
        self._answers = answers
        self.calls_max = calls_max
        self.counters: Counter[str] = Counter() if counters is None else counters
        self._took = took

    def extended(self, answers: Mapping[str, Answer]) -> Dispatcher:
        """The same with more methods; it counts into the same counters."""
        more = {**self._answers, **answers}
        own = self._services, more, self.calls_max, self.counters
        return Dispatcher(*own, self._took, self._rates)

    async def answer(
        self, body: bytes, principal: Principal, *, is_admitted: bool = False
    ) -> bytes | None:
        """The reply's body; None when nothing in the request wants one.

        Who calls too often is refused, unless that was looked at before.
        """
        now, caller = asyncio.get_running_loop().time(), principal.caller
        try:
            request = await self._parse(body)
        except RpcError as error:
            self.counters["refused"] += 1
            self._rates.spend(caller, 1, now)
            return jsonrpc.failure(jsonrpc.NULL, error)
        wait = 0.0 if is_admitted else self._rates.wait(caller, now)
        if wait:
            self.counters["rate_limited"] += 1
            # nobody is told of these
            lost = sum(call.id is None for call in request.calls)
            self.counters["notifications_limited"] += lost
            return _joined(request, map(partial(_late, too_often(wait)), request.calls))
        self._rates.spend(caller, len(request.calls), now)
        # all at once, so that the entries of a batch share a commit
        replies = await asyncio.gather(
            *(self._reply(call, principal) for call in request.calls)
        )
        return _joined(request, replies)

    async def _parse(self, body: bytes) -> Request:
        if len(body) > LARGE_BYTES:
            return await asyncio.to_thread(jsonrpc.parse, body, self.calls_max)
        return jsonrpc.parse(body, self.calls_max)

    async def _reply(self, call: Call | Refused, principal: Principal) -> bytes | None:
        if isinstance(call, Refused):
            self.counters["refused"] += 1
            return jsonrpc.failure(call.id, call.error)
        try:
            result = await self._result(call, principal)
        except RpcError as error:
            self.counters["failed"] += 1
            return None if call.id is None else jsonrpc.failure(call.id, error)
        self.counters["answered"] += 1
        return None if call.id is None else jsonrpc.reply(call.id, result)

    async def _result(self, call: Call, principal: Principal) -> bytes:
        if not principal.may_call(call.method):
            # also what is no method: who may not call need not know which there are
            problem = f"a {principal.role} token may not call this method"
            raise refused(FORBIDDEN, problem, "a token of another role")
        answer = self._answers.get(call.method)
        if answer is None:
            raise jsonrpc.unknown_method(call.method, self._answers)
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            services = self._services.of(principal)
            return await answer(services, call.params, call.id is None)
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
        finally:
            self._took(call.method, loop.time() - began)


def _late(error: RpcError, call: Call | Refused) -> bytes | None:
    """The reply to a call that was not looked at."""
    return None if call.id is None else jsonrpc.failure(call.id, error)


def _joined(request: Request, replies: Iterable[bytes | None]) -> bytes | None:
    wanted = [reply for reply in replies if reply is not None]
    if not wanted:
        return None
    return jsonrpc.join(wanted) if request.is_batch else wanted[0]
