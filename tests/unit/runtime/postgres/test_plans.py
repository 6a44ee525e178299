"""When plans are thrown away: soon at first, when tables grow fastest for their size, and then less and less often."""

from collections.abc import Callable
from typing import Any

from meter.runtime.postgres.plans import FIRST_S, LONGEST_S, Replanning


class Session:
    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.discarded_at: list[float] = []
        self.ended: Callable[[Any], None] = print

    def get_server_pid(self) -> int:
        return self.pid

    def add_termination_listener(self, listener: Callable[[Any], None]) -> None:
        self.ended = listener

    async def execute(self, statement: str) -> None:
        assert statement == "DISCARD PLANS"
        self.discarded_at.append(now[0])


now = [0.0]


async def use(replanning: Replanning, session: Session, until_s: int) -> None:
    for at in range(int(now[0]) + 1, until_s + 1):
        now[0] = float(at)
        await replanning.renew(session)


async def test_plans_are_made_anew_after_a_while_that_doubles_to_a_bound() -> None:
    now[0] = 0.0
    replanning, session = Replanning(clock=lambda: now[0]), Session(1)
    replanning.begin(session)
    await use(replanning, session, 3_000)
    waits = [b - a for a, b in zip([0.0, *session.discarded_at], session.discarded_at, strict=False)]
    assert waits[:5] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S, 8 * FIRST_S, 16 * FIRST_S]
    assert set(waits[5:]) == {LONGEST_S}


async def test_the_end_of_a_session_of_another_server_is_not_that_of_ours() -> None:
    """After a fail-over an old connection may end later than a new one began, and both processes have one number."""
    now[0] = 0.0
    replanning, old, new = Replanning(clock=lambda: now[0]), Session(1), Session(1)
    replanning.begin(old)
    replanning.begin(new)
    old.ended(old)
    await use(replanning, new, FIRST_S)
    assert new.discarded_at == [FIRST_S]
    new.ended(new)
    await use(replanning, new, 2 * FIRST_S)
    assert new.discarded_at == [FIRST_S], "one that is not known is left alone"


async def test_each_session_has_its_own_and_a_new_one_begins_anew() -> None:
    """Its process may have the number of one that ended."""
    now[0] = 0.0
    replanning, first, second = Replanning(clock=lambda: now[0]), Session(1), Session(2)
    replanning.begin(first)
    await use(replanning, first, 100)
    replanning.begin(second)
    await use(replanning, second, 120)
    assert second.discarded_at == []
    first.ended(first)
    third = Session(1)
    replanning.begin(third)
    await use(replanning, third, 120 + FIRST_S)
    assert third.discarded_at == [120 + FIRST_S]
