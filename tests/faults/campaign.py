"""One campaign on a site: its own database and topics, load, the services, faults; then quiet, and the oracle."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import asyncpg
from confluent_kafka import Consumer, KafkaException, TopicPartition

from deploy.local.mail import Mail
from deploy.local.services import run_command
from tests.faults.actions import Tormentor
from tests.faults.load import Load
from tests.faults.oracle.balances import check_balances, check_chain, check_usage_days
from tests.faults.oracle.emails import EmailCheck, check_told
from tests.faults.oracle.findings import Findings
from tests.faults.oracle.notices import NoticeCheck
from tests.faults.oracle.offsets import OffsetCheck, Topics, read_topics
from tests.faults.oracle.published import check_published
from tests.faults.oracle.verified import check_verified
from tests.faults.schedule import SERVICES, SESSION_S, Fault
from tests.faults.servers import Site
from tests.faults.supervisor import Supervisor
from tests.faults.truth import ACCOUNTS, USAGE
from tests.faults.watermark import Watermarks
from tests.faults.world import World

BALANCES = "metering.balances"
PARTITIONS = 4
DRAIN_S = 60
QUIET_POLL_S = 0.2
# Short waits all over, so that many faults fit into a minute. The logic behind them is the same.
SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "kafka_session_ms": str(int(SESSION_S * 1000)),
        "kafka_rebalance_ms": "10000",
        "kafka_publish_timeout_s": "10",
        "postgres_timeout_s": "6",
        "postgres_lock_timeout_s": "3",
        "batch_events": "400",
        "poll_ms": "50",
        "grace_s": "6",
        "stall_s": "45",
        "retry_first_s": "0.05",
        "retry_max_s": "1",
        "smtp_timeout_s": "1",
        "smtp_dot_timeout_s": "2",
        "mail_from": "credits@example.com",
        "mail_attempts": "1000",
        "mail_retry_first_s": "0.2",
        "mail_retry_max_s": "2",
        "mail_trouble_first_s": "0.1",
        "mail_trouble_max_s": "1",
        "mail_poll_s": "0.3",
        "mail_pause_s": "0.5",
        "mail_day_limit": "10000",  # accounts are topped up more often here than in years
        "http_host": "127.0.0.1",
        "http_port": "0",
    }
)
# For setup, whose statements are for all nodes and take their time.
ON_CLUSTER = {"distribute": "citus", "distribute_parts": str(PARTITIONS), "postgres_timeout_s": "60"}


@dataclass(frozen=True, slots=True)
class Goal:
    """When the tormenting is enough: all of these reached, or `most_s` over."""

    faults: int
    kills: int
    events: int
    most_s: float

    def reached(self, faults: int, kills: int, events: int) -> bool:
        return faults >= self.faults and kills >= self.kills and events >= self.events


@dataclass
class Campaign:
    """`bugs`: known bugs by service, switched on in its processes. `logs` gets the output of every process."""

    site: Site
    world: World
    per_s: float
    logs: Path
    bugs: Mapping[str, str] = field(default_factory=dict)
    drain_s: float = DRAIN_S
    twins: tuple[str, ...] = ()  # services with two processes from the beginning

    def __post_init__(self) -> None:
        name = uuid.uuid4().hex[:8]
        self.database, self.prefix = f"faults_{name}", f"f{name}."
        self.load = Load(self.site.kafka.bootstrap, self.prefix, self.world, self.per_s)
        settings = {name: self._settings(name) for name in SERVICES}
        self.supervisor = Supervisor(settings, self.logs, bugs=self.bugs, on_point=self._note_point)
        self.watermarks = Watermarks(self.site.dsn(self.database), self._read_ends, lambda: dict(self.load.acked))
        self.tormentor = Tormentor(self.site, self.supervisor, self.database, self.watermarks.note_fault)
        self._watching: asyncio.Task[None] | None = None
        self._mails_before = len(self.site.mail.mails)
        self.drained_in_s = 0.0

    def _note_point(self, *hit: object) -> None:
        self.tormentor.note_point(*hit)  # type: ignore[arg-type]

    def _settings(self, service: str | None = None) -> dict[str, str]:
        """Of a service, through the proxies; without one, for setup, directly."""
        site = self.site
        return {
            **SETTINGS,
            **(ON_CLUSTER if site.cluster and service is None else {}),
            "postgres_dsn": site.dsn(self.database, service),
            "kafka_bootstrap": site.proxied_kafka if service else site.kafka.bootstrap,
            "topic_prefix": self.prefix,
            "partitions": str(PARTITIONS),
            "smtp_host": "127.0.0.1",
            "smtp_port": str(site.proxies["smtp"].port),
        }

    # --- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        await self.site.make_database(self.database)
        await asyncio.to_thread(run_command, ("meter", "setup"), self._settings())
        await asyncio.to_thread(self.load.open_accounts)
        self._watching = asyncio.create_task(self.watermarks.run())
        await self.supervisor.start()
        for service in self.twins:
            self.supervisor.join(service)

    async def close(self) -> None:
        self.site.calm()
        await self.supervisor.stop()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        await self.site.databases.drop(self.site.dsn(self.database))

    async def torment(self, schedule: Iterator[Fault], goal: Goal, report: Callable[[], None] = lambda: None) -> None:
        """Load and faults side by side until the goal is reached; ends in quiet, with everything sent."""
        started, reported = time.monotonic(), 0.0
        self.load.start()
        try:
            while time.monotonic() - started < goal.most_s:
                if goal.reached(self.tormentor.faults, self.tormentor.kills, self.load.sent):
                    break
                fault = next(schedule)
                await asyncio.sleep(fault.pause_s)
                await self.tormentor.begin(fault)
                if time.monotonic() - reported > 10:
                    reported = time.monotonic()
                    report()
        finally:
            self.supervisor.disarm()
            await self.tormentor.finish()
            self.tormentor.end_armed()
            self.site.calm()
            await asyncio.to_thread(self.load.stop)

    # --- the end ----------------------------------------------------------------------------------------------------

    async def drain(self, *, emails: bool = True) -> list[str]:
        """Check 5: within `drain_s` nothing waits any more. What still does, in words."""
        started = time.monotonic()
        while True:
            waiting = await self._waiting(emails=emails)
            self.drained_in_s = time.monotonic() - started
            if not waiting or self.drained_in_s > self.drain_s:
                return waiting
            await asyncio.sleep(QUIET_POLL_S)

    async def _waiting(self, *, emails: bool) -> list[str]:
        if self._watching is not None and self._watching.done():
            self._watching.result()  # its rows are old: whatever they say proves nothing
        rows = self.watermarks.rows  # first: what is published between the two must not count as noticed
        ends = await asyncio.to_thread(self._read_ends)
        if not ends or not rows:
            return ["the broker or the database does not answer"]
        found = []
        for row in rows:
            shard = row["shard"]
            behind = {
                "usage": self.load.acked.get((USAGE, shard), 0) - row["usage_offset"],
                "accounts": self.load.acked.get((ACCOUNTS, shard), 0) - row["accounts_offset"],
                "records to send on": row["held"],
                "events to fold": row["last_position"] - row["folded"],
                "events whose usage is to be folded": row["last_position"] - row["usage_folded"],
                "messages of the projections": row["first_waiting"] is not None,
                "balances": ends[shard] - row["noticed"],
                "messages of the notifier": row["notifications"],
            }
            found += [f"shard {shard}: {int(count)} {what}" for what, count in behind.items() if count > 0]
        if emails and self.watermarks.waiting_emails:
            found.append(f"{self.watermarks.waiting_emails} emails")
        return found

    def _read_ends(self) -> dict[int, int]:
        """End offsets of the balances; empty while the broker does not answer."""
        consumer = Consumer({"bootstrap.servers": self.site.kafka.bootstrap, "group.id": "oracle", "log_level": 0})
        try:
            places = [TopicPartition(self.prefix + BALANCES, shard) for shard in range(PARTITIONS)]
            return {place.partition: consumer.get_watermark_offsets(place, timeout=2)[1] for place in places}
        except (KafkaException, TypeError):
            return {}
        finally:
            consumer.close()

    async def judge(self, waiting: list[str], *, emails: bool = True) -> Findings:
        """All checks, on what is stored now. `waiting`: what `drain` has left."""
        # In a thread: reading millions of rows must not hold up the proxies of services that go on.
        return await asyncio.to_thread(asyncio.run, self._judge(waiting, emails=emails))

    def _mails(self) -> list[Mail]:
        return self.site.mail.mails[self._mails_before :]

    async def _judge(self, waiting: list[str], *, emails: bool) -> Findings:
        found = Findings()
        for words in waiting:
            counter = "emails_lost" if words.endswith("emails") else "lost"
            found.add(counter, f"not through within {self.drain_s:.0f} s", words)
        topics = await asyncio.to_thread(read_topics, self.site.kafka.bootstrap, self.prefix, PARTITIONS)
        async with self.site.judged(self.database) as dsn:
            await self._judge_rows(dsn, topics, found, settled=not waiting, emails=emails)
        return found

    async def _judge_rows(self, dsn: str, topics: Topics, found: Findings, *, settled: bool, emails: bool) -> None:
        connection = await asyncpg.connect(dsn)
        with contextlib.suppress(asyncpg.UndefinedObjectError):
            await connection.execute("SET jit = off")
        try:
            offsets = OffsetCheck(self.world, topics, found)
            await offsets.run(connection, PARTITIONS)
            await check_chain(connection, PARTITIONS, found)
            await check_balances(connection, self.world, offsets.books, found)
            await check_usage_days(connection, found)
            places = self.site.kafka.bootstrap, self.prefix, PARTITIONS
            await asyncio.to_thread(check_published, *places, self.world, offsets.books, found)
            await NoticeCheck(self.world, offsets.books, found).run(connection)
            await check_verified(connection, PARTITIONS, found, settled=settled)
            check = EmailCheck(self.world, offsets.books, self._mails, self.site.mail.refused, found)
            states = await check.run(connection, finished=emails)
            await check_told(connection, self.site.kafka.bootstrap, self.prefix, PARTITIONS, states, found)
        finally:
            await connection.close()
