"""Corrections, the life of accounts and identity on real processes: each case an account of its own, all on one stack.

The phases of a case are sent one after the other, each once the one before it is stored: what is in one phase may be
read in any order of the two topics.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import pytest

from meter.client import AccountsProducer, UsageProducer
from meter.runtime.postgres import Pool
from meter.runtime.settings import Settings
from schemas.resources import Resource
from tests.support.processes import Processes
from tests.support.waiting import until

CREDITS, RUNS = Resource.MODEL_CREDITS, Resource.TOOL_RUNS
GATEWAY, TOOLS, BILLING, SUPPORT = "/example/gateway", "/example/tools", "/example/billing", "/example/support"
WAIT_S: Final = 120
UUID = "019b76da-a800-79ab-aa7b-5bf55eb561a4"

Step = tuple[str, dict[str, Any]]


def step(verb: str, **values: Any) -> Step:
    return verb, values


def opened(**more: Any) -> Step:
    return step("opened", plan="free", contacts=[], **more)


def granted(amount: int, id: str | None = None, resource: Resource = CREDITS, source: str = BILLING) -> Step:
    return step(
        "granted", resource=resource, amount=amount, reason="top_up", reference="T", event_id=id, producer=source
    )


def revoked(amount: int, revokes: str | None = None, resource: Resource = CREDITS) -> Step:
    return step("revoked", resource=resource, amount=amount, reason="chargeback", reference="T", revokes=revokes)


def used(amount: int, id: str | None = None, source: str = GATEWAY, **more: Any) -> Step:
    return step("model_inference", credits=amount, model="swift-1", event_id=id, producer=source, **more)


def given_back(amount: int, reverses: str, resource: Resource = CREDITS, **more: Any) -> Step:
    return step("reversed", resource=resource, amount=amount, reason="outage", reverses=reverses, **more)


@dataclass(frozen=True, slots=True)
class Case:
    """`credits`: allocation, consumed and whether more is allowed; `refused`: why records were rejected."""

    name: str
    phases: tuple[tuple[Step, ...], ...]
    credits: tuple[int, int, bool]
    refused: tuple[str, ...] = ()


OPEN: Final = (opened(),)
CORRECTIONS = (
    Case("a part is given back", (OPEN, (used(10, "a"),), (given_back(4, "a"),)), (75, 6, True)),
    Case("all in parts", (OPEN, (used(10, "a"),), tuple(given_back(n, "a") for n in (3, 3, 4))), (75, 0, True)),
    Case(
        "twice", (OPEN, (used(10, "a"),), (given_back(10, "a"), given_back(10, "a"))), (75, 0, True),
        ("reverses_too_much",),
    ),
    Case(
        "the same reversal twice", (OPEN, (used(10, "a"),), (given_back(4, "a", event_id="r"),) * 2), (75, 6, True)
    ),
    Case("more than it was", (OPEN, (used(10, "a"),), (given_back(11, "a"),)), (75, 10, True), ("reverses_too_much",)),
    Case(
        "another resource", (OPEN, (used(10, "a"),), (given_back(10, "a", RUNS),)), (75, 10, True),
        ("reverses_other_resource",),
    ),
    Case("of nothing", (OPEN, (used(10, "a"),), (given_back(10, "b"),)), (75, 10, True), ("reverses_unknown",)),
    Case(
        "of another account", (OPEN, (used(10, "a", suffix="-other"),), (given_back(10, "a"),)), (75, 0, True),
        ("reverses_unknown",),
    ),
    Case(
        "of one of two sources", (OPEN, (used(10, "a"), used(20, "a", TOOLS)), (given_back(1, "a"),)), (75, 30, True),
        ("reverses_ambiguous",),
    ),
    Case(
        "of the source that is named",
        (OPEN, (used(10, "a"), used(20, "a", TOOLS)), (given_back(20, "a", reverses_source=TOOLS),)), (75, 10, True),
    ),
    Case("a UUID in capitals", (OPEN, (used(10, UUID),), (given_back(10, UUID.upper()),)), (75, 0, True)),
    Case(
        "behind the start of the epoch",
        (OPEN, (used(60, "b"), used(20, "a")), (granted(100),), (given_back(20, "a"),)),
        (175, 60, True),
    ),
    Case("a grant after overdraft is revoked", (OPEN, (granted(100),), (used(80),), (revoked(100),)), (0, 5, False)),
    Case("more is revoked than was granted", (OPEN, (revoked(76),)), (75, 0, True), ("revokes_too_much",)),
    Case(
        "a grant is revoked twice", (OPEN, (granted(10, "g"),), (revoked(10, "g"),), (revoked(1, "g"),)), (75, 0, True),
        ("revokes_too_much",),
    ),
    Case("no such grant is revoked", (OPEN, (revoked(1, "g"),)), (75, 0, True), ("revokes_unknown",)),
    Case(
        "a grant of runs is revoked as credits", (OPEN, (granted(10, "g", RUNS),), (revoked(1, "g"),)), (75, 0, True),
        ("revokes_other_resource",),
    ),
    Case("granted before the opening", ((granted(5),), OPEN), (80, 0, True)),
    Case("used before the opening", ((used(10),), OPEN), (75, 10, True)),
    Case("granted and never opened", ((granted(100),),), (0, 0, False)),
    Case("opened twice", (OPEN, OPEN), (75, 0, True)),
    Case("used when closed", (OPEN, (step("closed"),), (used(5),)), (75, 5, False)),
    Case("closed and reopened", (OPEN, (used(5),), (step("closed"),), (step("reopened"),)), (75, 5, True)),
)  # fmt: skip
IDENTITY = (
    Case("one request id of two services", (OPEN, (used(1, "a"), used(1, "a", TOOLS))), (75, 2, True)),
    Case("a retry", (OPEN, (used(1, "a"),), (used(1, "a"),)), (75, 1, True)),
    Case("an id with another amount", (OPEN, (used(1, "a"),), (used(2, "a"),)), (75, 1, True), ("id_reused",)),
    Case("a UUID in any case", (OPEN, (used(1, UUID),), (used(1, UUID.upper()),)), (75, 1, True)),
    Case("a text in another case", (OPEN, (used(1, "order-a"),), (used(1, "ORDER-A"),)), (75, 2, True)),
    Case("one id of two accounts", (OPEN, (used(1, "a"), used(1, "a", suffix="-other"))), (75, 1, True)),
    Case(
        "one order number for plan and grant",
        (OPEN, (step("plan_changed", plan="team", event_id="o"),), (granted(5, "o"),)), (75, 0, True), ("id_reused",),
    ),
    Case(
        "one order number of two systems", (OPEN, (granted(5, "o"), granted(5, "o", source=SUPPORT))), (85, 0, True)
    ),
    Case("one id on both topics", (OPEN, (granted(5, "o"), used(1, "o"))), (80, 1, True)),
    Case("usage with the id of the opening", ((used(1, "o"),), (opened(event_id="o"),)), (75, 1, True)),
    Case("an id of any characters", (OPEN, (used(1, "urn:x: #7/~"),), (used(1, "urn:x: #7/~"),)), (75, 1, True)),
)  # fmt: skip
CASES = {
    f"{group}-{number}": case
    for group, cases in (("corrections", CORRECTIONS), ("identity", IDENTITY))
    for number, case in enumerate(cases)
}


class Senders:
    """A producer for each source; counts what is sent."""

    def __init__(self, usage: Mapping[str, UsageProducer], accounts: Mapping[str, AccountsProducer]) -> None:
        self._usage, self._accounts = usage, accounts
        self.sent = 0

    async def send(self, account: str, verb: str, values: Mapping[str, Any]) -> None:
        given = {name: value for name, value in values.items() if name not in ("producer", "suffix")}
        source = values.get("producer", BILLING)
        producer = self._usage[source] if verb == "model_inference" else self._accounts[source]
        await getattr(producer, verb)(account + values.get("suffix", ""), **given)
        self.sent += 1

    async def flush(self) -> None:
        for producer in (*self._usage.values(), *self._accounts.values()):
            await producer.flush()


@pytest.fixture
async def senders(processes: Processes, settings: Settings) -> AsyncIterator[Senders]:
    done = processes.run("meter", "setup")
    assert done.returncode == 0, done.stderr
    for name in ("meter", "projections"):
        processes.start(name)
    async with AsyncExitStack() as stack:
        usage = {
            source: await stack.enter_async_context(UsageProducer(settings, source=source))
            for source in (GATEWAY, TOOLS)
        }
        accounts = {
            source: await stack.enter_async_context(AccountsProducer(settings, source=source))
            for source in (BILLING, SUPPORT)
        }
        yield Senders(usage, accounts)


async def test_every_case(senders: Senders, processes: Processes, pool: Pool) -> None:
    assert len(CORRECTIONS) >= 14 and len(IDENTITY) >= 10
    for number in range(max(len(case.phases) for case in CASES.values())):
        for account, case in CASES.items():
            for verb, values in case.phases[number] if number < len(case.phases) else ():
                await senders.send(account, verb, values)
        await senders.flush()
        await until(lambda: is_stored(pool, senders.sent), WAIT_S, "the phase is stored")
    await until(lambda: is_folded(pool), WAIT_S, "all is folded")
    wrong = [line for account, case in CASES.items() for line in await judge(pool, account, case)]
    assert not wrong, "\n".join(wrong)
    for verify in (("meter", "verify"), ("projections", "verify")):
        done = processes.run(*verify)
        assert done.returncode == 0, done.stdout + done.stderr


async def judge(pool: Pool, account: str, case: Case) -> list[str]:
    row = await pool.fetchrow(
        "SELECT allocation, consumed, allowed FROM projections.balances WHERE account_id = $1 AND resource = $2",
        account, CREDITS.value,
    )  # fmt: skip
    found = None if row is None else tuple(row)
    rows = await pool.fetch("SELECT reason FROM meter.rejections WHERE key = $1", account.encode())
    refused = tuple(row["reason"] for row in rows)
    allocation, consumed, allowed = case.credits
    wanted = (Decimal(allocation), Decimal(consumed), allowed)
    if (found, refused) == (wanted, case.refused):
        return []
    return [f"{account}, {case.name}: {found}, refused {refused}; must be {wanted}, refused {case.refused}"]


async def is_stored(pool: Pool, sent: int) -> bool:
    """Each record has its outcome, and none waits."""
    row = await pool.fetchrow(
        "SELECT (SELECT sum(usage_offset + accounts_offset) FROM meter.shards) AS read, "
        "(SELECT count(*) FROM meter.waiting) AS waited, (SELECT count(*) FROM meter.outbox) AS held"
    )
    return bool(row and row["held"] == 0 and row["read"] >= sent + row["waited"])


async def is_folded(pool: Pool) -> bool:
    behind = await pool.fetchval(
        "SELECT count(*) FROM meter.shards s JOIN projections.cursors c USING (shard) "
        "WHERE c.position < s.next_position - 1"
    )
    return bool(behind == 0)
