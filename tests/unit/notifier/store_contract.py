"""What every notice store must do: a batch is kept whole or not at all, and brings letters to the queue."""

from datetime import timedelta

import pytest

from meter.runtime.errors import OwnershipLostError
from notifier.decide import Channel
from notifier.model import Saved, Unreadable
from schemas.topics import BALANCES
from tests.unit.notifier.builders import ACCOUNT, AT, account, percent, record
from tests.unit.notifier.contract import CLAIM_S, Fixture, claim, others, plan_for, queue_one, save


class StoreContract:
    async def test_a_plan_is_read_back(self, stores: Fixture) -> None:
        reached, other = percent(85, 3, as_of=AT - timedelta(hours=1)), percent(3, 4, resource="tool_runs")
        plan = await save(stores, [account(1), percent(0, 2), reached, other])
        known = await stores.store.fetch_known([ACCOUNT, "unknown"], [0])
        assert list(known.accounts.values()) == list(plan.accounts)
        assert sorted(known.balances.values(), key=lambda b: b.resource) == list(plan.balances)
        assert list(known.banners.values()) == list(plan.banners)
        assert sum(map(len, known.noticed.values())) == len(plan.notices)
        assert await stores.store.fetch_offsets([BALANCES], [0, 1]) == {(BALANCES, 0): 4, (BALANCES, 1): 0}
        assert [event.envelope.type for event in await stores.published()] == ["banner.raised.v1", "email.queued.v2"]

    async def test_letters_of_one_account_leave_room_for_those_of_others(self, stores: Fixture) -> None:
        await queue_one(stores, ("a@example.com", "b@example.com", "c@example.com"))
        await save(stores, others(), shard=1)
        claimed = [await claim(stores) for _ in range(4)]
        assert [email.row.account_id for email in claimed] == [ACCOUNT, "other", ACCOUNT, ACCOUNT]
        assert await stores.queue.claim(CLAIM_S) is None

    async def test_a_claim_says_for_how_long_its_letter_was_due(self, stores: Fixture) -> None:
        await queue_one(stores)
        await stores.pass_s(30)
        assert 30 <= (await claim(stores)).overdue_s < 60

    async def test_a_new_epoch_forgets_the_lines_of_the_old_one(self, stores: Fixture) -> None:
        await save(stores, [account(1), percent(0, 2), percent(85, 3)])
        await save(stores, [percent(5, 4, epoch=2)], start=3)
        known = await stores.store.fetch_known([ACCOUNT], [0])
        assert not any(known.noticed.values()) and not known.banners
        plan = await save(stores, [percent(50, 5, epoch=2)], start=4)
        assert [row.notice.threshold for row in plan.notices if row.notice.channel is Channel.EMAIL] == [50]

    async def test_another_offset_writes_nothing(self, stores: Fixture) -> None:
        plan = await plan_for(stores, [account(1), percent(0, 2), percent(50, 3)], start=7)
        with pytest.raises(OwnershipLostError):
            await stores.store.save(plan)
        assert not (await stores.store.fetch_known([ACCOUNT], [0])).accounts
        assert await stores.published() == [] and await stores.queue.claim(CLAIM_S) is None

    async def test_the_same_plan_twice_counts_once(self, stores: Fixture) -> None:
        plan = await queue_one(stores)
        with pytest.raises(OwnershipLostError):
            await stores.store.save(plan)
        assert (await stores.queue.count())["waiting"] == 1

    @pytest.mark.not_on_citus("a transaction takes one shard there: nothing is saved together")
    async def test_plans_of_several_shards_are_saved_together(self, stores: Fixture) -> None:
        first = await plan_for(stores, [account(1), percent(0, 2), percent(50, 3)])
        second = await plan_for(stores, [Unreadable(record(b"{", 0), "not_json", "cut"), *others()], shard=1)
        third = await plan_for(stores, [Unreadable(record(b"[", 0), "not_json", "cut")], shard=2)
        assert await stores.store.save_together([first, second, third]) == [Saved(1), Saved(1), Saved(0)]
        offsets = await stores.store.fetch_offsets([BALANCES], [0, 1, 2])
        assert offsets == {(BALANCES, 0): 3, (BALANCES, 1): 4, (BALANCES, 2): 1}
        known = await stores.store.fetch_known([ACCOUNT, "other"], [0, 1])
        assert set(known.accounts) == {ACCOUNT, "other"} and len(known.banners) == 2
        assert {(await claim(stores)).row.recipient for _ in range(2)} == {"owner@example.com", "other@example.com"}
        raised = [event.envelope.account_id for event in await stores.published()]
        assert sorted(raised) == [ACCOUNT, ACCOUNT, "other", "other"]

    async def test_where_one_shard_is_elsewhere_none_is_saved(self, stores: Fixture) -> None:
        first = await plan_for(stores, [account(1), percent(0, 2), percent(50, 3)])
        second = await plan_for(stores, others(), shard=1, start=5)
        assert await stores.store.save_together([first, second]) is None
        assert await stores.store.fetch_offsets([BALANCES], [0, 1]) == {(BALANCES, 0): 0, (BALANCES, 1): 0}
        assert not (await stores.store.fetch_known([ACCOUNT, "other"], [0])).accounts
        assert await stores.published() == [] and await stores.queue.claim(CLAIM_S) is None

    async def test_unreadable_records_move_the_offset_on(self, stores: Fixture) -> None:
        await save(stores, [Unreadable(record(b"\x00{", 0), "not_json", "nul \x00 inside"), account(1)])
        assert (await stores.store.fetch_offsets([BALANCES], [0]))[BALANCES, 0] == 2
