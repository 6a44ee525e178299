"""Every try of a letter comes to an end that is kept, or is not kept at all: none looks as if it still went on."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from notifier.mail.verdict import Judgement, Phase, Result, Verdict
from notifier.store.port import ClaimedEmail
from notifier.store.report import Report
from tests.integration.test_notifier_forgetting import FORGOTTEN
from tests.integration.test_notifier_store import PostgresStores
from tests.integration.test_notifier_store import stores as stores
from tests.unit.notifier.builders import AT, percent
from tests.unit.notifier.contract import CLAIM_S, claim, hand_over, queue_one, save

Row = tuple[int, str | None, str | None, str | None]


async def read_tries(stores: PostgresStores, email_id: UUID) -> list[Row]:
    """Claim, outcome, phase and detail of those that have ended; None in place of the outcome of others."""
    rows = await Report(stores.pool).list_attempts(email_id)
    assert all((row["ended_at"] is None) == (row["outcome"] is None) for row in rows)
    return [(row["claim"], row["outcome"], row["phase"], row["detail"]) for row in rows]


async def test_a_letter_that_changes_before_its_dot_ends_its_try(stores: PostgresStores) -> None:
    await queue_one(stores)
    email = await claim(stores)
    await save(stores, [percent(70, 4)], start=3)
    assert not await hand_over(stores, email)
    changed = (1, "retry", "body", "the balance changed while it was on its way")
    assert await read_tries(stores, email.row.email_id) == [changed]
    assert await stores.email(email) == ("queued", 0, 0)
    again = await claim(stores)
    assert await hand_over(stores, again)
    assert await read_tries(stores, email.row.email_id) == [changed, (2, None, None, None)]


async def test_a_try_whose_claim_ran_out_ends_at_the_dot(stores: PostgresStores) -> None:
    await queue_one(stores)
    late = await claim(stores)
    await stores.pass_s(CLAIM_S + 1)
    other = await claim(stores)
    assert not await hand_over(stores, late)
    overtaken = (1, "retry", "body", "its claim had run out: another try has the letter, or has ended it")
    assert await read_tries(stores, late.row.email_id) == [overtaken, (2, None, None, None)]
    assert await hand_over(stores, other)


async def test_a_letter_that_is_forgotten_before_its_dot_ends_its_try_and_names_nobody(stores: PostgresStores) -> None:
    await queue_one(stores)
    email = await claim(stores)
    await save(stores, [FORGOTTEN], start=3)
    assert not await hand_over(stores, email)
    assert await read_tries(stores, email.row.email_id) == [(1, "retry", "body", None)]
    assert (await stores.email(email))[0] == "cancelled"


async def lose_it(stores: PostgresStores, email: ClaimedEmail) -> None:
    await stores.pass_s(CLAIM_S + 1)
    assert await stores.queue.claim(CLAIM_S) is not None


async def forget_it(stores: PostgresStores, _email: ClaimedEmail) -> None:
    await save(stores, [FORGOTTEN], start=3)


async def hold_it(_stores: PostgresStores, _email: ClaimedEmail) -> None: ...


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("befalls", [hold_it, lose_it, forget_it])
async def test_no_verdict_leaves_its_try_open(
    stores: PostgresStores, verdict: Verdict, befalls: Callable[[PostgresStores, ClaimedEmail], Awaitable[None]]
) -> None:
    """Whoever has the letter by then."""
    await queue_one(stores)
    email = await claim(stores)
    await befalls(stores, email)
    await stores.queue.finish(email, Judgement(verdict, Result(Phase.RCPT, 450, "later")), 0, AT)
    tries = [row for row in await read_tries(stores, email.row.email_id) if row[0] == email.claim]
    assert [row[1] for row in tries] == ([] if verdict is Verdict.BEHIND else [verdict.value])
