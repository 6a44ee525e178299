"""When the sessions of a service plan their statements anew.

A plan that was made while tables were small is kept while they grow, and may go along the wrong index. Postgres itself
plans anew when it has analyzed a table; until then, and beside it, plans are thrown away after a while. Tables grow
fastest, for their size, at the beginning: so the while doubles.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

FIRST_S: Final = 30
LONGEST_S: Final = 600
# Which index leads to the rows depends on no argument. To plan a fold takes longer than to fold a hundred events.
SETTINGS: Final = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "jit": "off"}


@dataclass(slots=True)
class Due:
    at: float  # when plans are made anew, by the loop's clock
    wait_s: float  # how long after that again


class Replanning:
    """For the callbacks of a pool: `begin` for each new connection, `renew` whenever one is taken."""

    def __init__(self, first_s: float = FIRST_S, clock: Callable[[], float] | None = None) -> None:
        self._first_s = first_s
        self._clock = clock or asyncio.get_running_loop().time
        self._due: dict[int, Due] = {}  # by the session

    def begin(self, connection: Any) -> None:
        """After a fail-over two servers may have given the same number: the end of the old session is not ours."""
        session = connection.get_server_pid()
        due = self._due[session] = Due(self._clock() + self._first_s, 2 * self._first_s)

        def forget(_connection: Any) -> None:
            if self._due.get(session) is due:
                del self._due[session]

        connection.add_termination_listener(forget)

    async def renew(self, connection: Any) -> None:
        due = self._due.get(connection.get_server_pid())
        if due is not None and self._clock() >= due.at:
            await connection.execute("DISCARD PLANS")
            due.at, due.wait_s = self._clock() + due.wait_s, min(2 * due.wait_s, LONGEST_S)
