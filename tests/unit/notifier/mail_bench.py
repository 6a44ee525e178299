"""A mailer at work on a queue in memory and a scripted mail server."""

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from meter.runtime.errors import TransientError
from meter.runtime.process.health import Health
from notifier.mail.mailer import Mailer
from notifier.mail.session import SmtpServer
from notifier.settings import NotifierSettings
from schemas.build import decode_event
from schemas.outputs import EmailEnded
from schemas.topics import BALANCES
from tests.support import until
from tests.unit.notifier.builders import RENDERER
from tests.unit.notifier.contract import queue_one
from tests.unit.notifier.fakes import FakeClock, FakeStore, StoredEmail
from tests.unit.notifier.scripted import Script, serving

SILENCE_S = 1
LOOKS = 6
SHORT: dict[str, Any] = {
    "smtp_connections": 2,
    # Long, so that a busy machine is not taken for a silent server; a test of silence sets its own.
    "smtp_timeout_s": 30,
    "smtp_dot_timeout_s": 30,
    "mail_poll_s": 0.01,
    "mail_retry_first_s": 100,
    "mail_trouble_first_s": 0.02,
    "mail_trouble_max_s": 0.05,
    "mail_attempts": 3,
    "grace_s": 0.5,
    "mail_from": "credits@example.com",
}


class FakeEnds:
    """The topic ends where the notifier has read to, or `ahead` of it; `away`: Kafka does not answer."""

    def __init__(self, made: "Bench") -> None:
        self._made = made
        self.ahead, self.away, self.asked = 0, False, 0

    async def fetch(self, shard: int) -> int:
        self.asked += 1
        if self.away:
            raise TransientError("kafka is away")
        return self._made.fake.offsets[BALANCES, shard] + self.ahead


class Bench:
    """A mailer at work on a queue in memory."""

    def __init__(self, script: Script, **values: Any) -> None:
        self.clock = FakeClock()
        self.fake = FakeStore(self.clock, BALANCES)
        self.health = Health()
        self.script = script
        self.settings = NotifierSettings(smtp_host="127.0.0.1", smtp_port=script.port, **(SHORT | values))
        self.stop = asyncio.Event()
        self.ends = FakeEnds(self)
        self.catch_up_s = 0.05

    @property
    def store(self) -> FakeStore:
        return self.fake

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        server = SmtpServer.of(self.settings)
        self.mailer = Mailer(
            self.fake,
            server,
            self.settings,
            self.clock,
            self.health,
            ends=self.ends,
            renderer=RENDERER,
            catch_up_s=self.catch_up_s,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(self.mailer.run(self.stop))
            try:
                yield
            finally:
                self.stop.set()

    def email(self, recipient: str = "owner@example.com") -> StoredEmail:
        """The first letter to somebody."""
        return next(found for found in self.fake.emails.values() if found.row.recipient == recipient)

    async def looked(self) -> None:
        """The senders have looked for work a few times more, and would have sent what was due."""
        before = self.fake.claims
        await until(lambda: self.fake.claims >= before + LOOKS)

    def told(self) -> list[str]:
        """How letters ended, by the events."""
        ended = [decode_event(event.value).data for event in self.fake.outbox]
        return [data.outcome for data in ended if isinstance(data, EmailEnded)]

    def subjects(self) -> list[str]:
        parsed = [email.message_from_bytes(body, policy=email.policy.default) for body in self.script.bodies]
        return [str(mail["Subject"]) for mail in parsed]

    def count(self, outcome: str) -> float:
        value = self.health.metrics.registry.get_sample_value("metering_emails_total", {"outcome": outcome})
        return value or 0


@asynccontextmanager
async def bench(
    script: Script, contacts: tuple[str, ...] = ("owner@example.com",), **values: Any
) -> AsyncIterator[Bench]:
    async with serving(script):
        made = Bench(script, **values)
        await queue_one(made, contacts)
        async with made.sending():
            yield made
