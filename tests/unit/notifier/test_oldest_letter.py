"""How long a letter has been owed shows, however often it was tried meanwhile."""

from notifier.store.port import ClaimedEmail
from tests.unit.notifier.builders import AT
from tests.unit.notifier.contract import CLAIM_S, TROUBLE, queue_one
from tests.unit.notifier.test_fakes import FakeStores
from tests.unit.notifier.test_fakes import stores as stores

HOUR_S = 3600.0


async def try_it(stores: FakeStores) -> ClaimedEmail:
    email = await stores.queue.claim(CLAIM_S)
    assert email is not None
    return email


async def test_a_letter_that_waits_through_an_outage_is_as_old_as_it_is(stores: FakeStores) -> None:
    await queue_one(stores)
    for hours in (1, 2, 3):
        await stores.pass_s(HOUR_S)
        email = await try_it(stores)
        owed = {"waiting": 1, "overdue_s": 0, "oldest_s": hours * HOUR_S, "held": hours > 1}
        assert await stores.queue.count() == owed | {"due": 0}
        await stores.queue.finish(email, TROUBLE, 0, AT)
        assert await stores.queue.count() == owed | {"due": 1}


async def test_one_that_was_never_tried_counts_from_when_it_is_due(stores: FakeStores) -> None:
    stores.store.pause_s = 3
    await queue_one(stores)
    await stores.pass_s(2)
    assert (await stores.queue.count())["oldest_s"] == 0
    await stores.pass_s(2)
    assert (await stores.queue.count())["oldest_s"] == 4


async def test_nothing_that_waits_is_of_no_age(stores: FakeStores) -> None:
    assert await stores.queue.count() == {"waiting": 0, "due": 0, "overdue_s": 0, "oldest_s": 0, "held": 0}
