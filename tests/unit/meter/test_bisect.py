"""Halving finds every culprit, and few attempts find one."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.store.bisect import Fault, Refusal, find_refused
from schemas.records import Accepted
from tests.contract.rows import usage


class Judge:
    """Refuses rows at given offsets, as a database that names no culprit does."""

    def __init__(self, culprits: set[int]) -> None:
        self.culprits = culprits
        self.attempts = 0

    async def __call__(self, rows: Sequence[Accepted]) -> Refusal | None:
        self.attempts += 1
        bad = [row.offset for row in rows if row.offset in self.culprits]
        return Refusal(Fault.UNSTORABLE, f"row {bad[0]}") if bad else None


@given(st.integers(0, 40), st.data())
async def test_exactly_the_culprits_are_found(count: int, data: st.DataObject) -> None:
    culprits = data.draw(st.sets(st.integers(0, max(count - 1, 0)))) if count else set()
    refused = await find_refused([usage(i) for i in range(count)], Judge(culprits))
    assert [(row.offset, refusal.detail) for row, refusal in refused] == [(n, f"row {n}") for n in sorted(culprits)]


async def test_one_culprit_of_thousands_costs_few_attempts() -> None:
    judge = Judge({3_210})
    assert len(await find_refused([usage(i) for i in range(4_096)], judge)) == 1
    assert judge.attempts == 1 + 2 * 12


async def test_a_passing_fault_is_no_verdict() -> None:
    """A lost connection while looking for culprits rejects nobody."""

    async def lose(rows: Sequence[Accepted]) -> Refusal | None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await find_refused([usage(0), usage(1)], lose)
