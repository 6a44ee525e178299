"""When the sessions of a service plan their statements anew.

A plan that was made while tables were small is kept while they grow, and may go along the wrong index. Postgres itself
plans anew when it has analyzed a table; until then, and beside it, plans are thrown away after a while. Tables grow
fastest, for their size, at the beginning: so the while doubles.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

FIRST_S: Final = 30
LONGEST_S: Final = 600
# Which index leads to the rows depends on no argument. To plan a fold takes longer than to fold a hundred events.
SETTINGS: Final = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "jit": "off"}


class Replanning:
    """For the callbacks of a pool: `begin` for each new connection, `renew` whenever one is taken."""

    def __init__(self, first_s: float = FIRST_S, clock: Callable[[], float] | None = None) -> None:
        self._first_s = first_s
        self._clock = clock or asyncio.get_running_loop().time
        self._due: dict[int, tuple[float, float]] = {}  # by the session: when, and how long after that again

    def begin(self, connection: Any) -> None:
        session = connection.get_server_pid()
        self._due[session] = self._clock() + self._first_s, 2 * self._first_s
        connection.add_termination_listener(lambda _: self._due.pop(session, None))

    async def renew(self, connection: Any) -> None:
        session = connection.get_server_pid()
        at, wait_s = self._due[session]
        if self._clock() >= at:
            await connection.execute("DISCARD PLANS")
            self._due[session] = self._clock() + wait_s, min(2 * wait_s, LONGEST_S)
