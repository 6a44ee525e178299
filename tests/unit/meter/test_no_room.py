"""A server that has no room refuses every row: none of them is at fault."""

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import pytest

from meter.plan import AppendPlan
from meter.runtime.postgres import Executor, Pool
from meter.store import batches
from meter.store.batches import Known, copy_accepted_rows
from meter.store.events import PostgresEventStore
from meter.store.port import Head
from schemas.reasons import Reason
from tests.contract.rows import plan, usage

FULL = asyncpg.ProgramLimitExceededError("cannot extend file beyond its largest size")
SPECIAL = asyncpg.StatementTooComplexError("stack depth limit exceeded")


class Refusing(PostgresEventStore):
    """Each transaction ends with the error."""

    def __init__(self, error: Exception) -> None:
        super().__init__(cast(Pool, None))
        self.tries, self._error = 0, error

    async def _transact(self, append: Callable[[Executor], Awaitable[Any]]) -> Any:
        self.tries += 1
        raise self._error


@pytest.mark.parametrize(("error", "tries"), [(FULL, 1), (SPECIAL, 2)])
async def test_the_batch_is_not_tried_row_by_row(error: Exception, tries: int) -> None:
    store = Refusing(error)
    with pytest.raises(type(error)):
        await store._append(cast(AppendPlan, None))
    assert store.tries == tries


async def try_rows(monkeypatch: pytest.MonkeyPatch, error: Exception) -> AppendPlan:
    """What becomes of two rows that the server refuses one by one."""

    async def try_copy(*_: Any) -> None:
        raise error

    async def fetch_known(*_: Any, **_options: Any) -> Known:
        return {}

    async def copy_settled(_connection: Executor, settled: Any, _head: Head) -> Any:
        return settled

    for stand_in in (try_copy, fetch_known, copy_settled):
        monkeypatch.setattr(batches, stand_in.__name__, stand_in)
    unused: Any = SimpleNamespace(next_position=1)
    settled: Any = await copy_accepted_rows(unused, plan(usage(1), usage(2), start=(1, 0)), {}, unused)
    return cast(AppendPlan, settled)


async def test_no_row_is_refused_for_a_table_that_is_at_its_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(asyncpg.ProgramLimitExceededError):
        await try_rows(monkeypatch, FULL)


async def test_a_row_that_is_too_much_for_a_statement_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    settled = await try_rows(monkeypatch, SPECIAL)
    assert [(bad.record.offset, bad.reason) for bad in settled.rejections] == [
        (1, Reason.UNSTORABLE), (2, Reason.UNSTORABLE),
    ]  # fmt: skip
    assert settled.rows == ()
