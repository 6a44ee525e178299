"""What every notice store and mail queue must do. Run against the fake here and against Postgres in the integration
tests: a `Fixture` brings the stores, and a way to let time pass and to look inside."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

import pytest

from meter.runtime.errors import OwnershipLostError
from notifier.decide import Channel, Thresholds
from notifier.letters import Letters, Reached
from notifier.mail.drafting import make_draft
from notifier.mail.limits import Cap, DayLimits
from notifier.mail.verdict import Judgement, Phase, Result, Verdict
from notifier.model import NotifyPlan, Saved, Unreadable
from notifier.plan import Change, plan_notices
from notifier.store.port import ClaimedEmail, MailQueue, NoticeStore, Outlook
from schemas.build import Decoded
from schemas.outputs import EmailEnded
from schemas.topics import BALANCES
from tests.unit.notifier.builders import ACCOUNT, AT, RENDERER, account, percent, record

CLAIM_S = 300.0
LIMITS = DayLimits(50, 50, 50)
ACCEPTED = Judgement(Verdict.ACCEPTED, Result(Phase.DOT, 250, "ok"))
REFUSED = Judgement(Verdict.REFUSED, Result(Phase.RCPT, 550, "5.1.1 no such user"), "reply 550")
GIVEN_UP = Judgement(Verdict.GIVEN_UP, Result(Phase.DOT, 554, "5.6.0 bad content"), "reply 554")
CANCELLED = Judgement(Verdict.CANCELLED, None, "no line is reached any more")
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
    async def letters(self, account_id: str) -> Letters: ...
    async def email(self, email: ClaimedEmail) -> tuple[str, int, int]:
        """State, attempts, ambiguous attempts."""
        ...


async def plan_for(
    stores: HasStore, changes: Sequence[Change | Unreadable], *, shard: int = 0, start: int = 0
) -> NotifyPlan:
    ids = {change.account_id for change in changes if not isinstance(change, Unreadable)}
    known = await stores.store.fetch_known(ids, [shard])
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
    """With the bytes that its mailer would send."""
    email = await stores.queue.claim(CLAIM_S)
    assert email is not None
    outlook = await stores.queue.look(email, LIMITS)
    return email if email.draft is not None else render(email, outlook)


def render(email: ClaimedEmail, outlook: Outlook) -> ClaimedEmail:
    return replace(email, draft=make_draft(email, outlook, RENDERER, AT), rendered=True)


async def find_limit(stores: Fixture, email: ClaimedEmail, limits: DayLimits) -> str | None:
    """Which limit holds the letter back."""
    cap: Cap | None = (await stores.queue.look(email, limits)).cap
    return cap.limit if cap is not None else None


async def hand_over(stores: Fixture, email: ClaimedEmail, claim_s: float = CLAIM_S) -> bool:
    return await stores.queue.hand_over(email, claim_s)


async def ended(stores: Fixture) -> list[EmailEnded]:
    return [event.data for event in await stores.published() if isinstance(event.data, EmailEnded)]


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


class QueueContract:
    async def test_a_claim_and_a_look_bring_all_that_is_needed(self, stores: Fixture) -> None:
        await queue_one(stores)
        email = await stores.queue.claim(CLAIM_S)
        assert email is not None and email.draft is None
        assert (email.row.recipient, email.row.account_id, email.row.shard) == ("owner@example.com", ACCOUNT, 0)
        assert (email.claim, email.attempts, email.lost) == (1, 1, 0)
        outlook = await stores.queue.look(email, LIMITS)
        assert (outlook.offset, outlook.account, outlook.cap) == (3, account(1), None)
        assert list(outlook.balances) == [percent(50, 3, line=50)]
        assert outlook.letters.reached == {"model_credits": Reached(1, 50)}
        assert outlook.letters.contacts["owner@example.com"].unsent == email.row.email_id
        assert await stores.queue.claim(CLAIM_S) is None

    async def test_each_contact_is_claimed_once(self, stores: Fixture) -> None:
        await queue_one(stores, ("a@example.com", "b@example.com"))
        assert {(await claim(stores)).row.recipient for _ in range(2)} == {"a@example.com", "b@example.com"}
        assert {"waiting": 2, "due": 0, "overdue_s": 0}.items() <= (await stores.queue.count()).items()

    async def test_acceptance_is_the_end_and_is_told(self, stores: Fixture) -> None:
        await queue_one(stores)
        email = await claim(stores)
        assert await hand_over(stores, email)
        assert await stores.queue.finish(email, ACCEPTED, 0, AT)
        await stores.pass_s(1e6)
        assert await stores.queue.claim(CLAIM_S) is None
        assert await stores.email(email) == ("accepted", 1, 0)
        [told] = await ended(stores)
        assert (told.outcome, [(line.threshold, line.position) for line in told.lines]) == ("accepted", [(50, 3)])
        assert await level(stores) == 50
        assert not await stores.queue.finish(email, REFUSED, 0, AT)

    async def test_a_refusal_is_the_end_and_is_told_with_its_reason(self, stores: Fixture) -> None:
        await queue_one(stores)
        email = await claim(stores)
        assert await stores.queue.finish(email, REFUSED, 0, AT)
        assert await stores.email(email) == ("refused", 1, 0)
        [told] = await ended(stores)
        assert told.outcome == "refused" and "550" in str(told.reason) and told.lines == ()
        assert all("owner@example.com" not in str(event.data) for event in await stores.published())
        await save(stores, [percent(85, 4)], start=3)
        assert (await stores.queue.count())["waiting"] == 0 and await level(stores) == 0

    async def test_a_retry_waits_for_its_pause_and_counts(self, stores: Fixture) -> None:
        await queue_one(stores)
        email = await claim(stores)
        assert await stores.queue.finish(email, LATER, 60, AT)
        assert await stores.queue.claim(CLAIM_S) is None
        await stores.pass_s(61)
        again = await claim(stores)
        assert (again.claim, again.attempts, again.lost) == (2, 2, 0)

    async def test_trouble_costs_no_try(self, stores: Fixture) -> None:
        await queue_one(stores)
        for number in (1, 2, 3):
            email = await claim(stores)
            assert (email.claim, email.attempts) == (number, 1)
            assert await stores.queue.finish(email, TROUBLE, 0, AT)

    async def test_a_presumed_letter_counts_as_told(self, stores: Fixture) -> None:
        await queue_one(stores)
        email = await claim(stores)
        assert await hand_over(stores, email)
        assert await stores.queue.finish(email, Judgement(Verdict.PRESUMED, IN_DOUBT.result, "lost"), 0, AT)
        assert await stores.email(email) == ("presumed", 1, 1)
        assert await level(stores) == 50

    async def test_a_mailer_that_died_loses_its_claim(self, stores: Fixture) -> None:
        await queue_one(stores)
        late = await claim(stores)
        await stores.pass_s(CLAIM_S + 1)
        other = await claim(stores)
        assert (other.claim, other.row.email_id) == (2, late.row.email_id)
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
        assert await stores.queue.finish(late, ACCEPTED, 0, AT)
        assert not await stores.queue.hand_over(other, CLAIM_S)
        assert not await stores.queue.finish(other, REFUSED, 0, AT)
        assert (await stores.email(late))[0] == "accepted"

    async def test_a_look_sees_what_has_changed_since(self, stores: Fixture) -> None:
        await queue_one(stores)
        email = await claim(stores)
        gone: list[Change] = [percent(5, 4, epoch=2), account(5, contacts=("new@example.com",))]
        await save(stores, gone, start=3)
        outlook = await stores.queue.look(email, LIMITS)
        assert outlook.offset == 5 and list(outlook.balances) == [percent(5, 4, epoch=2)]
        assert not outlook.letters.contacts["owner@example.com"].is_contact

    @pytest.mark.parametrize(
        "change", [percent(70, 4), percent(60, 4, epoch=2), percent(40, 4), account(4, contacts=())]
    )
    async def test_what_is_no_longer_to_be_said_is_not_handed_over(self, stores: Fixture, change: Change) -> None:
        await queue_one(stores)
        email = await claim(stores)
        await save(stores, [change], start=3)
        assert not await hand_over(stores, email)
        assert await stores.email(email) == ("queued", 0, 0)
        again = await stores.queue.claim(CLAIM_S)
        assert again is not None and (again.row, again.claim, again.draft) == (email.row, 2, None)

    async def test_further_lines_make_no_second_letter_while_one_waits(self, stores: Fixture) -> None:
        await queue_one(stores)
        await save(stores, [percent(72, 4), percent(85, 5), percent(60, 6, resource="tool_runs")], start=3)
        counts = await stores.queue.count()
        assert (counts["waiting"], counts["due"]) == (1, 1) and counts["overdue_s"] >= 0
        email = await claim(stores)
        assert {name: shown.line for name, shown in email.lines.items()} == {"model_credits": 80, "tool_runs": 50}
        assert await hand_over(stores, email)
        assert await stores.queue.finish(email, ACCEPTED, 0, AT)
        assert (await stores.queue.count())["waiting"] == 0
        assert [await level(stores, resource=name) for name in ("model_credits", "tool_runs")] == [80, 50]

    async def test_a_line_reached_while_a_letter_is_on_its_way_gets_one_of_its_own(self, stores: Fixture) -> None:
        await queue_one(stores)
        email = await claim(stores)
        assert await hand_over(stores, email)
        await save(stores, [percent(72, 4)], start=3)
        assert await stores.queue.finish(email, ACCEPTED, 0, AT)
        following = await claim(stores)
        assert following.row.email_id != email.row.email_id and following.lines["model_credits"].line == 70

    async def test_an_acceptance_counts_in_the_epoch_of_its_bytes(self, stores: Fixture) -> None:
        await save(stores, [account(1), percent(0, 2), percent(92, 3)])
        email = await claim(stores)
        assert await hand_over(stores, email)
        await save(stores, [percent(55, 4, epoch=2), percent(75, 5, epoch=2)], start=3)
        assert await stores.queue.finish(email, ACCEPTED, 0, AT)
        assert await level(stores) == 50 and (await claim(stores)).lines["model_credits"].line == 70

    async def test_what_was_given_up_waits_for_the_next_line(self, stores: Fixture) -> None:
        await queue_one(stores)
        assert await stores.queue.finish(await claim(stores), GIVEN_UP, 0, AT)
        await save(stores, [percent(40, 4), percent(55, 5)], start=3)
        assert (await stores.queue.count())["waiting"] == 0 and await level(stores) == 0
        await save(stores, [percent(75, 6)], start=5)
        assert (await claim(stores)).lines["model_credits"].line == 70

    async def test_what_was_cancelled_is_owed_when_it_is_true_again(self, stores: Fixture) -> None:
        await queue_one(stores)
        email = await claim(stores)
        await save(stores, [percent(40, 4)], start=3)
        assert await stores.queue.finish(email, CANCELLED, 0, AT)
        assert [told.outcome for told in await ended(stores)] == ["cancelled"]
        await save(stores, [percent(56, 5)], start=4)
        assert (await claim(stores)).lines["model_credits"].line == 50

    async def test_a_contact_who_comes_later_is_told(self, stores: Fixture) -> None:
        await save(stores, [account(1, contacts=()), percent(0, 2), percent(93, 3)])
        assert (await stores.queue.count())["waiting"] == 0
        await save(stores, [account(4, contacts=("new@example.com",))], start=3)
        assert (await claim(stores)).row.recipient == "new@example.com"

    async def test_a_closed_account_is_owed_nothing_until_it_is_reopened(self, stores: Fixture) -> None:
        await save(stores, [account(1, is_open=False), percent(0, 2), percent(93, 3)])
        assert (await stores.queue.count())["waiting"] == 0
        assert not (await stores.store.fetch_known([ACCOUNT], [0])).banners
        await save(stores, [account(4)], start=3)
        assert (await stores.queue.count())["waiting"] == 1

    async def test_letters_of_one_day_are_limited_and_what_is_owed_waits(self, stores: Fixture) -> None:
        await queue_one(stores)
        email = await claim(stores)
        assert await hand_over(stores, email)
        assert await stores.queue.finish(email, ACCEPTED, 0, AT)
        await save(stores, [percent(72, 4)], start=3)
        following = await claim(stores)
        assert (await stores.queue.look(following, DayLimits(2, 2, 2))).cap is None
        waits = []
        for limits in (DayLimits(1, 2, 2), DayLimits(2, 1, 2), DayLimits(2, 2, 1)):
            cap = (await stores.queue.look(following, limits)).cap
            assert cap is not None and getattr(limits, cap.limit) == 1
            waits.append(cap.wait_s)
        assert all(86_000 < wait_s <= 86_400 for wait_s in waits)
        assert await stores.queue.finish(following, Judgement(Verdict.CAPPED, None, "too many"), waits[0], AT)
        assert await stores.queue.count() == {"waiting": 1, "due": 0, "overdue_s": 0, "oldest_s": 0}
        await stores.pass_s(86_400)
        assert (await claim(stores)).lines["model_credits"].line == 70

    async def test_an_address_is_limited_over_all_accounts_in_any_spelling(self, stores: Fixture) -> None:
        await queue_one(stores, ("OTHER@Example.com",))
        first = await claim(stores)
        assert await hand_over(stores, first)
        assert await stores.queue.finish(first, ACCEPTED, 0, AT)
        await save(stores, others(), shard=1)
        following = await claim(stores)
        assert following.row.account_id == "other"
        assert await find_limit(stores, following, DayLimits(1, 2, 1)) is None
        assert await find_limit(stores, following, DayLimits(1, 1, 1)) == "address"

    async def test_an_account_is_limited_over_all_its_contacts(self, stores: Fixture) -> None:
        await queue_one(stores, ("a@example.com", "b@example.com"))
        first = await claim(stores)
        assert await hand_over(stores, first)
        assert await stores.queue.finish(first, ACCEPTED, 0, AT)
        await save(stores, others(), shard=1)
        following = [await claim(stores) for _ in range(2)]
        found = {email.row.account_id: await find_limit(stores, email, DayLimits(1, 1, 1)) for email in following}
        assert found == {ACCOUNT: "account", "other": None}


async def level(stores: Fixture, address: str = "owner@example.com", resource: str = "model_credits") -> int:
    """The told level, as a claim of another letter would see it."""
    return (await stores.letters(ACCOUNT)).contacts[address].of(resource).level
