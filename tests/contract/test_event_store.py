"""One suite for every event store: what the meter relies on holds for the fake and for the real one."""

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from meter.allowance import Allowance, free_grant_id
from meter.runtime.errors import OwnershipLostError
from meter.runtime.postgres import Pool, load_sql
from meter.store.events import PostgresEventStore
from meter.store.port import EventStore
from schemas.reasons import Reason
from schemas.resources import Resource
from schemas.topics import ACCOUNTS, USAGE
from tests.contract.log import Log
from tests.contract.memory_store import MemoryEventStore
from tests.contract.rows import MOMENT, granted, opened, plan, rejected, rerouted, reversal, revoked, usage

ReadLog = Callable[[int], Awaitable[Log]]
NOTHING = Allowance(0, 0)
PRODUCERS = (("/example/a", "acc-1"), ("/example/b", "acc-1"), ("/example/a", "acc-2"))


class EventStoreContract:
    @pytest.fixture
    @abstractmethod
    def store(self) -> EventStore: ...

    @pytest.fixture
    @abstractmethod
    def read_log(self) -> ReadLog: ...

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

    async def test_a_reversal_is_linked_to_its_usage(self, store: EventStore, read_log: ReadLog) -> None:
        """By a UUID in any case, by a text, in one batch with its usage and in a later one."""
        by_uuid, by_text = usage(0, event_id="b1a7e9f0-1c7d-4a43-9d0e-5f4e1d2c3b4a"), usage(1, event_id="request 1")
        await store.append(plan(by_uuid, by_text, reversal(0, 100_000, "request 1")))
        appended = await store.append(
            plan(
                reversal(1, 250_000, by_uuid.event_id.upper()),
                reversal(2, 150_000, "request 1", reverses_source=by_text.source),
                reversal(3, 1, "request 1"),
                reversal(4, 1, "request 1", account_id="acc-2"),
                start=(2, 1),
            )
        )
        log = await read_log(0)
        assert (appended.stored, appended.rejected, appended.waiting) == (2, 2, 0)
        assert log.links == [(3, 2, 100_000), (4, 1, 250_000), (5, 2, 150_000)]
        assert log.rejections == [(ACCOUNTS, 3, "reverses_too_much"), (ACCOUNTS, 4, "reverses_unknown")]

    async def test_ids_of_many_sources_and_accounts_are_kept_apart(self, store: EventStore, read_log: ReadLog) -> None:
        uuid = "b1a7e9f0-1c7d-4a43-9d0e-5f4e1d2c3b4a"
        rows = [
            usage(3 * n + i, event_id=event_id, source=source, account_id=account)
            for n, event_id in enumerate((uuid, "request 1"))
            for i, (source, account) in enumerate(
                (("/example/a", "acc-1"), ("/example/b", "acc-1"), ("/example/a", "acc-2"))
            )
        ]
        await store.append(plan(*rows))
        named = [
            reversal(2 * n + i, 1, event_id, reverses_source=source)
            for n, event_id in enumerate((uuid, "request 1"))
            for i, source in enumerate((None, "/example/b"))
        ]
        await store.append(plan(*named, start=(6, 0)))
        log = await read_log(0)
        assert log.links == [(7, 2, 1), (8, 5, 1)]
        assert log.rejections == [(ACCOUNTS, 0, "reverses_ambiguous"), (ACCOUNTS, 2, "reverses_ambiguous")]

    async def test_a_reversal_waits_while_there_is_usage_to_read(self, store: EventStore, read_log: ReadLog) -> None:
        early = reversal(0, 250_000, "request 1")
        appended = await store.append(plan(usage(0), early, usage_end=3))
        assert (appended.stored, appended.rejected, appended.waiting) == (1, 0, 1)
        used, again = usage(1, event_id="request 1"), early._replace(offset=1)
        await store.append(plan(used, again, reversal(2, 1, "request 2"), start=(1, 1), usage_end=2))
        log = await read_log(0)
        assert log.waiting == [(ACCOUNTS, 0, "request 1")] and log.links == [(3, 2, 250_000)]
        assert log.rejections == [(ACCOUNTS, 2, "reverses_unknown")] and log.duplicates == []

    async def test_a_revocation_is_of_what_was_granted(self, store: EventStore, read_log: ReadLog) -> None:
        await store.append(plan(opened(0), granted(1, 5_000_000, event_id="order 1")))
        events = [
            revoked(2, 5_000_001, revokes="order 1"),
            revoked(3, 5_000_000, revokes="order 1"),
            revoked(4, 1, revokes="order 1"),
            revoked(5, 75_000_001),
            revoked(6, 75_000_000),
            revoked(7, 1, revokes="order 2"),
        ]
        for event in events:
            await store.append(plan(event, start=(0, event.offset)))
        log = await read_log(0)
        assert [offset for _, _, offset in log.events] == [0, 0, 0, 1, 3, 6]
        reasons = [(offset, reason) for _, offset, reason in log.rejections]
        assert reasons == [
            (2, "revokes_too_much"), (4, "revokes_too_much"), (5, "revokes_too_much"), (7, "revokes_unknown"),
        ]  # fmt: skip

    async def test_the_usage_of_a_reversal_may_be_refused(self, store: EventStore, read_log: ReadLog) -> None:
        used, other = usage(0, event_id="request 1", name="nul\x00"), usage(1, event_id="request 2")
        appended = await store.append(
            plan(used, other, reversal(0, 1, "request 1"), reversal(1, 1, "request 2", name="\x00"))
        )
        assert (appended.stored, appended.rejected) == (1, 3)
        assert (await read_log(0)).links == []

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

    @pytest.mark.not_on_citus("a transaction takes one shard there: `append_together` stores nothing, and says so")
    async def test_several_shards_together_are_stored_as_each_alone(self, store: EventStore, read_log: ReadLog) -> None:
        event, twice = usage(0), usage(0)
        await store.append(plan(event, shard=2))
        plans = [
            plan(usage(0), opened(0), rejected(USAGE, 1), end=(5, 1), shard=0),
            plan(twice, usage(1), twice._replace(offset=2), rejected(USAGE, 3), end=(6, 0), shard=1),
            plan(usage(1, event_id=event.event_id), usage(2), start=(1, 0), shard=2),
        ]
        together = await store.append_together(plans)
        assert together is not None
        assert [done[:6] for done in together] == [(0, 1, 1, 4, 4, 0), (1, 1, 1, 2, 2, 1), (2, 2, 2, 2, 1, 1)]
        alone = MemoryEventStore(3)
        await alone.append(plan(event, shard=2))
        for one in plans:
            await alone.append(one)
        for shard in range(3):
            assert replace(await read_log(shard), hashes=[]) == replace(alone.log(shard), hashes=[])

    async def test_with_a_lost_shard_none_of_several_is_stored(self, store: EventStore, read_log: ReadLog) -> None:
        plans = [plan(usage(0), shard=0), plan(usage(7), start=(7, 0), shard=1)]
        assert await store.append_together(plans) is None
        assert (await read_log(0)).events == []
        assert (await store.append(plans[0])).stored == 1

    async def test_with_a_refused_row_none_of_several_is_stored(self, store: EventStore, read_log: ReadLog) -> None:
        plans = [plan(usage(0), shard=0), plan(usage(0, name="\x00"), shard=1)]
        assert await store.append_together(plans) is None
        assert (await read_log(0)).events == []
        assert [(await store.append(one)).rejected for one in plans] == [0, 1]


class TestMemoryEventStore(EventStoreContract):
    @pytest.fixture
    def store(self) -> MemoryEventStore:
        return MemoryEventStore(3)

    @pytest.fixture
    def read_log(self, store: MemoryEventStore) -> ReadLog:
        async def read(shard: int) -> Log:
            return store.log(shard)

        return read


class TestPostgresEventStore(EventStoreContract):
    @pytest.fixture
    async def store(self, pool: Pool) -> PostgresEventStore:
        await pool.execute(load_sql("meter", "insert_shards"), 3)
        return PostgresEventStore(pool)

    @pytest.fixture
    def read_log(self, pool: Pool) -> ReadLog:
        return lambda shard: read_postgres_log(pool, shard)


async def read_postgres_log(pool: Pool, shard: int) -> Log:
    async def rows(statement: str) -> list[tuple[object, ...]]:
        return [tuple(row) for row in await pool.fetch(statement, shard)]

    return Log(
        events=await rows(  # type: ignore[arg-type]
            "SELECT position, event_id, kafka_offset FROM meter.event_log WHERE shard = $1 ORDER BY position"
        ),
        duplicates=await rows(  # type: ignore[arg-type]
            "SELECT topic, kafka_offset, id FROM meter.duplicates WHERE shard = $1 ORDER BY 1, 2"
        ),
        rejections=await rows(  # type: ignore[arg-type]
            "SELECT topic, kafka_offset, reason FROM meter.rejections WHERE shard = $1 ORDER BY topic, kafka_offset"
        ),
        gaps=await rows(  # type: ignore[arg-type]
            "SELECT topic, from_offset, to_offset FROM meter.gaps WHERE shard = $1 ORDER BY topic, from_offset"
        ),
        rerouted=await rows(  # type: ignore[arg-type]
            "SELECT topic, kafka_offset, partition FROM meter.rerouted WHERE shard = $1 ORDER BY topic, kafka_offset"
        ),
        links=await rows(  # type: ignore[arg-type]
            "SELECT position, reverses, amount FROM meter.reversals WHERE shard = $1 ORDER BY position"
        ),
        waiting=await rows(  # type: ignore[arg-type]
            "SELECT topic, kafka_offset, reverses FROM meter.waiting WHERE shard = $1 ORDER BY topic, kafka_offset"
        ),
        hashes=[row[0] for row in await rows("SELECT hash FROM meter.batches WHERE shard = $1 ORDER BY batch")],  # type: ignore[misc]
    )
