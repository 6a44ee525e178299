"""Corrections, the life of accounts and identity on real processes: each case an account of its own, all on one stack.

The phases of a case are sent one after the other, each once the one before it is stored.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any, Final

import pytest

from meter.client import AccountsProducer, UsageProducer
from meter.runtime.postgres import Pool
from meter.runtime.settings import Settings
from tests.e2e.corrections_cases import BILLING, CASES, CREDITS, GATEWAY, SUPPORT, TOOLS, Case
from tests.support.processes import Processes
from tests.support.waiting import until

WAIT_S: Final = 120


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
        "SELECT allocation, consumed, allowed FROM projections.all_balances WHERE account_id = $1 AND resource = $2",
        account, CREDITS.value,
    )  # fmt: skip
    found = None if row is None else tuple(row)
    rows = await pool.fetch("SELECT reason FROM meter.rejections WHERE key = $1", account.encode())
    refused = tuple(row["reason"] for row in rows)
    allocation, consumed, allowed = case.credits
    noted = await pool.fetch("SELECT field FROM meter.remarks WHERE account_id = $1 ORDER BY field", account)
    has = found, refused, tuple(row["field"] for row in noted)
    wanted = (Decimal(allocation), Decimal(consumed), allowed), case.refused, case.remarks
    if has == wanted:
        return []
    return [f"{account}, {case.name}: {has}; must be {wanted}"]


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
