"""What every mail queue must do about letters of which nobody knows whether they arrived, and what they say by then."""

from dataclasses import replace

import pytest

from notifier.mail.recheck import Action, Doubt, choose_step
from notifier.mail.verdict import Judgement, Phase, Result, Verdict
from tests.unit.notifier.builders import AT, account, percent
from tests.unit.notifier.contract import (
    ACCEPTED,
    CLAIM_S,
    IN_DOUBT,
    LATER,
    LIMITS,
    Fixture,
    claim,
    hand_over,
    queue_one,
    render,
    save,
)


class DoubtContract:
    async def test_a_lost_reply_to_the_dot_is_counted_at_the_next_claim(self, stores: Fixture) -> None:
        await queue_one(stores)
        email = await claim(stores)
        assert await hand_over(stores, email)
        assert await stores.queue.finish(email, IN_DOUBT, 0, AT)
        again = await claim(stores)
        assert await stores.email(again) == ("queued", 2, 1)
        assert again.lost == 1 and again.draft == email.draft
        assert await stores.queue.finish(again, ACCEPTED, 0, AT)
        assert await stores.email(again) == ("accepted", 2, 1)

    async def test_a_clear_answer_after_the_hand_over_is_not_in_doubt(self, stores: Fixture) -> None:
        await queue_one(stores)
        email = await claim(stores)
        assert await hand_over(stores, email)
        assert await stores.queue.finish(email, LATER, 0, AT)
        assert await stores.email(await claim(stores)) == ("queued", 2, 0)

    async def test_a_clear_answer_to_other_bytes_leaves_nothing_to_presume(self, stores: Fixture) -> None:
        await queue_one(stores)
        lost = await claim(stores)
        assert await hand_over(stores, lost)
        assert await stores.queue.finish(lost, IN_DOUBT, 0, AT)
        await save(stores, [percent(0, 4, epoch=2), percent(80, 5, epoch=2)], start=3)
        again = await stores.queue.claim(CLAIM_S)
        assert again is not None and again.lost == 1
        again = render(again, await stores.queue.look(again, LIMITS))
        assert await hand_over(stores, again)
        assert await stores.queue.finish(again, LATER, 0, AT)
        left = (await stores.queue.look(again, LIMITS)).letters
        assert left.contacts[again.row.recipient].lines == {}
        assert choose_step(left, again.row.recipient, Doubt(1, 3), cap=None).action is Action.RENDER
        third = await claim(stores)
        assert third.lost == 1 and third.draft is not None and ".2@" in third.draft.message_id

    @pytest.mark.parametrize("phase", [Phase.RCPT, Phase.DOT])
    async def test_a_clear_answer_leaves_bytes_in_doubt_that_were_not_handed_over_again(
        self, stores: Fixture, phase: Phase
    ) -> None:
        """Or were, as they are."""
        await queue_one(stores)
        lost = await claim(stores)
        assert await hand_over(stores, lost)
        assert await stores.queue.finish(lost, IN_DOUBT, 0, AT)
        again = await claim(stores)
        if phase is Phase.DOT:
            assert await hand_over(stores, again)
        else:
            again = replace(again, rendered=True)
        assert await stores.queue.finish(again, Judgement(Verdict.RETRY, Result(phase, 451, "later")), 0, AT)
        third = await claim(stores)
        assert (third.lost, third.draft) == (1, lost.draft)

    @pytest.mark.parametrize(("before", "now"), [(92, 100), (100, 92)])
    async def test_a_letter_that_is_wrong_about_refusals_is_not_handed_over(
        self, stores: Fixture, before: int, now: int
    ) -> None:
        """Its line is the same: none is at 100 %."""
        await save(stores, [account(1), percent(0, 2), percent(before, 3)])
        email = await claim(stores)
        await save(stores, [percent(now, 4)], start=3)
        assert not await hand_over(stores, email)
        again = await claim(stores)
        assert await hand_over(stores, again)
        assert await stores.queue.finish(again, IN_DOUBT, 0, AT)
        await save(stores, [percent(before, 5)], start=4)
        left = (await stores.queue.look(again, LIMITS)).letters
        assert choose_step(left, again.row.recipient, Doubt(1, 3), cap=None).action is Action.RENDER
        await save(stores, [percent(now, 6)], start=5)
        left = (await stores.queue.look(again, LIMITS)).letters
        assert choose_step(left, again.row.recipient, Doubt(1, 3), cap=None).action is Action.REPEAT
