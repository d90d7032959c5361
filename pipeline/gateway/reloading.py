"""The configuration read anew: by a call for all processes, else for the gateway.

Another process reads and checks it whole before anything is changed. The ingester and
the analyzer read it themselves, as they do at SIGHUP and when the file changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated

from msgspec import Meta, Struct

from pipeline import clock, journal, service
from pipeline.errors import PipelineError
from pipeline.gateway.errors import NOT_DONE, RpcError
from pipeline.gateway.orders import Orders
from pipeline.settings import Settings
from pipeline.settings.live import LIVE, is_live, taken_over
from pipeline.settings.watching import LOOK_SECONDS, Configuration, WatchedFile


class Reloaded(Struct):
    """It goes by the new configuration."""

    changed: Annotated[
        list[str], Meta(description="Keys whose values are others than before.")
    ]
    restart_needed: Annotated[
        list[str],
        Meta(description="Keys that differ and are taken at the next start only."),
    ]


class Reloading:
    """Reads the configuration when asked, and when the file changes."""

    def __init__(
        self,
        settings: Settings,
        configuration: Configuration,
        apply: Callable[[Settings], None],
        others: Sequence[Orders],
    ) -> None:
        """`apply` takes what can change; `others` are asked for theirs by a call."""
        self._settings = settings
        self._read = configuration.read
        self._file = WatchedFile(configuration.path)
        self._apply = apply
        self._others = others
        self._asked = asyncio.Event()
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look at the file from now on, and obey SIGHUP."""
        self._task = asyncio.create_task(self._watch())

    def ask(self) -> None:
        """Read it soon; in the loop's thread."""
        self._asked.set()

    async def close(self) -> None:
        """Read it no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def everywhere(self) -> Reloaded:
        """All processes take it; raises RpcError, of the first that doesn't."""
        try:
            own = await self._reload()
        except PipelineError as error:
            raise RpcError(NOT_DONE, {"problem": str(error)}) from None
        # they may have seen the file themselves meanwhile, and tell of no change
        changed, refused = set(own.changed), None
        for orders in self._others:
            try:
                changed |= set((await orders.give("reload", {}))["changed"])
            except RpcError as error:
                refused = refused or error
        if refused is not None:
            raise refused
        return Reloaded(sorted(changed), own.restart_needed)

    async def _reload(self) -> Reloaded:
        """The gateway's part; raises PipelineError, and then nothing changed."""
        async with self._lock:
            self._file.is_read()
            try:
                wanted = await asyncio.to_thread(self._read)
            except PipelineError as error:
                journal.warn("gateway", f"the old configuration stays: {error}")
                raise
            made, changed, held = taken_over(self._settings, wanted, *LIVE)
            own = [path for path in changed if is_live(path, "gateway")]
            self._settings = made
            if own:
                self._apply(made)
        text = f"gateway: reloaded: {', '.join(own) or 'nothing changed'}"
        service.say(text + (f"; restart needed: {', '.join(held)}" if held else ""))
        return Reloaded(changed, held)

    async def _watch(self) -> None:
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._asked.wait()
            except TimeoutError:
                if not self._file.has_changed(clock.monotonic()):
                    continue
            self._asked.clear()
            try:
                await self._reload()
            except PipelineError:  # it has been said
                continue
