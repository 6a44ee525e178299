"""The services under their own users and roles, before attackers of one right each; honest usage goes on beside."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import psutil
import pytest

from deploy.local.stack import Addresses
from meter.client import AccountsProducer, UsageProducer
from meter.runtime.kafka.adapter.options import client_options
from meter.runtime.postgres import Pool
from meter.settings import MeterSettings
from schemas.topics import USAGE, partition_for
from tests.e2e.running import ROLES
from tests.fuzz.batch_level import MEMORY, MIB
from tests.support import builders
from tests.support.certificates import Certificates
from tests.support.meter import wait_until_stored
from tests.support.processes import Processes, ServiceProcess
from tests.support.raw_batches import ZSTD, RawProducer, batch, record
from tests.support.readiness import is_ready
from tests.support.tls_kafka import TlsKafka, login
from tests.support.waiting import until

READY_S: Final = 90
HONEST_S: Final = 120
HONEST: Final = "//gateway.example.com"
USED: Final = """
SELECT account_id, lifetime_consumed::text FROM projections.balances
WHERE account_id = ANY($1) AND resource = 'model_credits'
"""
REFUSED: Final = """
SELECT reason, sum(coalesce((SELECT sum(upper(o) - lower(o)) FROM unnest(offsets) o),
                            coalesce(to_offset, kafka_offset + 1) - kafka_offset))::int AS records
FROM meter.rejections GROUP BY reason
"""


def account_of(shard: int, partitions: int, word: str) -> str:
    """The first id with the word in front that belongs to the shard."""
    names = (f"{word}-{number}" for number in range(1_000))
    return next(name for name in names if partition_for(name.encode(), partitions) == shard)


def pack(events: Iterable[dict[str, Any]]) -> bytes:
    """One batch of events as a client packs them, each with its account as the key."""
    written = [record(n, builders.encode(one), key=one["subject"].encode()) for n, one in enumerate(events)]
    return batch(written, kind=ZSTD)


def most_memory(pid: int) -> int:
    """The most bytes that the process had so far, where the system says it; else those it has now."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        [kib] = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(kib) * 1024
    return int(psutil.Process(pid).memory_info().rss)


class Attacked:
    """`write` sends as `usage-producer`, who may write metering.usage and nothing else. In each partition an account is
    open, whose usage must count whatever is written beside it."""

    def __init__(self, settings: MeterSettings, attacker: MeterSettings, billing: MeterSettings, pool: Pool) -> None:
        self.settings, self.attacker, self.billing, self.pool = settings, attacker, billing, pool
        self.services: dict[str, ServiceProcess] = {}
        self.victims = [account_of(shard, settings.partitions, "honest") for shard in range(settings.partitions)]
        self.most: dict[str, int] = {}  # bytes of memory, as they were seen while waiting
        self._sent = 0
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        enter = self._stack.enter_async_context
        options = client_options(self.attacker)
        self._raw = await enter(RawProducer(self.attacker.kafka_bootstrap, options))
        # Whoever writes to a topic can take the ids of its idempotent producers: SECURITY.md.
        without_ids = self.attacker.model_copy(update={"kafka_idempotence": False})
        self._usage = await enter(UsageProducer(without_ids, source=HONEST))
        async with AccountsProducer(self.billing, source="//billing.example.com") as accounts:
            for victim in self.victims:
                await accounts.opened(victim, plan="free", contacts=[])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def write(self, written: bytes, shard: int, topic: str = USAGE) -> None:
        await self._raw.send(self.settings.topic(topic), shard, written)

    async def use(self) -> None:
        """One credit more in each partition."""
        self._sent += 1
        for victim in self.victims:
            await self._usage.model_inference(victim, credits="1", model="small-chat")
        await self._usage.flush()

    async def goes_on(self) -> None:
        """One credit more is used in each partition: it counts, no service ends, none takes more memory than it has."""
        await self.use()
        await until(self.is_counted, HONEST_S, self._describe)
        assert {name for name, most in self.most.items() if most > MEMORY[name]} == set(), self._describe()

    async def is_read(self, timeout_s: float = HONEST_S) -> None:
        await wait_until_stored(self.pool, self.settings, timeout_s)

    async def count_refused(self) -> dict[str, int]:
        """Records, by reason."""
        return {row["reason"]: row["records"] for row in await self.pool.fetch(REFUSED)}

    async def is_counted(self, *shards: int) -> bool:
        """Whether all that was used in these shards is, in all where none is named."""
        for name, service in self.services.items():
            assert service.running, service.output()[-3000:]
            self.most[name] = max(self.most.get(name, 0), most_memory(service.child.pid))
        victims = [self.victims[shard] for shard in shards] or self.victims
        used = {row[0]: row[1] for row in await self.pool.fetch(USED, victims)}
        return used == dict.fromkeys(victims, f"{self._sent}.000000")

    def _describe(self) -> str:
        memory = {name: most // MIB for name, most in self.most.items()}
        return f"honest usage is not counted; MiB {memory}\n" + "\n".join(
            service.output()[-1000:] for service in self.services.values()
        )


@asynccontextmanager
async def open_attacked(
    processes: Processes, kafka: TlsKafka, certificates: Certificates, stack: Addresses, values: dict[str, Any],
    pool: Pool, own: Mapping[str, str],
) -> AsyncIterator[Attacked]:  # fmt: skip
    """`own`: further settings of the meter. At the end both verifiers find nothing."""
    database = str(values["postgres_dsn"]).rpartition("/")[2]
    kafka.add_users(str(values["topic_prefix"]))
    done = processes.run("meter", "setup", **login("SCRAM", "credit-setup", kafka, certificates))
    assert done.returncode == 0, done.stderr
    users = {
        user: MeterSettings.model_validate(values | login("SCRAM", user, kafka, certificates))
        for user in ("usage-producer", "billing")
    }
    site = Attacked(MeterSettings.model_validate(values), users["usage-producer"], users["billing"], pool)
    mail = {"smtp_host": "127.0.0.1", "smtp_port": "1"}  # nobody has an address here
    for name, role in ROLES.items():
        given = login("SCRAM", f"credit-{name}", kafka, certificates) | {"postgres_dsn": stack.dsn(database, role)}
        given |= {"meter": dict(own), "notifier": mail}.get(name, {})
        site.services[name] = processes.make(name, **given).spawn()
    for name in ("meter", "projections"):
        service = site.services[name]
        await until(partial(is_ready, service), READY_S, service.output)
    async with site:
        yield site
    for name, verb in (("meter", ["verify", "--no-anchors"]), ("projections", ["verify"])):
        found = processes.run(name, *verb, postgres_dsn=stack.dsn(database, "credit_support"))
        assert found.returncode == 0, found.stdout + found.stderr


@pytest.fixture
def own(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings of the meter, by indirect parameters."""
    return dict(getattr(request, "param", {}))


@pytest.fixture
async def attacked(
    processes: Processes, kafka: TlsKafka, certificates: Certificates, stack: Addresses, values: dict[str, Any],
    pool: Pool, own: dict[str, str],
) -> AsyncIterator[Attacked]:  # fmt: skip
    async with open_attacked(processes, kafka, certificates, stack, values, pool, own) as site:
        await site.goes_on()
        yield site
        await site.goes_on()
