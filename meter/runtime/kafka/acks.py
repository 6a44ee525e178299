"""Waiting for what a client of Kafka says of records that it has taken."""

import asyncio
from typing import Any


async def wait_for_ack(ack: "asyncio.Future[Any]") -> Any:
    """Its result. One that the client cancels, raised as it is, would end who publishes."""
    ack.add_done_callback(note_seen)
    await asyncio.wait({ack})
    if ack.cancelled():
        raise ConnectionAbortedError("the client let go of a record that it had taken")
    return ack.result()


def note_seen(ack: "asyncio.Future[Any]") -> None:
    """Look at the ack's exception: after a failure nobody waits for the other acks, and asyncio would log them."""
    if not ack.cancelled():
        ack.exception()
