"""What every mail queue must do with a letter, from its claim to its end, and what is owed after it."""

import pytest

from notifier.letters import Reached
from notifier.mail.verdict import Judgement, Verdict
from notifier.plan import Change
from tests.unit.notifier.builders import ACCOUNT, AT, account, percent
from tests.unit.notifier.contract import (
    ACCEPTED,
    CANCELLED,
    CLAIM_S,
    GIVEN_UP,
    IN_DOUBT,
    LATER,
    LIMITS,
    REFUSED,
    TROUBLE,
    Fixture,
    claim,
    ended,
    hand_over,
    queue_one,
    save,
)


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

    async def test_an_acceptance_is_known_to_every_process(self, stores: Fixture) -> None:
        await queue_one(stores, ("a@example.com", "b@example.com"))
        first, second = await claim(stores), await claim(stores)
        assert await hand_over(stores, first) and await hand_over(stores, second)
        assert await stores.queue.finish(first, GIVEN_UP, 0, AT)
        assert not await stores.queue.has_accepted(60)
        assert await stores.queue.finish(second, ACCEPTED, 0, AT)
        assert await stores.queue.has_accepted(60)
        assert not await stores.queue.has_accepted(0), "it was before"

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


async def level(stores: Fixture, address: str = "owner@example.com", resource: str = "model_credits") -> int:
    """The told level, as a claim of another letter would see it."""
    return (await stores.letters(ACCOUNT)).contacts[address].of(resource).level
