"""What every mail queue must do where the letters of a day are sent: to a contact, to an address, of an account."""

from notifier.mail.limits import Cap, DayLimits
from notifier.mail.verdict import Judgement, Verdict
from notifier.store.port import ClaimedEmail
from tests.unit.notifier.builders import ACCOUNT, AT, percent
from tests.unit.notifier.contract import ACCEPTED, LATER, Fixture, claim, hand_over, others, queue_one, save


async def find_limit(stores: Fixture, email: ClaimedEmail, limits: DayLimits) -> str | None:
    """Which limit holds the letter back."""
    cap: Cap | None = (await stores.queue.look(email, limits)).cap
    return cap.limit if cap is not None else None


class DayLimitsContract:
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
        assert await stores.queue.count() == {"waiting": 1, "due": 0, "overdue_s": 0, "oldest_s": 0, "held": 0}
        await stores.pass_s(86_400)
        due = await claim(stores)
        assert due.lines["model_credits"].line == 70
        # What a day's limit put off is not held up: it is as old as the limit is over, also when it is tried again.
        for _ in range(2):
            counts = await stores.queue.count()
            assert (counts["waiting"], counts["held"]) == (1, 0) and counts["oldest_s"] < 600
            assert await stores.queue.finish(due, LATER, 0, AT)
            due = await claim(stores)

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
