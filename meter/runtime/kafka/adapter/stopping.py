"""Stopping an aiokafka client within a deadline."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

FAREWELL_S = 0.5
CLOSE_S = 0.5


async def stop_quietly(
    client: Any, timeout_s: float, *, farewell: Callable[[], Coroutine[Any, Any, None]] | None = None
) -> None:
    """Stop a consumer, producer, admin or bare client within a deadline, in whatever state it is. Never raises.

    `AIOKafkaConsumer.stop` may raise CancelledError out of its own cancelled fetch tasks, and `AIOKafkaProducer.stop`
    flushes without end while brokers are down. So the stop runs as a task of its own and is given up at the deadline.
    `farewell` is called when the stop was given up halfway. The sockets are closed in any case.
    """
    if not await give_up_after(timeout_s, call_stop(client)) and farewell is not None:
        await give_up_after(FAREWELL_S, farewell())
    inner = getattr(client, "_client", None) or getattr(client, "client", None)
    if inner is not None:
        await give_up_after(CLOSE_S, inner.close())


async def give_up_after(timeout_s: float, call: Coroutine[Any, Any, None]) -> bool:
    """Whether the call ended in time. Its errors are dropped on purpose: the state that counts is in Postgres."""
    task = asyncio.create_task(call)
    _, late = await asyncio.wait({task}, timeout=timeout_s)
    if late:
        task.cancel()
        await asyncio.wait({task}, timeout=CLOSE_S)
    if task.done() and not task.cancelled():
        task.exception()  # asyncio logs an exception that nobody has looked at
    return not late


async def call_stop(client: Any) -> None:
    await (client.close() if hasattr(client, "close") else client.stop())
