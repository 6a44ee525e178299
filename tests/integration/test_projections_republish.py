"""`projections republish` from a log: what is sent, where it goes on, and what it waits for."""

import asyncio
from contextlib import suppress

import pytest

from meter.runtime.postgres import Pool
from meter.runtime.waiting import wait_for
from projections import republish
from projections.republish import Republication, begin, count_accounts, count_republished, fetch_unfinished
from schemas.build import Decoded, decode_event
from tests.integration.projections_log import NEW_GENERATION, EventLog, fold_all, granted, opened, used
from tests.support.waiting import until

ACCOUNTS = tuple(f"acct-{number}" for number in range(7))


@pytest.fixture
async def folded(pool: Pool, log: EventLog) -> Pool:
    """Seven accounts at several states, and one that nobody opened; their messages are in the outbox."""
    for number, account in enumerate(ACCOUNTS):
        await log.append(*opened(account), used(account, 10 * number))
    await log.append(granted("nobody", 5), used("nobody", 1), granted("acct-1", 100), used("acct-1", 0.001))
    await fold_all(pool)
    return pool


async def take_outbox(pool: Pool) -> list[Decoded]:
    rows = await pool.fetch("DELETE FROM projections.outbox RETURNING shard, id, value")
    return [decode_event(row["value"]) for row in sorted(rows, key=lambda row: (row["shard"], row["id"]))]


def names(events: list[Decoded]) -> list[tuple[str, str]]:
    return sorted((event.envelope.account_id, event.envelope.type) for event in events)


WHOLE = sorted(
    (account, kind) for account in ACCOUNTS for kind in ("account.changed.v2", *["balance.changed.v1"] * 2)
)  # an account and both of its balances


async def test_every_opened_account_is_sent_as_it_is(folded: Pool) -> None:
    before = {event.envelope.id: event for event in await take_outbox(folded)}
    await begin(folded)
    assert await count_accounts(folded) == len(ACCOUNTS)
    assert await Republication(folded, page_accounts=2).run() == len(ACCOUNTS)
    sent = await take_outbox(folded)
    assert names(sent) == WHOLE
    newest = {(event.envelope.account_id, event.envelope.type, getattr(event.data, "resource", None)): event
              for event in before.values()}  # fmt: skip
    for event in sent:
        known = newest[event.envelope.account_id, event.envelope.type, getattr(event.data, "resource", None)]
        later = event.data.position > known.data.position  # type: ignore[attr-defined]
        assert (event.envelope.id in before) is not later
        assert later or event == known  # the very message that was published before
    [again] = [e for e in sent if e.envelope.account_id == "acct-1" and getattr(e.data, "epoch", 0) == 2]
    assert again.envelope.id not in before  # 0.001 more is no change of percent, and was not published


async def test_what_the_service_put_into_the_outbox_counts_too(folded: Pool) -> None:
    """It goes on with what a command has begun; the command then says of all accounts that they are there."""
    await begin(folded)
    assert await Republication(folded).run() == len(ACCOUNTS)  # the service's
    assert await Republication(folded).run() == 0  # the command's
    assert await count_republished(folded) == len(ACCOUNTS)


def ages(events: list[Decoded]) -> dict[tuple[str, str, object], list[tuple[int, int]]]:
    """Generation and position of what receivers are told of each account and balance, in order."""
    found: dict[tuple[str, str, object], list[tuple[int, int]]] = {}
    for event in events:
        key = event.envelope.account_id, event.envelope.type, getattr(event.data, "resource", None)
        found.setdefault(key, []).append((event.data.generation, event.data.position))  # type: ignore[attr-defined]
    return found


async def test_no_receiver_is_told_an_older_state_as_news_after_a_restore(
    pool: Pool, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fold had come to the end once; its restored cursor is at the beginning, and the log has all of that time."""
    for account in ACCOUNTS:
        await log.append(*opened(account))
        await log.append(used(account, 30))
        await log.append(used(account, 20))
    await fold_all(pool)
    known = ages(await take_outbox(pool))
    await pool.execute(NEW_GENERATION)
    for table in ("balance_states", "account_states", "exhaustion_steps"):
        await pool.execute(f"TRUNCATE projections.{table}")
    await pool.execute("UPDATE projections.cursors SET position = 0")
    await begin(pool)
    republication = Republication(pool)
    waits = asyncio.Event()

    async def wait_noted(stop: asyncio.Event, seconds: float) -> bool:
        waits.set()
        return await wait_for(stop, seconds)

    monkeypatch.setattr(republish, "wait_for", wait_noted)
    running = asyncio.create_task(republication.run())
    await asyncio.wait_for(waits.wait(), 30)
    assert await take_outbox(pool) == [], "nothing is sent again before the fold has come to the cut"
    await log.append(used(ACCOUNTS[0], 1))
    await fold_all(pool)
    await running
    told = ages(await take_outbox(pool))
    assert known.keys() <= told.keys()
    for key, own in told.items():
        for age in own:
            assert age[0] == 2 or age <= max(known.get(key, [age])), f"{key} {age} is older than {known[key]}"
        assert own[-1][0] == 2 and own[-1][1] >= max(known[key])[1]
        newer = [age for age in own if age > max(known[key])]
        assert newer and all(age[1] >= max(known[key])[1] for age in newer), f"{key}: {own} after {known[key]}"


async def test_an_interruption_repeats_and_skips_nothing(folded: Pool) -> None:
    await take_outbox(folded)
    await begin(folded)

    class InterruptedError(Exception): ...

    def interrupt(_accounts: int) -> None:
        raise InterruptedError

    runs = 0
    while await fetch_unfinished(folded):
        with suppress(InterruptedError):
            await Republication(folded, page_accounts=1, progress=interrupt).run()
        runs += 1
    assert runs > len(ACCOUNTS)
    assert names(await take_outbox(folded)) == WHOLE
    assert await Republication(folded).run() == 0


async def test_what_changes_meanwhile_stands_behind(folded: Pool, log: EventLog) -> None:
    await take_outbox(folded)
    await begin(folded)
    await log.append(*(used(account, 30) for account in ACCOUNTS))
    await asyncio.gather(Republication(folded, page_accounts=1).run(), fold_all(folded))
    newest: dict[tuple[str, object], int] = {}
    for event in await take_outbox(folded):
        if event.envelope.type == "balance.changed.v1":
            key = event.envelope.account_id, event.data.resource  # type: ignore[attr-defined]
            assert newest.get(key, 0) <= event.data.position  # type: ignore[attr-defined]
            newest[key] = event.data.position  # type: ignore[attr-defined]
    rows = await folded.fetch("SELECT account_id, resource, position FROM projections.balances WHERE epoch > 0")
    assert newest == {(row["account_id"], row["resource"]): row["position"] for row in rows}


async def test_it_gives_changes_no_long_queue(folded: Pool) -> None:
    await take_outbox(folded)
    await begin(folded)
    sending = asyncio.create_task(Republication(folded, page_accounts=1, most_waiting=0).run())
    most = 0

    async def is_done() -> bool:
        nonlocal most
        most = max(most, len(await take_outbox(folded)))
        return sending.done()

    await until(is_done, timeout_s=30, message="not sent")
    assert await sending == len(ACCOUNTS)
    assert most <= 3
