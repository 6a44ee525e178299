"""What a hostile record costs grows with its size and no faster: what is quadratic keeps the honest ones waiting.

Processor time of eight small records beside one that is eight times as large."""

import gc
import time
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from schemas.parsing.parse import parse_rows
from schemas.records import MAX_EVENT_BYTES, Record
from schemas.topics import ACCOUNTS, USAGE
from tests.unit.schemas.builders import LIMITS, NOW

TIMES: Final = 8
ROUNDS: Final = 5
TRIES: Final = 4  # beside other work a large record finds less of the caches; what is quadratic fails every time
# It took almost three times as long while the fields to leave out were searched for each field.
MOST: Final = 2.0
HEAD: Final = (
    '{"specversion":"1.0","id":"1","source":"/tests","type":"%s","subject":"acct-1",'
    '"time":"2026-03-01T11:59:59Z","data":'
)
USED: Final = '{"credits":"1","model":"m"'


def listed(item: str) -> Callable[[int], str]:
    return lambda number: "[" + ",".join([item] * number) + "]"


def keyed(key: str, value: str) -> Callable[[int], str]:
    return lambda number: USED + "".join(f',"{key}{n}":{value}' for n in range(number)) + "}"


def inside(make: Callable[[int], str]) -> Callable[[int], str]:
    return lambda number: f'{USED},"x":{make(number)}}}'


# How many of something make the data of an event of the greatest size.
SHAPES: Final[dict[str, tuple[str, int, Callable[[int], str]]]] = {
    "keys": (USAGE, 5_000, keyed("k", "1")),
    "keys that cannot be stored": (USAGE, 3_500, keyed("\\u0000", "1")),
    "texts that cannot be stored": (USAGE, 3_500, keyed("k", '"\\u0000"')),
    "numbers": (USAGE, 30_000, inside(listed("1"))),
    "lists": (USAGE, 2_800, inside(listed("[" * 10 + "]" * 10))),
    "objects": (USAGE, 8_000, inside(listed('{"a":1}'))),
    "digits": (USAGE, 60_000, lambda number: '{"credits":' + "9" * number + ',"model":"m"}'),
    "digits of a size": (USAGE, 60_000, lambda number: f'{USED},"seconds":0.{"9" * number}}}'),
    "depth": (USAGE, 30_000, lambda number: "[" * number + "]" * number),
    "escapes": (USAGE, 9_000, inside(lambda number: '"' + "\\u00e9" * number + '"')),
    "contacts": (ACCOUNTS, 3_000, lambda n: '{"plan":"free","contacts":' + listed('"a@example.com"')(n) + "}"),
    "contacts that are none": (ACCOUNTS, 12_000, lambda n: '{"plan":"free","contacts":' + listed('"x"')(n) + "}"),
}


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """The garbage collector walks through everything that the tests before have made."""
    gc.disable()
    yield
    gc.enable()


def make_batch(topic: str, data: str, records: int) -> list[Record]:
    type_ = "account.opened.v1" if topic == ACCOUNTS else "usage.model_inference.v1"
    value = (HEAD % type_ + data + "}").encode()
    assert len(value) <= MAX_EVENT_BYTES
    return [Record(topic, 0, offset, 0, b"acct-1", value, ()) for offset in range(records)]


def measure(*batches: list[Record]) -> list[float]:
    """Seconds of processor time of each, the least of some rounds. They take turns: machines have slow moments."""
    taken: list[list[float]] = [[] for _ in batches]
    for _ in range(ROUNDS):
        for batch, seconds in zip(batches, taken, strict=True):
            begun = time.process_time()
            parse_rows(batch, NOW, LIMITS)
            seconds.append(time.process_time() - begun)
    return list(map(min, taken))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_the_cost_of_a_record_grows_with_its_size_and_no_faster(shape: tuple[str, int, Callable[[int], str]]) -> None:
    topic, number, make = shape
    batches = make_batch(topic, make(number), 1), make_batch(topic, make(number // TIMES), TIMES)
    found: list[list[float]] = []
    for _ in range(TRIES):
        found.append(measure(*batches))
        large, small = map(min, zip(*found, strict=True))  # of all rounds so far, not of the luckiest
        if large <= MOST * small:
            return
    pytest.fail(f"{large * 1000:.1f} ms, and {small * 1000:.1f} ms for eight of an eighth of the size")
