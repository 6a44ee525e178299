"""What becomes of each record is the same wherever batches are cut: a restored database cuts anew."""

import asyncio
from collections.abc import Sequence
from itertools import chain, combinations

from hypothesis import example, given, settings

from schemas.amounts import MICRO
from schemas.codes import CODES
from schemas.records import Accepted, Outcome
from tests.contract.memory_store import MemoryEventStore
from tests.unit.meter.cutting import Told, append_one_by_one, others_of, play, tell
from tests.unit.meter.histories import Drawn, Writer, histories


def test_every_type_of_event_is_drawn() -> None:
    drawn: set[int] = set()

    @settings(database=None, max_examples=400, derandomize=True)
    @given(histories(12))
    def look(history: list[Drawn]) -> None:
        drawn.update(row.type for row in Writer(in_order=False).write(history) if isinstance(row, Accepted))

    look()
    assert drawn == set(CODES.values())


def tell_cut(results: Sequence[Outcome], cuts: Sequence[int]) -> Told:
    return tell(asyncio.run(play(results, cuts)))


@given(histories(12))
def test_a_batch_is_what_its_records_are_one_by_one(drawn: list[Drawn]) -> None:
    """In the order that it gives them: whatever they are, and whichever topic was read first."""
    results = list(Writer(in_order=False).write(drawn))
    together, alone = asyncio.run(play(results, ())), MemoryEventStore(1)
    asyncio.run(append_one_by_one(alone, results))
    assert together._shards[0].rows == alone._shards[0].rows
    assert others_of(together) == others_of(alone)
    assert together.log(0).links == alone.log(0).links


@given(histories(6))
@example(
    [
        ("acc-1", ("account.opened.v1", ("order 1", 0, "no"))),
        ("acc-1", ("use", (1, "order 2", 75 * MICRO, "no"))),
        ("acc-1", ("reverse", ("order 2", MICRO, 0, "no"))),
        ("acc-1", ("account.renamed.v1", ("order 2", 0, "no"))),
        ("acc-1", ("account.closed.v1", ("order 3", 0, "no"))),
        ("acc-1", ("revoke", ("order 4", MICRO, None, "no"))),
    ]
)
def test_an_outcome_does_not_depend_on_where_batches_are_cut(drawn: list[Drawn]) -> None:
    """Nor does the order in which records of an account's topic are stored. Every cut is tried."""
    results = list(Writer(in_order=True).write(drawn))
    places = range(1, len(results))
    told = tell_cut(results, ())
    for cuts in chain.from_iterable(combinations(places, count) for count in range(1, len(results))):
        assert tell_cut(results, cuts) == told, cuts
    for rows in told.accounts.values():
        assert [row.offset for row in rows] == sorted(row.offset for row in rows), "in the order of the offsets"


@given(histories(20))
def test_nor_does_it_in_longer_histories(drawn: list[Drawn]) -> None:
    results = list(Writer(in_order=True).write(drawn))
    told = tell_cut(results, ())
    for size in (1, 2, 3, 7):
        assert tell_cut(results, range(size, len(results), size)) == told, size
