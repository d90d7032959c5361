"""The live tail: new entries to every client, each filter asked for once.

A summary says that a block was committed. For each distinct filter a query worker is
then asked for the matches in all blocks since the last answer, so a summary that got
lost costs nothing: the next one brings its entries too. Every client has a queue of its
own with a bound, and is told how many entries it missed because it was slow.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import msgspec

from pipeline.gateway.errors import RpcError, busy
from pipeline.gateway.pool import Pool
from pipeline.query.replies import TailReply
from pipeline.query.requests import TailRequest
from pipeline.scope import EVERYTHING, Scope

QUEUE_BYTES: Final = 8 << 20
"""What waits for one client at most, beside the number of entries."""

ASKED_AT_ONCE: Final = 4
"""Filters that wait for workers together: other questions need places as well."""

RETRY_SECONDS: Final = 0.5
RETRY_MS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Delivery:
    """What waited for a client: entries as JSON, up to and with block `last_block`."""

    logs: list[bytes]
    last_block: int
    missed: int


@dataclass(slots=True, eq=False)
class Client:
    """One listener: what waits for it, and how much of it was given up."""

    queue_max: int
    joined_at: int
    last_block: int = 0
    missed: int = 0
    missed_total: int = 0
    is_closed: bool = False
    _logs: deque[bytes] = field(default_factory=deque)
    _bytes: int = 0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, logs: list[bytes], last_block: int, missed: int) -> None:
        """Add entries; the oldest that wait go when there is no room."""
        self._logs.extend(logs)
        self._bytes += sum(map(len, logs))
        while len(self._logs) > self.queue_max or self._bytes > QUEUE_BYTES:
            self._bytes -= len(self._logs.popleft())
            missed += 1
        self.missed += missed
        self.missed_total += missed
        self.last_block = last_block
        if self._logs or self.missed:
            self._wake.set()

    def close(self) -> None:
        """Nothing more will come."""
        self.is_closed = True
        self._wake.set()

    async def take(self, seconds: float) -> Delivery:
        """What waits, or nothing after some time; look at `is_closed` then."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return Delivery([], self.last_block, 0)
        delivery = Delivery(list(self._logs), self.last_block, self.missed)
        self._logs.clear()
        self._bytes = self.missed = 0
        if not self.is_closed:
            self._wake.clear()
        return delivery


@dataclass(slots=True, eq=False)
class _Group:
    """Clients that have the same filter and have come to the same block."""

    request: TailRequest
    scope: Scope
    last_block: int
    clients: set[Client] = field(default_factory=set)
    is_asking: bool = False
    is_behind: bool = False


class Hub:
    """All clients of the live tail."""

    def __init__(self, pool: Pool, clients_max: int, queue_max: int) -> None:
        self._pool = pool
        self.clients_max = clients_max
        self.queue_max = queue_max
        self._groups: list[_Group] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(ASKED_AT_ONCE)
        self._joining = 0
        self._missed_by_gone = 0

    @property
    def missed(self) -> int:
        """Entries that listeners have missed, those who are gone included."""
        present = (one.missed_total for group in self._groups for one in group.clients)
        return self._missed_by_gone + sum(present)

    @property
    def clients(self) -> int:
        """Listeners now."""
        return sum(len(group.clients) for group in self._groups)

    @property
    def filters(self) -> int:
        """Questions that a commit leads to."""
        return len(self._groups)

    async def join(self, request: TailRequest, scope: Scope = EVERYTHING) -> Client:
        """A new listener, from now on or from `after_block`; raises RpcError.

        It hears of what the scope allows.
        """
        if self.clients + self._joining >= self.clients_max:
            raise busy(f"{self.clients} clients listen already", RETRY_MS)
        self._joining += 1
        try:
            answer = await self._ask(request, scope)
        finally:
            self._joining -= 1
        # what is resumed counts from where the client was, until it has been sent
        start = request.after_block if answer.logs else None
        client = Client(self.queue_max, answer.last_block if start is None else start)
        client.put(
            [bytes(log) for log in answer.logs], answer.last_block, answer.missed
        )
        plain = msgspec.structs.replace(request, after_block=None)
        group = _Group(plain, scope, answer.last_block, {client})
        self._groups.append(group)
        # a block may have come while nobody asked for it
        self._advance(group)
        return client

    def leave(self, client: Client) -> None:
        """This listener is gone."""
        client.close()
        self._missed_by_gone += client.missed_total
        for group in self._groups:
            group.clients.discard(client)
        self._groups = [group for group in self._groups if group.clients]

    def on_summary(self, _summary: dict[str, object]) -> None:
        """A block was committed."""
        for group in self._groups:
            self._advance(group)

    async def close(self) -> None:
        """End all listening."""
        for group in self._groups:
            for client in group.clients:
                client.close()
        self._groups.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _advance(self, group: _Group) -> None:
        if group.is_asking:
            group.is_behind = True
            return
        group.is_asking = True
        task = asyncio.create_task(self._catch_up(group))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _catch_up(self, group: _Group) -> None:
        group.is_behind = True
        try:
            while group.is_behind and group.clients:
                group.is_behind = False
                await self._ask_for(group)
        finally:
            group.is_asking = False
        self._merge(group)

    async def _ask_for(self, group: _Group) -> None:
        """Bring a group to the newest block, or leave it behind."""
        request = msgspec.structs.replace(group.request, after_block=group.last_block)
        try:
            answer = await self._ask(request, group.scope)
        except RpcError:
            # no worker for the moment: the entries are stored and stay asked for
            group.is_behind = True
            await asyncio.sleep(RETRY_SECONDS)
        else:
            self._deliver(group, answer)

    def _deliver(self, group: _Group, answer: TailReply) -> None:
        logs = [bytes(log) for log in answer.logs]
        group.last_block = answer.last_block
        for client in group.clients:
            client.put(logs, answer.last_block, answer.missed)

    def _merge(self, group: _Group) -> None:
        """Two groups of one filter that have come to the same block become one."""
        for other in self._groups:
            if (
                other is not group
                and not other.is_asking
                and other.last_block == group.last_block
                and other.request == group.request
                and other.scope == group.scope
                and group in self._groups
            ):
                other.clients |= group.clients
                self._groups.remove(group)
                return

    async def _ask(self, request: TailRequest, scope: Scope) -> TailReply:
        async with self._places:
            answer = await self._pool.ask("tail", request, scope)
        return msgspec.json.decode(answer, type=TailReply)
