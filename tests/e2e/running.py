"""What an end-to-end test does: send events through Kafka, wait for balances, read what came out."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from itertools import chain
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.local.demo.ledger import Ledger, NoticeKey
from deploy.local.mail import MailSink
from meter.client import AccountsProducer, UsageProducer
from meter.runtime.kafka.adapter.options import METADATA_AGE_MS
from meter.runtime.kafka.topic_reader import read_topic
from meter.runtime.postgres import Pool
from meter.runtime.settings import Settings
from schemas.amounts import format_amount, parse_amount
from schemas.resources import Resource
from schemas.topics import NOTIFICATIONS
from tests.support.processes import Processes, ServiceProcess
from tests.support.waiting import until

MICRO = 1_000_000
CREDITS, RUNS = "model_credits", "tool_runs"
ROLES = {"meter": "credit_meter", "projections": "credit_projections", "notifier": "credit_notifier"}
SOURCE = "//tests.example.com"
# A group waits for a member that did not leave. Where topics were grown it may do so twice, because the brokers tell of
# one topic and then of the other, and each is learned of when metadata is asked again.
WAIT_S = 2 * (METADATA_AGE_MS + Settings.model_fields["kafka_rebalance_ms"].default) / 1000
LAST_LINES = 40
REMAINING = """
SELECT (remaining * 1000000)::bigint FROM projections.balances WHERE account_id = $1 AND resource = $2
"""
UNFINISHED = """
SELECT (SELECT count(*) FROM notifier.emails WHERE state = 'queued')
     + (SELECT count(*) FROM projections.outbox) + (SELECT count(*) FROM notifier.outbox)
"""


def last_lines(service: ServiceProcess) -> list[str]:
    state = f"{service.name}: " + (str(service.get("/readyz")) if service.running else f"ended with {service.wait()}")
    return [state, *service.output().splitlines()[-LAST_LINES:]]


class Running:
    """`ledger` keeps books of what was sent, by rules written down apart from the product."""

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        mail: MailSink,
        services: dict[str, ServiceProcess],
        processes: Processes,
        given: Mapping[str, dict[str, str]],
    ) -> None:
        self.settings, self.pool, self.mail = settings, pool, mail
        self.services, self.processes = services, processes
        self.given = given  # settings of each service's own, for one more process of it
        self.ledger = Ledger()
        self.last_usage: dict[tuple[str, str], str] = {}  # id of the newest event by account and resource
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._open_producers()
        return self

    async def _open_producers(self) -> None:
        enter = self._stack.enter_async_context
        self.usage = await enter(UsageProducer(self.settings, source=SOURCE))
        self.accounts = await enter(AccountsProducer(self.settings, source=SOURCE))

    async def use_new_producers(self) -> None:
        """Those of before would learn of new partitions by and by."""
        await self.usage.close()
        await self.accounts.close()
        await self._open_producers()

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def open(self, *accounts: str, plan: str = "free") -> None:
        for account in accounts:
            await self.accounts.opened(account, plan=plan, contacts=[f"{account}@example.com"])
            self.ledger.open(account)
        await self.accounts.flush()
        await self.settle()

    async def use(self, account: str, resource: str, micro: int) -> None:
        """One event of so many micro-units (whole runs for tools); not waited for."""
        if resource == Resource.TOOL_RUNS:
            sent = await self.usage.tool_run(account, tool="web-search", runs=micro // MICRO)
        else:
            sent = await self.usage.model_inference(account, credits=format_amount(micro), model="large-chat")
        self.last_usage[account, resource] = sent
        self.ledger.use(account, resource, micro)

    async def use_settled(self, account: str, resource: str, amount: str) -> None:
        await self.use(account, resource, parse_amount(amount))
        await self.settle()

    async def grant(self, account: str, resource: str, amount: str) -> None:
        """Behind all usage that was sent, as in the ledger: under load the meter may read this topic before usage."""
        await self.settle()
        await self.accounts.granted(
            account, resource=Resource(resource), amount=amount, reason="top_up", reference="INV-1"
        )
        self.ledger.grant(account, resource, parse_amount(amount))
        await self.accounts.flush()
        await self.settle()

    async def reverse(self, account: str, resource: str, amount: str) -> None:
        """Of the last usage of the account and resource, behind all that was sent."""
        await self.settle()
        reverses = self.last_usage[account, resource]
        await self.accounts.reversed(
            account, resource=Resource(resource), amount=amount, reason="failed_run", reverses=reverses
        )
        self.ledger.use(account, resource, -parse_amount(amount))
        await self.accounts.flush()
        await self.settle()

    async def settle(self) -> None:
        """Wait until everything sent has gone all the way: balances, notices, outboxes, emails."""
        await self.usage.flush()
        for key, book in self.ledger.books.items():
            await until(partial(self._shows, *key, book.remaining), WAIT_S, self._say(f"{key} shows {book.remaining}"))
        await until(self._notified, WAIT_S, self._say("the notices that must be"))
        await until(self._finished, WAIT_S, self._say("outboxes and the email queue are empty"))

    def _say(self, wanted: str) -> Callable[[], str]:
        """With what the services said last, for a failure that shows itself once in a hundred runs."""

        def say() -> str:
            return "\n".join([wanted, *chain.from_iterable(map(last_lines, self.services.values()))])

        return say

    async def _shows(self, account: str, resource: str, micro: int) -> bool:
        return bool(await self.pool.fetchval(REMAINING, account, resource) == micro)

    async def _notified(self) -> bool:
        wanted = sum(1 for _ in self.ledger.notices())
        return bool(await self.pool.fetchval("SELECT count(*) FROM notifier.notices") >= wanted)

    async def _finished(self) -> bool:
        return bool(await self.pool.fetchval(UNFINISHED) == 0)

    async def outcomes(self, account: str, channel: str, epoch: int = 1) -> dict[int, str]:
        """threshold → outcome."""
        rows = await self.pool.fetch(
            "SELECT threshold, outcome FROM notifier.notices WHERE account_id = $1 AND channel = $2 AND epoch = $3",
            account,
            channel,
            epoch,
        )
        return {row["threshold"]: row["outcome"] for row in rows}

    async def banner(self, account: str) -> tuple[int, bool] | None:
        """(threshold, removable) of the banner shown now, or None."""
        row = await self.pool.fetchrow(
            "SELECT threshold, removable FROM notifier.banners WHERE account_id = $1", account
        )
        return None if row is None else (row["threshold"], row["removable"])

    async def until_banner(self, account: str, wanted: tuple[int, bool] | None) -> None:
        async def shown() -> bool:
            return await self.banner(account) == wanted

        await until(shown, WAIT_S, f"{account} shows the banner {wanted}")

    def subjects(self, account: str) -> list[str]:
        return [str(mail.message["Subject"]).strip() for mail in self.mail.sent_to(f"{account}@example.com")]

    def letters(self) -> Counter[tuple[str, ...]]:
        """Each letter by its reader and subject, for tests in which no two say the same of an account."""
        return Counter((*mail.recipients, str(mail.message["Subject"]).strip()) for mail in self.mail.mails)

    async def read_values(self, topics: Iterable[str]) -> list[bytes]:
        """Of every record of these topics so far."""
        values: list[bytes] = []
        for topic in topics:
            async for records in read_topic(self.settings, topic):
                values += [record.value or b"" for record in records]
        return values

    async def notifications(self) -> list[dict[str, Any]]:
        """Every event on metering.notifications so far, each id once, in order per partition."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka_bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            topic = self.settings.topic(NOTIFICATIONS)
            partitions = [TopicPartition(topic, n) for n in range(self.settings.partitions)]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            events: dict[str, dict[str, Any]] = {}
            for partition in (p for p in partitions if ends[p] > 0):
                while await consumer.position(partition) < ends[partition]:
                    for record in (await consumer.getmany(partition, timeout_ms=1000)).get(partition, ()):
                        event = json.loads(record.value)
                        events.setdefault(event["id"], event)
            return list(events.values())
        finally:
            await consumer.stop()


async def assert_notices_equal_the_books(running: Running) -> None:
    rows = await running.pool.fetch("SELECT account_id, resource, epoch, channel, threshold FROM notifier.notices")
    assert {NoticeKey(*row) for row in rows} == set(running.ledger.notices())
    sent = await running.pool.fetch("SELECT message_id FROM notifier.emails WHERE state = 'accepted'")
    assert sorted(mail.message_id for mail in running.mail.mails) == sorted(row["message_id"] for row in sent)


async def assert_unharmed(running: Running, account: str, emails: dict[int, str]) -> None:
    """By an outage: each of the letters was sent, once."""
    assert await running.outcomes(account, "email") == emails
    assert len(running.subjects(account)) == len(emails)
    await assert_notices_equal_the_books(running)
