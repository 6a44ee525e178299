"""The database's clock steps an hour back or a day forward, at the worst moments of a letter: none is lost, and what
goes out twice is counted."""

from functools import partial

import pytest

from tests.support import until
from tests.unit.notifier.mail_bench import Bench, bench
from tests.unit.notifier.scripted import LATE, Script

HOUR_S, DAY_S = 3600, 86_400


def is_accepted(made: Bench) -> bool:
    return made.email().state == "accepted"


async def test_an_hour_back_a_letter_waits_an_hour_and_goes_out_once() -> None:
    async with bench(Script({"rcpt": ["451 later", "250 ok"]})) as made:
        await until(lambda: made.count("retry") == 1)
        made.clock.pass_s(-HOUR_S)
        made.clock.pass_s(101)
        await made.looked()
        assert made.told() == [], "its pause is not over by this clock"
        made.clock.pass_s(HOUR_S)
        await until(partial(is_accepted, made))
    assert len(made.script.bodies) == 1 and made.told() == ["accepted"]


async def test_what_was_put_off_a_day_ahead_waits_for_a_day_and_goes_out_once() -> None:
    async with bench(Script({"rcpt": ["451 later", "250 ok"]})) as made:
        made.clock.pass_s(DAY_S)
        await until(lambda: made.count("retry") == 1)
        made.clock.pass_s(-DAY_S)
        made.clock.pass_s(101)
        await made.looked()
        assert made.told() == [], "its pause is not over by this clock"
        made.clock.pass_s(DAY_S)
        await until(partial(is_accepted, made))
    assert len(made.script.bodies) == 1 and made.told() == ["accepted"]


async def test_a_day_forward_before_the_dot_the_letter_goes_out_once() -> None:
    """Its claim runs out, another sender takes it, and the first one may not hand it over any more."""
    script = Script({"rcpt": [LATE, "250 ok"]})
    async with bench(script) as made:
        await until(lambda: script.commands("rcpt"))
        made.clock.pass_s(DAY_S)
        await until(partial(is_accepted, made))
        script.release.set()
    assert len(script.bodies) == 1 and made.told() == ["accepted"]
    assert made.email().ambiguous == 0


async def test_a_day_forward_behind_the_dot_a_second_copy_is_counted() -> None:
    script = Script({"dot": [LATE, "250 ok"]})
    async with bench(script) as made:
        await script.dot_seen.wait()
        made.clock.pass_s(DAY_S)
        await until(partial(is_accepted, made))
        script.release.set()
    assert len(script.bodies) == 2 and script.bodies[0] == script.bodies[1], "one Message-ID: most servers drop it"
    assert made.told() == ["accepted"] and made.email().ambiguous == 1


@pytest.mark.parametrize("step_s", [-HOUR_S, DAY_S])
async def test_a_step_while_nothing_is_on_its_way_sends_nothing(step_s: float) -> None:
    async with bench(Script()) as made:
        await until(partial(is_accepted, made))
        made.clock.pass_s(step_s)
        await made.looked()
    assert len(made.script.bodies) == 1 and made.told() == ["accepted"]
