"""Waking by notifications of a real server, and while it is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from meter.runtime.postgres import Pool
from meter.runtime.postgres.listen import Wakeups
from tests.support import until
from tests.support.waiting import GIVEN_UP_S
from tests.support.working_time import within


@asynccontextmanager
async def listening(dsn: str) -> AsyncIterator[tuple[asyncio.Event, list[str]]]:
    event, stop = asyncio.Event(), asyncio.Event()
    payloads: list[str] = []
    wakeups = Wakeups(dsn, "meter_events", event, on_payload=payloads.append)
    running = asyncio.create_task(wakeups.run(stop))
    try:
        await until(event.is_set, message="is listening")
        event.clear()
        yield event, payloads
    finally:
        stop.set()
        with within(5):
            async with asyncio.timeout(GIVEN_UP_S):
                await running


async def test_a_notification_wakes_at_once(dsn: str, pool: Pool) -> None:
    async with listening(dsn) as (event, payloads):
        await pool.execute("NOTIFY meter_events, '7'")
        with within(2):
            async with asyncio.timeout(GIVEN_UP_S):
                await event.wait()
        assert payloads == ["7"]


async def test_a_lost_listener_comes_back_and_wakes_for_what_it_missed(dsn: str, pool: Pool) -> None:
    async with listening(dsn) as (event, payloads):
        await pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE 'LISTEN%' AND datname = current_database()"
        )
        with within(10):
            async with asyncio.timeout(GIVEN_UP_S):
                await event.wait()
        event.clear()
        await pool.execute("NOTIFY meter_events, '8'")
        await until(lambda: payloads == ["8"])


async def test_a_database_that_is_away_does_not_end_the_listener() -> None:
    stop = asyncio.Event()
    with structlog.testing.capture_logs() as lines:
        running = asyncio.create_task(Wakeups("postgresql://x@127.0.0.1:1/x", "meter_events").run(stop))
        await until(lambda: running.done() or sum(line["event"] == "listen_lost" for line in lines) >= 2)
    assert not running.done()
    stop.set()
    with within(5):
        async with asyncio.timeout(GIVEN_UP_S):
            await running
