"""One suite for every event store: what the meter relies on holds for the fake and for the real one."""

import asyncio
from datetime import timedelta

import pytest

from meter.allowance import Allowance, free_grant_id
from meter.runtime.errors import OwnershipLostError
from meter.store.port import EventStore
from schemas.reasons import Reason
from schemas.resources import Resource
from schemas.topics import ACCOUNTS, USAGE
from tests.contract.event_store import InMemory, InPostgres, ReadLog, StoreFixtures
from tests.contract.memory_store import MemoryEventStore
from tests.contract.rows import MOMENT, opened, plan, rejected, rerouted, usage

NOTHING = Allowance(0, 0)


class EventStoreContract(StoreFixtures):
    async def test_a_fresh_shard_starts_at_offset_zero(self, store: EventStore) -> None:
        assert await store.fetch_offsets([USAGE, ACCOUNTS], [0, 2]) == {
            (USAGE, 0): 0, (ACCOUNTS, 0): 0, (USAGE, 2): 0, (ACCOUNTS, 2): 0,
        }  # fmt: skip

    async def test_a_shard_that_was_never_set_up_is_missing(self, store: EventStore) -> None:
        assert await store.fetch_offsets([USAGE], [99]) == {}

    async def test_positions_are_contiguous_over_batches(self, store: EventStore, read_log: ReadLog) -> None:
        first = [usage(i) for i in range(3)]
        second = [usage(i) for i in range(3, 5)]
        await store.append(plan(*first))
        appended = await store.append(plan(*second, start=(3, 0)))
        assert (appended.batch, appended.first_position, appended.last_position) == (2, 4, 5)
        expected = [(i + 1, row.event_id, row.offset) for i, row in enumerate([*first, *second])]
        assert (await read_log(0)).events == expected

    async def test_offsets_move_with_the_events(self, store: EventStore) -> None:
        await store.append(plan(usage(0), opened(0), end=(4, 1)))
        offsets = await store.fetch_offsets([USAGE, ACCOUNTS], [0])
        assert offsets == {(USAGE, 0): 4, (ACCOUNTS, 0): 1}

    async def test_shards_are_independent(self, store: EventStore, read_log: ReadLog) -> None:
        event = usage(0)
        await store.append(plan(event, shard=1))
        assert (await read_log(0)).events == []
        assert (await read_log(1)).events == [(1, event.event_id, 0)]

    async def test_another_expected_offset_changes_nothing(self, store: EventStore, read_log: ReadLog) -> None:
        await store.append(plan(usage(0)))
        before = await read_log(0)
        for stale in ((0, 0), (2, 0), (1, 1)):
            with pytest.raises(OwnershipLostError):
                await store.append(plan(usage(7), rejected(ACCOUNTS, 7), start=stale, end=(8, 8)))
        assert await read_log(0) == before

    async def test_an_unknown_shard_is_not_owned(self, store: EventStore) -> None:
        with pytest.raises(OwnershipLostError):
            await store.append(plan(usage(0), shard=99))

    async def test_of_competing_writers_one_wins(self, store: EventStore, read_log: ReadLog) -> None:
        """Three writers push the same offsets; each offset is stored once, whoever was faster."""
        batches = [[usage(10 * n + i) for i in range(10)] for n in range(20)]

        async def write() -> int:
            won = 0
            for n, batch in enumerate(batches):
                try:
                    await store.append(plan(*batch, start=(10 * n, 0)))
                    won += 1
                except OwnershipLostError:
                    pass
            return won

        wins = await asyncio.gather(write(), write(), write())
        log = await read_log(0)
        assert sum(wins) == len(log.hashes)
        assert [offset for _, _, offset in log.events] == list(range(10 * len(log.hashes)))
        assert [position for position, _, _ in log.events] == list(range(1, len(log.events) + 1))
        assert log.duplicates == []

    async def test_a_stored_id_is_a_duplicate(self, store: EventStore, read_log: ReadLog) -> None:
        event = usage(0)
        await store.append(plan(event))
        again, fresh = usage(1, event_id=event.event_id), usage(2)
        appended = await store.append(plan(again, fresh, start=(1, 0)))
        assert (appended.stored, appended.duplicates) == (1, 1)
        log = await read_log(0)
        assert log.events == [(1, event.event_id, 0), (2, fresh.event_id, 2)]
        assert log.duplicates == [(USAGE, 1, event.event_id)]

    async def test_a_batch_of_duplicates_alone_moves_the_offset(self, store: EventStore, read_log: ReadLog) -> None:
        events = [usage(i) for i in range(3)]
        await store.append(plan(*events))
        again = [usage(3 + i, event_id=event.event_id) for i, event in enumerate(events)]
        appended = await store.append(plan(*again, start=(3, 0)))
        assert (appended.stored, appended.first_position, appended.last_position) == (0, 4, 3)
        assert await store.fetch_offsets([USAGE], [0]) == {(USAGE, 0): 6}

    async def test_the_same_id_in_two_shards_is_stored_in_both(self, store: EventStore, read_log: ReadLog) -> None:
        """Ids are unique per shard: one account lives in one shard."""
        event = usage(0)
        await store.append(plan(event))
        await store.append(plan(event, shard=1))
        assert (await read_log(1)).events == [(1, event.event_id, 0)]

    async def test_repeats_inside_a_batch_count_once(self, store: EventStore, read_log: ReadLog) -> None:
        event = usage(0)
        appended = await store.append(plan(event, usage(1, event_id=event.event_id)))
        assert (appended.stored, appended.duplicates) == (1, 1)

    async def test_opening_is_stored_with_its_free_grants(self, store: EventStore, read_log: ReadLog) -> None:
        account = opened(0)
        await store.append(plan(account))
        grants = [free_grant_id("acc-1", resource) for resource in Resource]
        assert (await read_log(0)).events == [
            (1, account.event_id, 0), (2, grants[0], 0), (3, grants[1], 0),
        ]  # fmt: skip

    async def test_opening_again_later_grants_nothing(self, store: EventStore, read_log: ReadLog) -> None:
        await store.append(plan(opened(0)))
        again = opened(1)
        await store.append(plan(again, start=(0, 1)))
        log = await read_log(0)
        assert log.events[3:] == [(4, again.event_id, 1)]
        assert log.duplicates == []

    @pytest.mark.parametrize("first", [NOTHING, Allowance(75, 0)])
    async def test_opening_again_later_grants_nothing_that_the_first_did_not(
        self, store: EventStore, read_log: ReadLog, first: Allowance
    ) -> None:
        """Where the allowance was raised from 0 meanwhile: the amounts of the first day count. With one opening, with
        two, and with a repeat of the first and another beside an account that is new."""
        account = opened(0)
        stored = (await store.append(plan(account, allowance=first))).stored
        again, one, other = opened(1), opened(2), opened(3)
        await store.append(plan(again, start=(0, 1)))
        await store.append(plan(one, other, start=(0, 2)))
        later, new = opened(5), opened(6, account_id="acc-2")
        await store.append(plan(account._replace(offset=4), later, new, start=(0, 4)))
        expected = [again, one, other, later, new]
        log = await read_log(0)
        found = log.events[stored:]
        assert [(id, offset) for _, id, offset in found[:5]] == [(row.event_id, row.offset) for row in expected]
        assert [offset for _, _, offset in found[5:]] == [6, 6], "the new account has its free grants"
        assert log.duplicates == [(ACCOUNTS, 4, account.event_id)]

    async def test_a_repeated_opening_is_a_duplicate_as_a_whole(self, store: EventStore, read_log: ReadLog) -> None:
        """Even where the first came in while the allowance was zero, so that its grants are not there."""
        account = opened(0)
        await store.append(plan(account, allowance=NOTHING))
        await store.append(plan(opened(1, event_id=account.event_id), start=(0, 1)))
        log = await read_log(0)
        assert log.events == [(1, account.event_id, 0)]
        assert log.duplicates == [(ACCOUNTS, 1, account.event_id)]

    async def test_rejections_and_gaps_are_kept(self, store: EventStore, read_log: ReadLog) -> None:
        bad = rejected(USAGE, 1, Reason.NOT_JSON)
        appended = await store.append(plan(usage(0), bad, usage(4), end=(6, 2)))
        log = await read_log(0)
        assert (appended.stored, appended.rejected, appended.gaps) == (2, 1, 5)
        assert log.rejections == [(USAGE, 1, "not_json")]
        assert log.gaps == [(ACCOUNTS, 0, 2), (USAGE, 2, 4), (USAGE, 5, 6)]

    async def test_records_to_send_on_are_kept(self, store: EventStore, read_log: ReadLog) -> None:
        moved = [rerouted(USAGE, 1, partition=2, key=None), rerouted(ACCOUNTS, 0, headers=[("a\x00", b"\xff")])]
        appended = await store.append(plan(usage(0), *moved))
        assert (appended.stored, appended.rejected, appended.gaps, appended.rerouted) == (1, 0, 0, 2)
        assert (await read_log(0)).rerouted == [(ACCOUNTS, 0, 1), (USAGE, 1, 2)]

    async def test_an_unstorable_event_is_rejected_and_the_others_stored(
        self, store: EventStore, read_log: ReadLog
    ) -> None:
        rows = [usage(i) for i in range(9)]
        rows[3] = usage(3, name="nul\x00")
        rows[7] = usage(7, source="\x00")
        appended = await store.append(plan(*rows))
        log = await read_log(0)
        assert (appended.stored, appended.rejected) == (7, 2)
        assert log.rejections == [(USAGE, 3, "unstorable"), (USAGE, 7, "unstorable")]
        assert [offset for _, _, offset in log.events] == [0, 1, 2, 4, 5, 6, 8]

    async def test_a_batch_that_is_unstorable_throughout(self, store: EventStore, read_log: ReadLog) -> None:
        appended = await store.append(plan(*[usage(i, name="\x00") for i in range(3)]))
        assert (appended.stored, appended.rejected) == (0, 3)

    async def test_the_chain_depends_on_everything_before(self, store: EventStore, read_log: ReadLog) -> None:
        """The same second batch on two shards with different first ones has different hashes; both stores agree."""
        second = usage(1, event_id="00000000-0000-4000-8000-000000000002")
        for shard, amount in ((0, 1), (1, 2)):
            first = usage(0, event_id="00000000-0000-4000-8000-000000000001", amount=amount)
            await store.append(plan(first, shard=shard))
            await store.append(plan(second, shard=shard, start=(1, 0), at=MOMENT + timedelta(seconds=1)))
        hashes = [(await read_log(shard)).hashes for shard in (0, 1)]
        assert hashes[0][1] != hashes[1][1]
        reference = MemoryEventStore(1)
        await reference.append(plan(usage(0, event_id="00000000-0000-4000-8000-000000000001", amount=1)))
        await reference.append(plan(second, start=(1, 0), at=MOMENT + timedelta(seconds=1)))
        assert hashes[0] == reference.log(0).hashes


class TestMemoryEventStore(InMemory, EventStoreContract): ...


class TestPostgresEventStore(InPostgres, EventStoreContract): ...
