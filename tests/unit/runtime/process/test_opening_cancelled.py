"""An opening that is cancelled from within, as by a client that gives up on what it was asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from structlog.testing import capture_logs

from meter.runtime.process.exits import Exit
from meter.runtime.process.health import Health
from meter.runtime.process.service import Service, run_attempts
from meter.runtime.settings import Settings

SETTINGS = Settings(retry_first_s=0.001, retry_max_s=0.01)


async def test_it_is_said_and_tried_again_after_a_pause() -> None:
    stop, tries = asyncio.Event(), 0

    @asynccontextmanager
    async def build(_health: Health) -> AsyncIterator[list[Service]]:
        nonlocal tries
        tries += 1
        if tries == 3:
            stop.set()
        given_up = asyncio.get_running_loop().create_future()
        given_up.cancel()
        await given_up
        yield []

    with capture_logs() as logged:
        async with asyncio.timeout(30):
            assert await run_attempts("meter", SETTINGS, build, Health(), stop) is Exit.OK
    said = [line for line in logged if line["event"] == "dependency_unreachable"]
    assert [line["detail"] for line in said] == ["the opening was cancelled from within"] * 2
