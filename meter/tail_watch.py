"""Asks the broker whether anything but markers is left in partitions that reversals wait for, when `tails` wants it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from meter.runtime.failures import explain, is_transient
from meter.runtime.stretch import Stretch
from meter.runtime.waiting import wait_for
from meter.tails import Tails

log = structlog.get_logger(component="tails")

EVERY_S: Final = 1.0

FindBare = Callable[[Mapping[int, Stretch]], Awaitable[Mapping[int, bool]]]


class TailWatch:
    name = "tails"

    def __init__(self, tails: Tails, find_bare: FindBare, wake_relay: Callable[[], None]) -> None:
        self._tails = tails
        self._find_bare = find_bare
        self._wake_relay = wake_relay

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self.look()
            await wait_for(stop, EVERY_S)

    async def look(self) -> None:
        """What cannot be asked now is asked again."""
        if not (due := self._tails.find_due()):
            return
        try:
            bare = await self._find_bare(due)
        except Exception as error:
            if not is_transient(error):
                raise
            log.info("ends_unknown", detail=explain(error))
            return
        if self._tails.note(due, bare):
            self._wake_relay()
