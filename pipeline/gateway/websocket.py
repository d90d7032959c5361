"""`/ws`: JSON-RPC frames both ways, and the live tail by `subscribe`.

A connection has the methods of POST /rpc and two of its own. Calls of one connection
run beside each other up to a bound; beyond it nothing more is read from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Final

import msgspec
from aiohttp import WSMsgType, web

from pipeline.gateway import jsonrpc
from pipeline.gateway.bodies import Bodies
from pipeline.gateway.dispatch import Dispatcher
from pipeline.gateway.errors import RpcError
from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.tailing import (
    SubscribeResult,
    UnsubscribeParams,
    UnsubscribeResult,
)
from pipeline.gateway.params import bind
from pipeline.gateway.principal import Principal
from pipeline.gateway.services import Services
from pipeline.gateway.tail import Client, Delivery, Hub
from pipeline.query.requests import TailRequest

CALLS_AT_ONCE: Final = 32
"""Frames of one connection that are answered at the same time."""

PING_SECONDS: Final = 20.0
_TAKE_SECONDS: Final = 3600.0

_replied: ContextVar[asyncio.Event] = ContextVar("replied")
"""Set when the reply to the call at hand is out: `entries` must not overtake it."""


class Connection:
    """One WebSocket with its subscriptions."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        dispatcher: Dispatcher,
        hub: Hub,
        principal: Principal,
        bodies: Bodies,
    ) -> None:
        self._bodies = bodies
        self._principal = principal
        self._socket = socket
        self._hub = hub
        self._dispatcher = dispatcher.extended(
            {"subscribe": self._subscribe, "unsubscribe": self._unsubscribe}
        )
        self._clients: dict[int, Client] = {}
        self._last = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(CALLS_AT_ONCE)

    async def run(self) -> None:
        """Answer until the client goes; its calls are cancelled then."""
        try:
            async for message in self._socket:
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    continue
                data = message.data
                body = data.encode() if isinstance(data, str) else bytes(data)
                await self._places.acquire()
                self._start(self._call(body))
        finally:
            for client in self._clients.values():
                self._hub.leave(client)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call(self, body: bytes) -> None:
        replied = asyncio.Event()
        _replied.set(replied)
        try:
            reply = await self._answer(body)
            if reply is not None:
                await self._send(reply)
        finally:
            replied.set()
            self._places.release()

    async def _answer(self, body: bytes) -> bytes | None:
        with self._bodies.hold() as held:
            try:
                held.take(len(body))
            except RpcError as error:
                self._dispatcher.counters["bodies_refused"] += 1
                return jsonrpc.failure(jsonrpc.NULL, error)
            return await self._dispatcher.answer(body, self._principal)

    async def _subscribe(
        self, services: Services, params: Params, is_notification: bool
    ) -> bytes:
        del services, is_notification
        scope = self._principal.scope
        client = await self._hub.join(bind(params, TailRequest), scope)
        self._last += 1
        self._clients[self._last] = client
        self._start(self._forward(self._last, client))
        return msgspec.json.encode(SubscribeResult(self._last, client.last_block))

    async def _unsubscribe(
        self, services: Services, params: Params, is_notification: bool
    ) -> bytes:
        del services, is_notification
        client = self._clients.pop(bind(params, UnsubscribeParams).subscription, None)
        if client is not None:
            self._hub.leave(client)
        return msgspec.json.encode(UnsubscribeResult(client is not None))

    async def _forward(self, subscription: int, client: Client) -> None:
        """Send what comes for a subscription until it ends."""
        await _replied.get().wait()
        while not client.is_closed:
            delivery = await client.take(_TAKE_SECONDS)
            if delivery.logs or delivery.missed:
                await self._send(_notification(subscription, delivery))

    async def _send(self, text: bytes) -> None:
        if not self._socket.closed:
            try:
                await self._socket.send_str(text.decode())
            except ConnectionError:
                return  # the reader sees it too, and ends the connection


def _notification(subscription: int, delivery: Delivery) -> bytes:
    return (
        b'{"jsonrpc":"2.0","method":"entries","params":{"subscription":%d,'
        b'"logs":[%b],"last_block":%d,"missed":%d}}'
    ) % (
        subscription,
        b",".join(delivery.logs),
        delivery.last_block,
        delivery.missed,
    )
