"""A service starts only on a database that is set up, and waits where it is not."""

from typing import Any, cast

import pytest

from meter.runtime.errors import DependencyUnreachableError
from meter.runtime.postgres import Pool, check_set_up


class AnsweringPool:
    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def fetchval(self, statement: str, *parameters: Any) -> object:
        self.asked.append(statement)
        return self.answer


async def test_a_database_that_is_set_up_passes() -> None:
    pool = AnsweringPool(True)
    await check_set_up(cast(Pool, pool), "SELECT true")
    assert pool.asked == ["SELECT true"]


@pytest.mark.parametrize("answer", [False, None])
async def test_a_database_that_is_not_set_up_counts_as_unreachable(answer: object) -> None:
    with pytest.raises(DependencyUnreachableError, match="run `meter setup`") as raised:
        await check_set_up(cast(Pool, AnsweringPool(answer)), "SELECT false")
    assert raised.value.dependency == "postgres"
