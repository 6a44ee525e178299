"""A state machine on the real Postgres: append, crash at any point, replay, take over, fold, rebuild, verify.

The store in memory is the model: after every step both hold the same log, and the check finds it whole.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from meter.plan import AppendPlan
from meter.runtime.errors import OwnershipLostError
from meter.runtime.postgres import Pool, close_pool, create_pool, is_on_citus, is_transient, load_sql
from meter.store import batches, events, together
from meter.store.events import PostgresEventStore
from meter.store.port import Appended, EventStore
from projections.rebuild import Model, Rebuild
from projections.verify import verify as verify_models
from schemas.records import Accepted, Rejected
from schemas.topics import ACCOUNTS, USAGE
from tests.contract.log import read_postgres_log
from tests.contract.memory_store import MemoryEventStore
from tests.contract.rows import MOMENT, opened, plan, rejected, usage
from tests.integration.projections_log import fold_all
from tests.integration.tampering import fetch_anchors, find_damage
from tests.integration.usage_log import fold_usage
from tests.support.damaging import pass_triggers

SHARDS = 2
BETWEEN_STATEMENTS = ("after_compare_and_set", "in_copy")
BEFORE_COMMIT = (*BETWEEN_STATEMENTS, "before_commit")
TABLES = (
    "meter.events, meter.batches, meter.duplicates, meter.rejections, meter.replays, meter.dismissals, meter.gaps, "
    "meter.remarks, meter.openings, meter.shards, "
    "projections.cursors, projections.outbox_shards, projections.outbox, projections.balance_states, "
    "projections.usage_slots, projections.usage_totals, projections.used_items, projections.usage_zones, "
    "projections.day_names, projections.usage_months, projections.usage_day_kinds, projections.usage_summed, "
    "projections.usage_days_summed, projections.exhaustion_steps, "
    "projections.account_states"
)
SHARD_ROWS = (
    "insert_shards", "insert_projection_cursors", "insert_projection_outbox_shards", "insert_rebuild_shards",
)  # fmt: skip
T = TypeVar("T")
shards = st.integers(0, SHARDS - 1)
# One letter a record: a new event, a repeat of a stored one, garbage, an offset never delivered, an opening.
recipes = st.text("eeerbgo", max_size=6)
recipes_of_all = st.tuples(*[st.one_of(st.text("eer", max_size=6), recipes)] * SHARDS)


class LogMachine(RuleBasedStateMachine):
    dsn: str
    patch: pytest.MonkeyPatch

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.run(self.open())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def open(self) -> None:
        self.pools = [
            await create_pool(self.dsn, max_size=2, application_name=f"writer-{number}") for number in range(2)
        ]
        self.watching = await create_pool(self.dsn, max_size=1, application_name="watch")
        self.watch = await self.watching.acquire()
        self.takes_one_shard = await is_on_citus(self.watch)  # nothing is stored together there
        async with self.watch.transaction():
            await pass_triggers(self.watch)
            await self.watch.execute(f"TRUNCATE {TABLES} RESTART IDENTITY")
        for name in SHARD_ROWS:
            await self.watch.execute(load_sql("meter", name), SHARDS)
        self.stores = [PostgresEventStore(pool) for pool in self.pools]
        self.model = MemoryEventStore(SHARDS)
        self.anchors: list[tuple[int, bytes | None]] = []
        self.last: dict[int, AppendPlan] = {}
        self.number = 0

    def teardown(self) -> None:
        self.set_points(no_point)
        self.run(self.close())
        self.runner.close()

    def set_points(self, point: Any) -> None:
        for module in (batches, events, together):
            self.patch.setattr(module, "fault_point", point)

    async def close(self) -> None:
        for pool in self.pools:
            await close_pool(pool)
        await self.watching.release(self.watch)
        await close_pool(self.watching)

    @property
    def pool(self) -> Pool:
        return self.pools[0]

    async def make(self, shard: int, recipe: str) -> AppendPlan:
        at = await self.model.fetch_offsets([USAGE, ACCOUNTS], [shard])
        offset, account = at[USAGE, shard], at[ACCOUNTS, shard]
        known = [event_id for _, event_id, _ in self.model.log(shard).events]
        start = (offset, account)
        results: list[Accepted | Rejected] = []
        for letter in recipe:
            self.number += 1
            if letter == "o":
                results.append(opened(account, account_id=f"acc-{shard}-{self.number % 5}"))
                account += 1
                continue
            if letter == "e" or (letter == "r" and not known):
                results.append(usage(offset, account_id=f"acc-{shard}-{self.number % 3}"))
            elif letter == "r":
                results.append(usage(offset, account_id=f"acc-{shard}", event_id=known[self.number % len(known)]))
            elif letter == "b":
                results.append(rejected(USAGE, offset))
            offset += 1
        moment = MOMENT + timedelta(seconds=self.number)
        return plan(*results, shard=shard, start=start, end=(offset, account), at=moment)

    @initialize(recipe=recipes)
    def begin(self, recipe: str) -> None:
        self.append(0, recipe)

    @rule(shard=shards, recipe=recipes)
    def append(self, shard: int, recipe: str) -> None:
        self.last[shard] = made = self.run(self.make(shard, recipe))
        assert self.run(append(self.stores[0], made)) == self.run(self.model.append(made))

    @precondition(lambda self: not self.takes_one_shard)
    @rule(recipes_of=recipes_of_all)
    def append_together(self, recipes_of: tuple[str, ...]) -> None:
        made = [self.run(self.make(shard, recipe)) for shard, recipe in enumerate(recipes_of)]
        self.last |= {one.shard: one for one in made}
        stored = self.run(self.stores[0].append_together(made)) or []
        assert list(map(without_head, stored)) == [self.run(self.model.append(one)) for one in made]

    @precondition(lambda self: not self.takes_one_shard)
    @rule(recipes_of=recipes_of_all, at=st.sampled_from((*BEFORE_COMMIT, "after_commit")))
    def crash_together(self, recipes_of: tuple[str, ...], at: str) -> None:
        """All of them are stored, or none is."""
        made = [self.run(self.make(shard, recipe)) for shard, recipe in enumerate(recipes_of)]
        self.last |= {one.shard: one for one in made}
        self.run(self.die_in(lambda: self.stores[0].append_together(made), at))
        for one in made:
            if at == "after_commit":
                self.run(self.model.append(one))
            stored = self.run(self.stores[0].fetch_offsets([USAGE, ACCOUNTS], [one.shard]))
            assert stored == self.run(self.model.fetch_offsets([USAGE, ACCOUNTS], [one.shard]))

    @rule(shard=shards, recipe=recipes, at=st.sampled_from((*BEFORE_COMMIT, "after_commit")))
    def crash(self, shard: int, recipe: str, at: str) -> None:
        """The connection is killed at a point (or its answer lost): the offsets tell whether the batch is there."""
        self.last[shard] = made = self.run(self.make(shard, recipe))
        self.run(self.die_in(lambda: self.stores[0].append(made), at))
        stored = self.run(self.stores[0].fetch_offsets([USAGE, ACCOUNTS], [shard]))
        if at == "after_commit":
            self.run(self.model.append(made))
        assert stored == self.run(self.model.fetch_offsets([USAGE, ACCOUNTS], [shard]))

    async def die_in(self, append: Callable[[], Awaitable[object]], at: str) -> None:
        async def die(name: str) -> None:
            if name == at:
                await self.watch.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'writer-0' AND datname = current_database()"
                )
                if at == "after_commit":
                    raise ConnectionResetError("the answer to COMMIT was lost")

        if at in BETWEEN_STATEMENTS:
            self.stores[0]._heads.clear()  # else it may be one statement
        self.set_points(die)
        with pytest.raises(Exception) as caught:  # whatever it is, it must count as passing
            await append()
        self.set_points(no_point)
        assert is_transient(caught.value), repr(caught.value)
        await self.pools[0].expire_connections()

    @rule(shard=shards)
    def replay(self, shard: int) -> None:
        """The same plan again, blindly: stored if it never was, refused if it is."""
        made = self.last.get(shard)
        if made is None or made.expected == made.following:  # a batch of nothing moves no offset
            return
        results = [self.run(try_append(store, made)) for store in (self.stores[0], self.model)]
        assert results[0] == results[1]

    @rule(shard=shards, mine=recipes, theirs=recipes)
    def take_over(self, shard: int, mine: str, theirs: str) -> None:
        """A second writer was faster: what the first had in hand is refused as a whole."""
        stale, fresh = self.run(self.make(shard, mine)), self.run(self.make(shard, theirs + "e"))
        assert self.run(append(self.stores[1], fresh)) == self.run(self.model.append(fresh))
        with pytest.raises(OwnershipLostError):
            self.run(self.stores[0].append(stale))
        self.last[shard] = fresh

    @rule()
    def publish_anchors(self) -> None:
        self.anchors += self.run(fetch_anchors(self.pool))

    @rule()
    def fold_and_rebuild(self) -> None:
        """The read models follow from the log: computed anew they are the same."""
        self.run(self.check_models())

    async def check_models(self) -> None:
        await fold_all(self.pool, most_events=10)
        await fold_usage(self.pool, most_events=10)
        exchanges = await Rebuild(self.pool, list(Model), progress=lambda _events: None).run()
        assert [exchange[2:] for exchange in exchanges] == [(0, 0, 0)] * len(exchanges)
        assert [difference async for report in verify_models(self.pool) for difference in report.differences] == []

    @invariant()
    def logs_are_equal(self) -> None:
        if not hasattr(self, "model"):
            return
        for shard in range(SHARDS):
            real, wanted = self.run(read_postgres_log(self.pool, shard)), self.model.log(shard)
            assert (real.events, real.gaps) == (wanted.events, sorted(wanted.gaps))
            assert real.duplicates == sorted(wanted.duplicates)
            assert real.rejections == sorted(wanted.rejections)
            assert len(real.hashes) == len(wanted.hashes)

    @invariant()
    def the_log_is_whole(self) -> None:
        assert self.run(self.find_damage()) == []

    async def find_damage(self) -> list[Any]:
        async with self.watch.transaction(isolation="repeatable_read"):
            return list(await find_damage(self.watch, self.anchors))


async def no_point(name: str) -> None:
    pass


async def append(store: EventStore, made: AppendPlan) -> Appended:
    return without_head(await store.append(made))


def without_head(stored: Appended) -> Appended:
    """The store in memory has none."""
    return stored._replace(head=None)


async def try_append(store: Any, made: AppendPlan) -> Any:
    try:
        return await append(store, made)
    except OwnershipLostError:
        return "refused"


# The same few examples in every run, so that it takes as long every time; a number in the environment draws others.
DRAWN = os.environ.get("METERING_TEST_EXAMPLES")
EXAMPLES = settings(
    max_examples=int(DRAWN or 6),
    derandomize=DRAWN is None,
    phases=[Phase.generate],  # a failure is told at once: making it smaller takes minutes on a real database
    stateful_step_count=10,
    deadline=None,
    database=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def make_machine(dsn: str, monkeypatch: pytest.MonkeyPatch) -> type[LogMachine]:
    return type("Machine", (LogMachine,), {"dsn": dsn, "patch": monkeypatch})


def test_the_log_survives_whatever_comes(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_state_machine_as_test(make_machine(dsn, monkeypatch), settings=EXAMPLES)


def test_a_writer_without_the_fence_is_caught(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test of the machine: an UPDATE that ignores the expected offsets lets a second writer in."""
    unfenced = load_sql("meter", "advance_shard").replace(
        "AND usage_offset = $2 AND accounts_offset = $3", "AND $2::bigint >= 0 AND $3::bigint >= 0"
    )
    real = batches.sql
    monkeypatch.setattr(batches, "sql", lambda name: unfenced if name == "advance_shard" else real(name))
    machine = make_machine(dsn, monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception, asyncpg.UniqueViolationError)):
        run_state_machine_as_test(machine, settings=EXAMPLES)
