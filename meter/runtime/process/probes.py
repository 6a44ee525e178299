"""Is it reachable right now? For readiness only: the loops find out by themselves, but that may take them a minute.

aiokafka hides an outage (it retries inside, and "no records" looks like an idle topic), and an idle pool knows nothing
of its server. So every service asks both, once a second, over connections of its own that nothing else can hold up.
"""

import asyncio
from typing import Protocol

import structlog

from meter.runtime.process.health import Health

log = structlog.get_logger(component="probes")

# The pause, an answer that does not come and a new connection that does not come up: 4.5 s at most until it is said.
PAUSE_S = 1.0
ANSWER_S = 2.0
RECONNECT_S = 1.5


class Probe(Protocol):
    """Something outside that can be asked whether it is there."""

    name: str

    async def ask(self) -> None:
        """Connect where there is no connection, and get an answer. Raises; has no deadline of its own."""
        ...

    async def close(self) -> None:
        """Drop the connection, soon and without an error."""
        ...


async def watch_reachable(probe: Probe, health: Health) -> None:
    """Tell `health`, until cancelled, whether the other side answers."""
    reachable = True
    try:
        while True:
            detail = await find_fault(probe)
            if reachable and detail is not None:
                log.warning("dependency_lost", dependency=probe.name, detail=detail)
            elif not reachable and detail is None:
                log.info("dependency_found", dependency=probe.name)
            reachable = detail is None
            health.set_reachable(probe.name, reachable)
            await asyncio.sleep(PAUSE_S)
    finally:
        await probe.close()


async def find_fault(probe: Probe) -> str | None:
    """None when it answers. One lost connection proves nothing, so a failure is confirmed over a new one."""
    fault = None
    for deadline_s in (ANSWER_S, RECONNECT_S):
        try:
            async with asyncio.timeout(deadline_s):
                await probe.ask()
            return None
        except Exception as error:  # whatever it is: it did not answer, and the loops judge what it means
            fault = str(error) or type(error).__name__
            await probe.close()
    return fault
