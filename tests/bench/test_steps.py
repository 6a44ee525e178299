"""The steps are those of the meter: each takes time, and every event of either order comes through all of them."""

import json

from schemas.compiled import NATIVE
from tests.bench.events import OTHER_ORDER, rearrange
from tests.bench.steps import Timed, make_messages, measure_steps


def test_every_step_is_measured_in_either_order() -> None:
    measured = measure_steps(200, 1)
    compiled = [] if NATIVE.module is None else [", compiled"]
    assert list(measured) == [f"{order}{way}" for order in ("own order", "other order") for way in ("", *compiled)]
    for steps in measured.values():
        assert tuple(steps) == Timed._fields
        assert all(us > 0 for us in steps.values())


def test_the_other_order_says_the_same() -> None:
    [own], [other] = (messages := make_messages(1)), list(map(rearrange, messages))
    assert tuple(json.loads(other.value)) == OTHER_ORDER != tuple(json.loads(own.value))
    assert json.loads(other.value) == json.loads(own.value)
