"""The whole way on real servers: balances in, notices, banners, events and emails out."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from deploy.local.mail import MailSink
from meter.runtime.kafka import Batch, Message, Producer, ShardConsumer
from meter.runtime.postgres import Pool
from meter.runtime.process.health import Health
from notifier.decide import BalanceSnapshot
from notifier.model import AccountSnapshot
from notifier.service import build_notifier
from notifier.settings import NotifierSettings
from schemas.build import Decoded, decode_event
from schemas.topics import BALANCES, NOTIFICATIONS, partition_for
from tests.support import raw_batches, until
from tests.support.raw_batches import ZSTD, RawProducer, record
from tests.unit.notifier.builders import account, encode_change, percent

PARTITIONS = 3


@pytest.fixture
def notifier_settings(values: dict[str, Any], mail: MailSink, installed: None) -> NotifierSettings:
    return NotifierSettings(
        **values,
        smtp_host=mail.host,
        smtp_port=mail.port,
        mail_from="credits@example.com",
        mail_poll_s=0.05,
        mail_pause_s=1,
        mail_retry_first_s=0.05,
        mail_trouble_first_s=0.05,
        mail_trouble_max_s=0.2,
    )


@asynccontextmanager
async def running(settings: NotifierSettings, health: Health | None = None) -> AsyncIterator[None]:
    """The notifier's loops inside the test; an error of one is raised here."""
    stop = asyncio.Event()
    async with build_notifier(settings)(health or Health()) as services, asyncio.TaskGroup() as group:
        for service in services:
            group.create_task(service.run(stop))
        try:
            yield
        finally:
            stop.set()


async def publish(settings: NotifierSettings, changes: Iterable[BalanceSnapshot | AccountSnapshot]) -> None:
    async with Producer(settings) as producer:
        await producer.publish([Message(BALANCES, change.account_id, encode_change(change)) for change in changes])


class Offsets:
    async def fetch_offsets(self, topics: Sequence[str], shards: Sequence[int]) -> dict[tuple[str, int], int]:
        return {(topic, shard): 0 for topic in topics for shard in shards}


@asynccontextmanager
async def notifications(settings: NotifierSettings) -> AsyncIterator[list[Decoded]]:
    """Everything on metering.notifications, as it comes in."""
    found: list[Decoded] = []
    consumer = ShardConsumer(settings, topics=(NOTIFICATIONS,), group="reader", store=Offsets())

    def take(batch: Batch) -> None:
        found.extend(decode_event(record.value or b"") for record in batch.records[NOTIFICATIONS])
        consumer.advance(batch)

    async def read() -> None:
        while True:
            for batch in await consumer.receive():
                take(batch)

    async with consumer:
        reading = asyncio.create_task(read())
        yield found
        reading.cancel()
        await asyncio.wait({reading})


def types(found: Iterable[Decoded]) -> list[str]:
    return [event.envelope.type for event in found]


async def test_a_crossing_becomes_a_notice_a_banner_an_event_and_an_email(
    notifier_settings: NotifierSettings, mail: MailSink, pool: Pool
) -> None:
    shard = partition_for(b"acc-1", PARTITIONS)
    changes: list[BalanceSnapshot | AccountSnapshot] = [
        account(1, contacts=("owner@example.com", "billing@example.com"), shard=shard),
        percent(0, 2, shard=shard),
        percent(45, 3, shard=shard),
        percent(85, 4, shard=shard),
    ]
    async with running(notifier_settings), notifications(notifier_settings) as found:
        await publish(notifier_settings, changes)
        await until(lambda: len(mail.mails) == 2, message=lambda: f"{mail.mails}")
        await until(lambda: types(found).count("email.ended.v2") == 2, message=lambda: str(types(found)))
    rows = await pool.fetch("SELECT channel, threshold, outcome FROM notifier.notices ORDER BY channel, threshold")
    assert [tuple(row) for row in rows] == [
        ("banner", 20, "delivered"),
        ("banner", 50, "superseded"),
        ("banner", 70, "superseded"),
        ("banner", 80, "delivered"),
        ("email", 50, "superseded"),
        ("email", 70, "superseded"),
        ("email", 80, "delivered"),
    ]
    assert sorted(sent.recipients for sent in mail.mails) == [("billing@example.com",), ("owner@example.com",)]
    assert mail.mails[0].message["Subject"] == "85 % of model credits used: Example Account"
    letters = [type for type in types(found) if not type.startswith("banner.")]
    assert sorted(letters) == sorted([*2 * ["email.queued.v2"], *2 * ["email.ended.v2"]])
    # Of a batch only what it ends with is published: one event, or two where the changes came in two batches.
    banners = [event for event in found if event.envelope.type.startswith("banner.")]
    assert banners[0].envelope.type == "banner.raised.v1"
    assert banners[-1].data.threshold == 80  # type: ignore[attr-defined]
    assert await pool.fetchval("SELECT count(*) FROM notifier.outbox") == 0
    assert await pool.fetchval("SELECT threshold FROM notifier.banners") == 80
    assert await pool.fetchval("SELECT sum(next_offset) FROM notifier.cursors") == len(changes)


@pytest.mark.needs_kafka("record batches stored as they were sent")
async def test_what_no_client_can_read_is_kept_and_the_next_change_counts(
    notifier_settings: NotifierSettings, mail: MailSink, pool: Pool
) -> None:
    shard = partition_for(b"acc-1", PARTITIONS)
    bad_name = raw_batches.batch([record(0, b"{}", key=b"acc-1", headers=[(b"\xff", b"x")])])
    bomb = raw_batches.batch([record(number, bytes(9 << 20)) for number in range(2)], kind=ZSTD)
    await publish(notifier_settings, [account(1, shard=shard), percent(0, 2, shard=shard)])
    async with RawProducer(notifier_settings.kafka_bootstrap) as producer:
        for written in (bad_name, bomb):
            await producer.send(notifier_settings.topic(BALANCES), shard, written)
    await publish(notifier_settings, [percent(85, 3, shard=shard)])
    async with running(notifier_settings):
        await until(lambda: mail.mails, message="no mail came")
    rows = await pool.fetch("SELECT kafka_offset, reason, detail FROM notifier.rejections ORDER BY kafka_offset")
    assert [(row["kafka_offset"], row["reason"]) for row in rows] == [(2, "not_cloudevents"), (3, "undecodable")]
    assert "offsets 3 to 4" in rows[1]["detail"]
    assert await pool.fetchval("SELECT sum(next_offset) FROM notifier.cursors") == 6
