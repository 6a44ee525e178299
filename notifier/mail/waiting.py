"""Waiting that a stop ends."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def first_of(call: Awaitable[T], stop: asyncio.Event) -> None:
    """Wait for one thing, but no longer than until `stop`."""
    tasks = {asyncio.ensure_future(call), asyncio.ensure_future(stop.wait())}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
