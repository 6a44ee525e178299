"""Does a dependency answer right now? For readiness only: the loops notice an outage, too, but it may take a minute.

aiokafka hides an outage (it retries inside, and "no records" looks like an idle topic), and an idle pool does not
notice that its server is gone. So every service asks both, once a second, over connections that only the probe uses.
"""

import asyncio
from typing import Protocol

import structlog

from meter.runtime.failures import explain, explain_refusal
from meter.runtime.process.health import Health
from meter.runtime.waiting import rest

log = structlog.get_logger(component="probes")

# An outage is noticed within 4.5 s: the pause, an answer that does not come, a new connection that fails.
PAUSE_S = 1.0
ANSWER_S = 2.0
RECONNECT_S = 1.5


class Probe(Protocol):
    """Asks one dependency whether it answers."""

    name: str

    @property
    def where(self) -> str | None:
        """Which of several hosts it asked, for people."""
        ...

    async def ask(self) -> None:
        """Connect if there is no connection, and get an answer. Raises any error; the caller sets the deadline."""
        ...

    async def close(self) -> None:
        """Drop the connection. Returns within a second or two and never raises."""
        ...


async def watch_reachable(probe: Probe, health: Health) -> None:
    """Set in `health`, until cancelled, whether the dependency answers."""
    reachable = True
    try:
        while True:
            detail = await find_fault(probe)
            if reachable and detail is not None:
                log.warning("dependency_lost", dependency=probe.name, detail=detail)
            elif not reachable and detail is None:
                log.info("dependency_found", dependency=probe.name)
            reachable = detail is None
            health.set_reachable(probe.name, reachable, detail=detail, where=probe.where)
            await rest(PAUSE_S)
    finally:
        await probe.close()


async def find_fault(probe: Probe) -> str | None:
    """None when the dependency answers, else the error.

    One lost connection proves nothing, so a failure is confirmed over a new connection.
    """
    fault = None
    for deadline_s in (ANSWER_S, RECONNECT_S):
        try:
            async with asyncio.timeout(deadline_s):
                await probe.ask()
            return None
        except Exception as error:  # of any kind: the dependency did not answer; the loops decide what that means
            fault = explain_refusal(error) or explain(error)
            await probe.close()
    return fault
