"""Stored offsets against what the broker holds: go on, wait, or refuse with a sentence that says what to do."""

import pytest

from meter.runtime.errors import TopicIdentityError
from meter.runtime.kafka import offset_ranges
from meter.runtime.kafka.offset_ranges import OffsetRange, check_ranges
from meter.runtime.settings import Settings

FITS = OffsetRange("metering.usage", 1, 5, 0, 9)
BEYOND = OffsetRange("metering.usage", 1, 5, 0, 3)
LOST = OffsetRange("metering.usage", 1, 5, 7, 9)


class Broker:
    def __init__(self, *answers: list[OffsetRange]) -> None:
        self.answers = list(answers)

    async def fetch(self) -> list[OffsetRange]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offset_ranges, "SETTLE_PAUSES_S", (0.0, 0.0))


async def test_goes_on_when_the_stored_offset_is_there() -> None:
    assert await check_ranges([FITS], Broker([FITS]).fetch, Settings())


@pytest.mark.parametrize("stored", [0, 9])
async def test_both_ends_of_the_range_fit(stored: int) -> None:
    assert await check_ranges([FITS._replace(stored=stored)], Broker([FITS]).fetch, Settings())


async def test_refuses_a_topic_that_ends_before_the_stored_offset() -> None:
    with pytest.raises(TopicIdentityError, match=r"usage\[1\] ends at 3, stored offset is 5.*re-created"):
        await check_ranges([BEYOND], Broker([BEYOND]).fetch, Settings())


async def test_waits_for_a_new_leader_to_catch_up() -> None:
    assert await check_ranges([BEYOND], Broker([BEYOND], [FITS]).fetch, Settings())


async def test_refuses_records_lost_to_retention() -> None:
    with pytest.raises(TopicIdentityError, match="METERING_ACCEPT_LOST_RECORDS"):
        await check_ranges([LOST], Broker([LOST]).fetch, Settings())


async def test_goes_on_over_lost_records_when_told_to() -> None:
    assert await check_ranges([LOST], Broker([LOST]).fetch, Settings(accept_lost_records=True))


async def test_refuses_a_shard_that_was_never_set_up() -> None:
    missing = FITS._replace(stored=None)
    with pytest.raises(TopicIdentityError, match="meter setup"):
        await check_ranges([missing], Broker([missing]).fetch, Settings())
