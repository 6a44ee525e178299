import asyncio
from itertools import islice

import pytest

from meter.runtime.waiting import pauses, rest, wait_for
from tests.support.virtual_loop import run_virtually


def test_pauses_grow_to_the_limit_and_differ_between_processes() -> None:
    first, second = list(islice(pauses(0.2, 10), 12)), list(islice(pauses(0.2, 10), 12))
    assert first != second
    for index, pause_s in enumerate(first):
        whole = min(0.2 * 2**index, 10)
        assert whole / 2 <= pause_s <= whole


def test_rests_that_end_at_about_the_same_time_end_together() -> None:
    """A loop that looks every second does so once a second, however long its look takes; short waits are not moved."""

    async def rest_all() -> None:
        loop, ends = asyncio.get_running_loop(), list[float]()

        async def look(every_s: float, takes_s: float) -> None:
            for _ in range(3):
                await asyncio.sleep(takes_s)
                await wait_for(asyncio.Event(), every_s)
                ends.append(loop.time() - began)

        await rest(1)
        began = loop.time()
        await asyncio.gather(look(1, 0.01), look(1, 0.2), look(2, 0.1))
        assert ends == pytest.approx([1, 1, 2, 2, 2, 3, 3, 4, 6])
        began = loop.time()
        await look(0.3, 0)
        assert ends[-3:] == pytest.approx([0.3, 0.6, 0.9])

    run_virtually(rest_all())
