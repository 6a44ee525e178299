"""Contacts from the log to the letter: events name ids, the notifier reads addresses where projections keep them."""

import base64
from uuid import UUID

import pytest

from meter.runtime.errors import TopicIdentityError
from meter.runtime.postgres import Pool
from meter.runtime.settings import Settings
from notifier.mail.drafting import make_draft
from notifier.recall import Sent, recall
from notifier.reread import reread
from notifier.store.emails import PostgresMailQueue
from notifier.store.notices import PostgresNoticeStore
from schemas.build import decode_event
from schemas.outputs import AccountChanged, EmailEnded, EmailQueued, LineTold
from schemas.resources import Resource
from tests.integration.projections_letters import CLAIM_S, LIMITS, Mail
from tests.integration.projections_log import Event, EventLog, contacts_changed, fold_all, opened, renamed, used
from tests.integration.projections_notices import Notifier
from tests.support.searching import find
from tests.unit.notifier.builders import AT, RENDERER

ANN, BOB = "ann.person@example.com", "bob.person@example.com"
NAME = "Person & Example"


@pytest.fixture
async def notifier(pool: Pool) -> Notifier:
    made = Notifier(pool)
    await made.set_up()
    return made


async def take_values(pool: Pool, schema: str) -> list[bytes]:
    rows = await pool.fetch(f"SELECT value FROM {schema}.outbox ORDER BY shard, id")
    return [row["value"] for row in rows]


async def play(pool: Pool, log: EventLog, notifier: Notifier, *events: Event | list[Event]) -> list[bytes]:
    """What the projections publish of the events, before the notifier reads it."""
    await log.append(*(each for event in events for each in (event if isinstance(event, list) else [event])))
    await fold_all(pool)
    values = await take_values(pool, "projections")
    await notifier.read_all()
    return values


async def test_what_is_published_names_nobody_and_letters_reach_everybody(
    pool: Pool, log: EventLog, notifier: Notifier
) -> None:
    opening = opened("acct-1", contacts=(ANN,))
    published = await play(pool, log, notifier, opening, renamed("acct-1", display_name=NAME), used("acct-1", 40))
    published += await play(pool, log, notifier, contacts_changed("acct-1", ANN, BOB), used("acct-1", 20))
    queue, sent = PostgresMailQueue(pool), dict[str, bytes]()
    await pool.execute("UPDATE notifier.emails SET next_attempt_at = now()")
    while (email := await queue.claim(CLAIM_S)) is not None:
        draft = make_draft(email, await queue.look(email, LIMITS), RENDERER, AT)
        sent[email.row.recipient] = draft.message
    published += await take_values(pool, "notifier")
    assert sorted(sent) == [ANN, BOB]
    assert all(address.encode() in sent[address] and NAME.encode() in sent[address] for address in sent)
    assert len(published) > 5 and find(published, ANN, BOB, NAME) == []
    # The search can find: in the letters, and in what holds one of them in another form.
    assert find(sent.values(), ANN, BOB, NAME) == [ANN, BOB, NAME]
    packed = base64.b64encode(b"to: " + ANN.encode() + b" and so on")
    assert find([b"x" + packed, BOB.encode().hex().encode()], ANN, BOB) == [ANN, BOB]


async def test_an_id_stays_when_the_contact_leaves_and_returns(pool: Pool, log: EventLog, notifier: Notifier) -> None:
    values = await play(pool, log, notifier, opened("acct-1", contacts=(ANN, BOB)))
    values += await play(pool, log, notifier, contacts_changed("acct-1", BOB))
    values += await play(pool, log, notifier, contacts_changed("acct-1", BOB, ANN.upper()))
    told = [data.contact_ids for value in values if isinstance(data := decode_event(value).data, AccountChanged)]
    [first, second, third] = told
    assert second == first[1:] and third == first[::-1]
    rows = await pool.fetch("SELECT contact, contact_id, is_contact FROM notifier.contacts ORDER BY contact")
    assert [tuple(row) for row in rows] == [(ANN, first[0], True), (BOB, first[1], True)]


async def test_who_stands_behind_an_account_is_found_with_those_who_left(
    pool: Pool, log: EventLog, notifier: Notifier
) -> None:
    """An event from before they left may still have to be read."""
    await play(pool, log, notifier, opened("acct-1", contacts=(ANN,)), contacts_changed("acct-1", BOB))
    people = await PostgresNoticeStore(pool).fetch_people(["acct-1", "nobody"])
    assert sorted(people) == ["acct-1"]
    assert people["acct-1"].display_name == "Name of acct-1"
    assert sorted(people["acct-1"].addresses.values()) == [ANN, BOB]
    assert all(isinstance(contact, UUID) for contact in people["acct-1"].addresses)


async def test_a_contact_from_before_ids_were_published_keeps_the_id_of_before(
    pool: Pool, log: EventLog, notifier: Notifier, mail: Mail
) -> None:
    await play(pool, log, notifier, opened("acct-1", contacts=(ANN,)), used("acct-1", 40))
    await mail.try_all()
    before = UUID(int=7)
    await pool.execute("UPDATE notifier.contacts SET contact_id = $1", before)  # as version 1 gave it
    await play(pool, log, notifier, contacts_changed("acct-1", BOB, ANN), used("acct-1", 1))
    rows = await pool.fetch("SELECT contact, contact_id = $1 AS same FROM notifier.contacts ORDER BY contact", before)
    assert [tuple(row) for row in rows] == [(ANN, True), (BOB, False)]
    assert await mail.try_all() == 0  # both know of the line: one was told, and one joined who was


@pytest.fixture
def mail(pool: Pool) -> Mail:
    return Mail(pool)


async def test_what_is_recalled_by_the_id_counts_when_the_contact_is_named_again(
    pool: Pool, log: EventLog, notifier: Notifier, mail: Mail
) -> None:
    """After a restore that forgot the contact: the letter of before names the id, and no event the address yet."""
    [value] = [v for v in await play(pool, log, notifier, opened("acct-1", contacts=(ANN,))) if b"account.changed" in v]
    data = decode_event(value).data
    assert isinstance(data, AccountChanged)
    for table in ("contacts", "told", "accounts"):
        await pool.execute(f"DELETE FROM notifier.{table}")
    await pool.execute(
        "INSERT INTO notifier.recalled (shard, account_id, contact, contact_id, resource, epoch, line, email_id,"
        " ended_at) VALUES ($1, 'acct-1', $2::text, $2::uuid, 'model_credits', 1, 50, gen_random_uuid(), now())",
        data.shard, str(data.contact_ids[0]),
    )  # fmt: skip
    await play(pool, log, notifier, renamed("acct-1", display_name=NAME), used("acct-1", 40))
    assert await mail.try_all() == 0
    says = await pool.fetchval("SELECT says FROM notifier.line_states WHERE account_id = 'acct-1' AND line = 50")
    letter = await pool.fetchval("SELECT email_id FROM notifier.recalled")
    assert says.startswith(f"known from letter {letter} at ") and says.endswith(
        "read back from Kafka after `meter recover`"
    )
    await play(pool, log, notifier, used("acct-1", 15))
    assert await mail.try_all() == 1  # 70 %, which nobody was told


@pytest.mark.parametrize("outcome", ["accepted", "presumed"])
async def test_a_letter_that_waits_ends_as_it_did_in_the_history_that_is_lost(
    pool: Pool, log: EventLog, notifier: Notifier, monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    await play(pool, log, notifier, opened("acct-1", contacts=(ANN,)), used("acct-1", 40))
    queued = [decode_event(value) for value in await take_values(pool, "notifier") if b"email.queued" in value]
    [data] = [each.data for each in queued if isinstance(each.data, EmailQueued)]
    line = LineTold(resource=Resource.MODEL_CREDITS, epoch=1, threshold=50, position=2)
    ended = EmailEnded(**dict(data), outcome=outcome, lines=(line,))

    async def read_sent(_settings: Settings) -> Sent:
        return {ended.email_id: (ended, AT)}

    monkeypatch.setattr("notifier.recall.read_sent", read_sent)
    await pool.execute("INSERT INTO notifier.generations (shard, generation, from_position) VALUES (0, 2, 1)")
    with pytest.raises(TopicIdentityError, match="METERING_PARTITIONS says 24, and there are "):
        await recall(Settings(partitions=24), pool)
    shards = await pool.fetchval("SELECT count(DISTINCT shard) FROM notifier.cursors")
    assert await recall(Settings(partitions=shards), pool) == 1
    assert await pool.fetchval("SELECT state FROM notifier.emails") == outcome


async def test_under_another_number_of_shards_nothing_is_read_again(pool: Pool, notifier: Notifier) -> None:
    with pytest.raises(TopicIdentityError, match="METERING_PARTITIONS says 24, and there are "):
        await reread(Settings(partitions=24), pool)
