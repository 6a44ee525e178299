"""What every notice store and mail queue must do. Run against the fake here and against Postgres in the integration
tests: a `Fixture` brings the stores, and a way to let time pass and to look inside."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import pytest

from meter.runtime.errors import OwnershipLostError
from notifier.decide import BalanceSnapshot, Thresholds
from notifier.mail.verdict import Judgement, Phase, Result, Verdict
from notifier.model import AccountSnapshot, NotifyPlan, Unreadable
from notifier.plan import Change, plan_notices
from notifier.store.port import ClaimedEmail, MailQueue, NoticeStore
from schemas.build import Decoded
from schemas.topics import BALANCES
from tests.unit.notifier.builders import ACCOUNT, AT, RENDERER, account, percent, record

CLAIM_S = 300.0
SENT = Judgement(Verdict.SENT, Result(Phase.DOT, 250, "ok"))
REFUSED = Judgement(Verdict.FAILED, Result(Phase.RCPT, 550, "no such user"), "reply 550")
LATER = Judgement(Verdict.RETRY, Result(Phase.RCPT, 451, "later"), "reply 451")
IN_DOUBT = Judgement(Verdict.RETRY, Result(Phase.DOT, None, "lost"), "no reply")
TROUBLE = Judgement(Verdict.TROUBLE, Result(Phase.AUTH, 535, "no"), "reply 535", fault=True)


class HasStore(Protocol):
    @property
    def store(self) -> NoticeStore: ...


class Fixture(HasStore, Protocol):
    @property
    def queue(self) -> MailQueue: ...
    async def pass_s(self, seconds: float) -> None: ...
    async def published(self) -> list[Decoded]: ...
    async def email(self, email: ClaimedEmail) -> tuple[str, int, int]:
        """State, attempts, ambiguous attempts."""
        ...


async def plan_for(
    stores: HasStore, changes: Sequence[Change | Unreadable], *, shard: int = 0, start: int = 0
) -> NotifyPlan:
    ids = {change.account_id for change in changes if not isinstance(change, Unreadable)}
    known = await stores.store.fetch_known(ids)
    return plan_notices(
        changes,
        known,
        Thresholds(),
        RENDERER,
        topic=BALANCES,
        shard=shard,
        start=start,
        end=start + len(changes),
        at=AT,
    )


async def save(
    stores: HasStore, changes: Sequence[Change | Unreadable], *, shard: int = 0, start: int = 0
) -> NotifyPlan:
    plan = await plan_for(stores, changes, shard=shard, start=start)
    await stores.store.save(plan)
    return plan


async def queue_one(stores: HasStore, contacts: tuple[str, ...] = ("owner@example.com",)) -> NotifyPlan:
    return await save(stores, [account(1, contacts=contacts), percent(0, 2), percent(50, 3)])


def others() -> list[Change]:
    """What `queue_one` saves, of an account of another shard."""
    mine: list[Change] = [account(1, contacts=("other@example.com",)), percent(0, 2), percent(50, 3)]
    return [replace(change, account_id="other", shard=1) for change in mine]


async def claim(stores: Fixture) -> ClaimedEmail:
    email = await stores.queue.claim(CLAIM_S)
    assert email is not None
    return email


class StoreContract:
    async def test_a_plan_is_read_back(self, stores: Fixture) -> None:
        plan = await save(stores, [account(1), percent(0, 2), percent(85, 3), percent(3, 4, resource="tool_runs")])
        known = await stores.store.fetch_known([ACCOUNT, "unknown"])
        assert list(known.accounts.values()) == list(plan.accounts)
        assert sorted(known.balances.values(), key=lambda b: b.resource) == list(plan.balances)
        assert list(known.banners.values()) == list(plan.banners)
        assert sum(map(len, known.noticed.values())) == len(plan.notices)
        assert await stores.store.fetch_offsets([BALANCES], [0, 1]) == {(BALANCES, 0): 4, (BALANCES, 1): 0}
        assert [event.envelope.type for event in await stores.published()] == ["banner.raised.v1", "email.queued.v1"]

    async def test_a_new_epoch_forgets_the_lines_of_the_old_one(self, stores: Fixture) -> None:
        await save(stores, [account(1), percent(0, 2), percent(85, 3)])
        await save(stores, [percent(5, 4, epoch=2)], start=3)
        known = await stores.store.fetch_known([ACCOUNT])
        assert not any(known.noticed.values()) and not known.banners
        plan = await save(stores, [percent(50, 5, epoch=2)], start=4)
        assert [email.recipient for email in plan.emails] == ["owner@example.com"]

    async def test_another_offset_writes_nothing(self, stores: Fixture) -> None:
        plan = await plan_for(stores, [account(1), percent(0, 2), percent(50, 3)], start=7)
        with pytest.raises(OwnershipLostError):
            await stores.store.save(plan)
        assert not (await stores.store.fetch_known([ACCOUNT])).accounts
        assert await stores.published() == [] and await stores.queue.claim(CLAIM_S) is None

    async def test_the_same_plan_twice_counts_once(self, stores: Fixture) -> None:
        plan = await queue_one(stores)
        with pytest.raises(OwnershipLostError):
            await stores.store.save(plan)
        assert (await stores.queue.count())["waiting"] == 1

    async def test_plans_of_several_shards_are_saved_together(self, stores: Fixture) -> None:
        first = await plan_for(stores, [account(1), percent(0, 2), percent(50, 3)])
        second = await plan_for(stores, [Unreadable(record(b"{", 0), "not_json", "cut"), *others()], shard=1)
        third = await plan_for(stores, [Unreadable(record(b"[", 0), "not_json", "cut")], shard=2)
        assert await stores.store.save_together([first, second, third])
        offsets = await stores.store.fetch_offsets([BALANCES], [0, 1, 2])
        assert offsets == {(BALANCES, 0): 3, (BALANCES, 1): 4, (BALANCES, 2): 1}
        known = await stores.store.fetch_known([ACCOUNT, "other"])
        assert set(known.accounts) == {ACCOUNT, "other"} and len(known.banners) == 2
        assert {(await claim(stores)).recipient for _ in range(2)} == {"owner@example.com", "other@example.com"}
        raised = [event.envelope.account_id for event in await stores.published()]
        assert sorted(raised) == [ACCOUNT, ACCOUNT, "other", "other"]

    async def test_where_one_shard_is_elsewhere_none_is_saved(self, stores: Fixture) -> None:
        first = await plan_for(stores, [account(1), percent(0, 2), percent(50, 3)])
        second = await plan_for(stores, others(), shard=1, start=5)
        assert not await stores.store.save_together([first, second])
        assert await stores.store.fetch_offsets([BALANCES], [0, 1]) == {(BALANCES, 0): 0, (BALANCES, 1): 0}
        assert not (await stores.store.fetch_known([ACCOUNT, "other"])).accounts
        assert await stores.published() == [] and await stores.queue.claim(CLAIM_S) is None

    async def test_unreadable_records_move_the_offset_on(self, stores: Fixture) -> None:
        await save(stores, [Unreadable(record(b"\x00{", 0), "not_json", "nul \x00 inside"), account(1)])
        assert (await stores.store.fetch_offsets([BALANCES], [0]))[BALANCES, 0] == 2


class QueueContract:
    async def test_a_claim_brings_all_that_is_needed(self, stores: Fixture) -> None:
        plan = await queue_one(stores)
        email = await claim(stores)
        assert (email.recipient, email.message) == ("owner@example.com", plan.emails[0].message)
        assert (email.threshold, email.crossed, email.now) == (50, percent(50, 3), percent(50, 3))
        assert email.is_contact and (email.claim, email.attempts) == (1, 1)
        assert await stores.queue.claim(CLAIM_S) is None

    async def test_each_contact_is_claimed_once(self, stores: Fixture) -> None:
        await queue_one(stores, ("a@example.com", "b@example.com"))
        assert {(await claim(stores)).recipient, (await claim(stores)).recipient} == {"a@example.com", "b@example.com"}
        assert await stores.queue.count() == {"waiting": 2, "due": 0}

    async def test_sent_is_the_end_and_is_told(self, stores: Fixture) -> None:
        await queue_one(stores)
        email = await claim(stores)
        assert await stores.queue.hand_over(email, CLAIM_S)
        assert await stores.queue.finish(email, SENT, 0, AT)
        await stores.pass_s(1e6)
        assert await stores.queue.claim(CLAIM_S) is None
        assert await stores.email(email) == ("sent", 1, 0)
        assert (await stores.published())[-1].envelope.type == "email.sent.v1"
        assert not await stores.queue.finish(email, REFUSED, 0, AT)

    async def test_a_refusal_is_the_end_and_is_told_with_its_reason(self, stores: Fixture) -> None:
        await queue_one(stores)
        email = await claim(stores)
        assert await stores.queue.finish(email, REFUSED, 0, AT)
        assert await stores.email(email) == ("failed", 1, 0)
        told = (await stores.published())[-1]
        assert told.envelope.type == "email.failed.v1" and "550" in str(told.data)
        assert "owner@example.com" not in str(told.data)

    async def test_a_retry_waits_for_its_pause_and_counts(self, stores: Fixture) -> None:
        await queue_one(stores)
        email = await claim(stores)
        assert await stores.queue.finish(email, LATER, 60, AT)
        assert await stores.queue.claim(CLAIM_S) is None
        await stores.pass_s(61)
        again = await claim(stores)
        assert (again.claim, again.attempts, again.message) == (2, 2, email.message)

    async def test_trouble_costs_no_try(self, stores: Fixture) -> None:
        await queue_one(stores)
        for number in (1, 2, 3):
            email = await claim(stores)
            assert (email.claim, email.attempts) == (number, 1)
            assert await stores.queue.finish(email, TROUBLE, 0, AT)

    async def test_a_lost_reply_to_the_dot_is_counted_at_the_next_claim(self, stores: Fixture) -> None:
        await queue_one(stores)
        email = await claim(stores)
        assert await stores.queue.hand_over(email, CLAIM_S)
        assert await stores.queue.finish(email, IN_DOUBT, 0, AT)
        again = await claim(stores)
        assert await stores.email(again) == ("queued", 2, 1)
        assert await stores.queue.finish(again, SENT, 0, AT)
        assert await stores.email(again) == ("sent", 2, 1)

    async def test_a_clear_answer_after_the_hand_over_is_not_in_doubt(self, stores: Fixture) -> None:
        await queue_one(stores)
        email = await claim(stores)
        assert await stores.queue.hand_over(email, CLAIM_S)
        assert await stores.queue.finish(email, LATER, 0, AT)
        assert await stores.email(await claim(stores)) == ("queued", 2, 0)

    async def test_giving_up_in_doubt_is_counted(self, stores: Fixture) -> None:
        await queue_one(stores)
        email = await claim(stores)
        assert await stores.queue.hand_over(email, CLAIM_S)
        assert await stores.queue.finish(email, Judgement(Verdict.FAILED, IN_DOUBT.result, "given up"), 0, AT)
        assert await stores.email(email) == ("failed", 1, 1)

    async def test_a_mailer_that_died_loses_its_claim(self, stores: Fixture) -> None:
        await queue_one(stores)
        late = await claim(stores)
        await stores.pass_s(CLAIM_S + 1)
        other = await claim(stores)
        assert (other.claim, other.email_id) == (2, late.email_id)
        assert not await stores.queue.hand_over(late, CLAIM_S)
        assert not await stores.queue.finish(late, LATER, 0, AT)
        assert await stores.queue.hand_over(other, CLAIM_S)

    async def test_a_mailer_that_died_after_the_hand_over_leaves_an_attempt_in_doubt(self, stores: Fixture) -> None:
        await queue_one(stores)
        late = await claim(stores)
        assert await stores.queue.hand_over(late, 600)
        await stores.pass_s(CLAIM_S + 1)
        assert await stores.queue.claim(CLAIM_S) is None  # the hand-over prolonged the claim
        await stores.pass_s(300)
        assert await stores.email(await claim(stores)) == ("queued", 2, 1)

    async def test_that_it_was_sent_counts_even_when_the_claim_is_lost(self, stores: Fixture) -> None:
        await queue_one(stores)
        late = await claim(stores)
        assert await stores.queue.hand_over(late, 1)
        await stores.pass_s(2)
        other = await claim(stores)
        assert await stores.queue.finish(late, SENT, 0, AT)
        assert not await stores.queue.hand_over(other, CLAIM_S)
        assert not await stores.queue.finish(other, REFUSED, 0, AT)
        assert (await stores.email(late))[0] == "sent"

    async def test_a_claim_sees_what_has_changed_since(self, stores: Fixture) -> None:
        await queue_one(stores)
        gone: list[BalanceSnapshot | AccountSnapshot] = [
            percent(5, 4, epoch=2),
            account(5, contacts=("new@example.com",)),
        ]
        await save(stores, gone, start=3)
        email = await claim(stores)
        assert email.now == percent(5, 4, epoch=2) and not email.is_contact
