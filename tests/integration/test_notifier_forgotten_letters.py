"""Letters that end because their account was forgotten are published as ended, as those are that end otherwise."""

from typing import Any
from uuid import UUID

import pytest

from meter.runtime.kafka import Batch
from meter.runtime.process.metrics import Metrics
from notifier.decide import Thresholds
from notifier.mail.verdict import Judgement, Phase, Result, Verdict
from notifier.model import NotifyPlan, Saved
from notifier.notify import Notify
from notifier.plan import Change
from schemas.outputs import EmailEnded, EmailQueued
from schemas.topics import BALANCES
from tests.integration.test_notifier_forgetting import FORGOTTEN, READER
from tests.integration.test_notifier_old_letters import hand_over_one
from tests.integration.test_notifier_store import PostgresStores
from tests.integration.test_notifier_store import stores as stores
from tests.unit.notifier.builders import ACCOUNT, AT, RENDERER, account, percent
from tests.unit.notifier.contract import ACCEPTED, ended, plan_for, queue_one, save
from tests.unit.notifier.fakes import FakeClock

LOST = Judgement(Verdict.RETRY, Result(Phase.DOT, None, "the connection was lost"), "no reply")
REASON = "the account was forgotten"
one_shard = pytest.mark.not_on_citus("a transaction takes one shard there: nothing is saved together")


async def read_queued(stores: PostgresStores) -> list[UUID]:
    events = [event.data for event in await stores.published()]
    return [data.email_id for data in events if isinstance(data, EmailQueued) and not isinstance(data, EmailEnded)]


async def test_each_letter_that_waits_is_published_as_ended_and_names_nobody(stores: PostgresStores) -> None:
    await queue_one(stores, (READER, "ann@example.com"))
    contacts = {contact.contact_id for contact in (await stores.letters(ACCOUNT)).contacts.values()}
    saved = await stores.store.save(await plan_for(stores, [FORGOTTEN], start=3))
    assert saved == Saved(0, 2)
    found = await ended(stores)
    assert {letter.email_id for letter in found} == set(await read_queued(stores)) and len(found) == 2
    assert {letter.contact_id for letter in found} == contacts
    assert {(letter.account_id, letter.outcome, letter.reason) for letter in found} == {(ACCOUNT, "cancelled", REASON)}
    assert "@" not in str([event.data for event in await stores.published() if isinstance(event.data, EmailEnded)])


async def test_one_that_may_have_arrived_says_what_its_bytes_show(stores: PostgresStores) -> None:
    email = await hand_over_one(stores, LOST)
    await save(stores, [FORGOTTEN], start=3)
    [letter] = await ended(stores)
    assert letter.email_id == email.row.email_id
    assert [(told.resource.value, told.threshold) for told in letter.lines] == [("model_credits", 50)]


async def test_what_had_ended_before_does_not_end_again(stores: PostgresStores) -> None:
    await hand_over_one(stores, ACCEPTED)
    await save(stores, [FORGOTTEN], start=3)
    await save(stores, [account(5, contacts=(), contact_ids=(), forgotten=True, plan="pro")], start=4)
    assert [letter.outcome for letter in await ended(stores)] == ["accepted"]


async def test_a_letter_that_the_same_batch_queued_ends_as_well(stores: PostgresStores) -> None:
    """No address of it is left, so nobody could send it."""
    named: dict[str, Any] = {"contacts": (READER,), "contact_ids": (UUID(int=7),)}
    changes: list[Change] = [account(1, **named), percent(0, 2), percent(50, 3), account(4, **named, forgotten=True)]
    saved = await stores.store.save(await plan_for(stores, changes))
    assert saved == Saved(1, 1)
    assert [letter.email_id for letter in await ended(stores)] == await read_queued(stores)
    kinds = [event.envelope.type for event in await stores.published() if event.envelope.type.startswith("email")]
    assert kinds == ["email.queued.v2", "email.ended.v2"]


@pytest.mark.parametrize("together", [False, pytest.param(True, marks=one_shard)])
async def test_they_are_counted_and_wake_who_publishes(stores: PostgresStores, together: bool) -> None:
    woken: list[Saved] = []
    metrics = Metrics()
    notify = Notify(
        stores.store, thresholds=Thresholds(), renderer=RENDERER, clock=FakeClock(), metrics=metrics,
        on_saved=lambda _plan, saved: woken.append(saved),
    )  # fmt: skip
    await queue_one(stores)
    plan = await plan_for(stores, [FORGOTTEN], start=3)
    notify.note(Batch(0, {}, {BALANCES: 3}, {BALANCES: 4}), plan, await save_plan(notify, plan, together=together))
    assert woken == [Saved(0, 1)]
    assert metrics.read("emails") == {"cancelled": 1}


async def save_plan(notify: Notify, plan: NotifyPlan, *, together: bool) -> Saved:
    if not together:
        return await notify.save(plan)
    saved = await notify.save_together([plan])
    assert saved is not None
    return saved[0]


async def test_the_end_has_the_time_of_the_batch(stores: PostgresStores) -> None:
    await queue_one(stores)
    await save(stores, [FORGOTTEN], start=3)
    assert [event.envelope.time for event in await stores.published() if isinstance(event.data, EmailEnded)] == [AT]
