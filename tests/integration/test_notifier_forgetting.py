"""An account is forgotten while a letter is under way: the mailer ends it quietly, and keeps nothing of its reader."""

import pytest

from notifier.mail.verdict import Judgement, Phase, Result, Verdict
from notifier.store.port import ClaimedEmail
from tests.integration.test_notifier_old_letters import hand_over_one
from tests.integration.test_notifier_store import PostgresStores
from tests.integration.test_notifier_store import stores as stores
from tests.support.searching import find
from tests.unit.notifier.builders import ACCOUNT, AT, account
from tests.unit.notifier.contract import ACCEPTED, CLAIM_S, LIMITS, queue_one, save

READER = "owner@example.com"
ANSWER = Result(Phase.DOT, 550, f"<{READER}> is unknown here")
REFUSED = Judgement(Verdict.REFUSED, ANSWER, reason=f"<{READER}> is unknown here")


async def forget(stores: PostgresStores) -> None:
    await save(stores, [account(4, contacts=(), contact_ids=(), forgotten=True)], start=3)


async def read_all(stores: PostgresStores) -> list[bytes]:
    tables = ("accounts", "contacts", "told", "emails", "email_attempts")
    return [
        str(row[0]).encode() for t in tables for row in await stores.pool.fetch(f"SELECT x::text FROM notifier.{t} x")
    ]


@pytest.mark.parametrize("judgement", [ACCEPTED, REFUSED])
async def test_the_end_of_a_letter_under_way_names_nobody(stores: PostgresStores, judgement: Judgement) -> None:
    email = await hand_over_one(stores, None)
    assert find(await read_all(stores), READER) == [READER]
    await forget(stores)
    assert not await stores.queue.finish(email, judgement, 0, AT)
    assert (await stores.email(email))[0] == "cancelled"
    assert find(await read_all(stores), READER) == []


async def claim_one(stores: PostgresStores) -> ClaimedEmail:
    await queue_one(stores)
    email = await stores.queue.claim(CLAIM_S)
    assert email is not None
    return email


async def test_a_letter_that_is_claimed_is_not_sent_any_more(stores: PostgresStores) -> None:
    email = await claim_one(stores)
    await forget(stores)
    await stores.queue.look(email, LIMITS)
    assert await stores.queue.claim(CLAIM_S) is None
    assert (await stores.letters(ACCOUNT)).contacts[str(email.row.contact_id)].unsent is None
