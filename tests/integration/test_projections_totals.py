"""Totals past BIGINT stay exact, whatever is sent, in every place that keeps or shows them."""

import json
from typing import Final

import pytest

from meter.runtime.postgres import Pool
from projections import rebuild as rebuild_module
from projections.reader import BalanceReader
from projections.rebuild import RANGE_EVENTS, Model, Rebuild
from projections.settings import ProjectionsSettings
from projections.verify import Difference, NoticeRules, verify
from schemas.amounts import MAX_AMOUNT, MICRO
from schemas.exhaustion import DEFAULT_BANNER_THRESHOLDS, DEFAULT_EMAIL_THRESHOLDS
from schemas.resources import Resource
from tests.integration.projections_books import assert_balances
from tests.integration.projections_log import (
    CREDITS,
    GRANTED,
    INFERENCE,
    Event,
    EventLog,
    fold_all,
    opened,
    reversed_,
    revoked,
    used,
)
from tests.integration.projections_notices import Notifier, notifier
from tests.integration.usage_log import fold_usage
from tests.support.processes import Processes

__all__ = ["notifier"]  # the fixture

BIGINT: Final = 2**63 - 1
RULES: Final = NoticeRules(DEFAULT_BANNER_THRESHOLDS, DEFAULT_EMAIL_THRESHOLDS, settled=True)


async def find_differences(pool: Pool, rules: NoticeRules | None = None) -> list[Difference]:
    return [difference async for report in verify(pool, rules) for difference in report.differences]


def ignore(_events: int) -> None:
    """No progress bar."""


async def count_rebuilt(pool: Pool) -> int:
    """How many rows a rebuild would change."""
    exchanges = await Rebuild(pool, list(Model), progress=ignore, dry_run=True).run()
    return sum(exchange.added + exchange.changed + exchange.removed for exchange in exchanges)


def great(amount: int, type: int = INFERENCE) -> Event:
    data = {"resource": "model_credits", "amount": "1", "reason": "top_up", "reference": "INV-1"}
    name = "top_up" if type == GRANTED else "small-chat"
    return Event(account_id="acct-1", type=type, resource=CREDITS, amount=amount, name=name, data=data)


@pytest.fixture
async def beyond(pool: Pool, log: EventLog, notifier: Notifier) -> EventLog:
    """Grants, usage, a reversal and a revocation beyond BIGINT, each folded and noticed by itself."""
    events = [
        *opened("acct-1"), great(BIGINT, GRANTED), great(BIGINT, GRANTED), great(BIGINT), great(BIGINT - 1),
        great(BIGINT), reversed_("acct-1", 20), great(BIGINT, GRANTED), great(1),
        revoked("acct-1", 30), used("acct-1", 1),
    ]  # fmt: skip
    for event in events:
        await log.append(event)
        await fold_all(pool, 1)
        await notifier.read_all()
    await fold_usage(pool)
    return log


async def test_grants_and_corrections_past_bigint_are_exact(pool: Pool, beyond: EventLog) -> None:
    await assert_balances(pool, beyond.events)
    assert await find_differences(pool, RULES) == []
    assert await pool.fetchval("SELECT max(consumed) FROM notifier.notices") > BIGINT
    balance = (await BalanceReader(pool).get("acct-1"))[Resource.MODEL_CREDITS]
    assert balance.lifetime_granted * MICRO == 3 * BIGINT + 45 * MICRO
    assert balance.lifetime_consumed * MICRO == 3 * BIGINT - 19 * MICRO
    days = await BalanceReader(pool).usage_by_day("acct-1")
    assert sum(day.amount for day in days) == balance.lifetime_consumed


async def test_a_rebuild_past_bigint_finds_what_is_stored_and_mends_it(
    pool: Pool, beyond: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild_module, "RANGE_EVENTS", 1)  # no event of the meter's own is as large as these
    assert await count_rebuilt(pool) == 0
    await pool.execute("UPDATE projections.usage_slots SET amount = amount + 1; DELETE FROM projections.balance_states")
    assert await count_rebuilt(pool) == 4
    await Rebuild(pool, list(Model), progress=ignore).run()
    assert await find_differences(pool, RULES) == []


async def test_commands_show_what_is_past_bigint(pool: Pool, beyond: EventLog, processes: Processes) -> None:
    for command in (("projections", "show"), ("projections", "explain"), ("notifier", "notices")):
        done = processes.run(*command, "acct-1", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[0]), command
    balance = (await BalanceReader(pool).get("acct-1"))[Resource.MODEL_CREDITS]
    assert str(balance.consumed) in processes.run("projections", "show", "acct-1").stdout


def test_what_one_statement_adds_up_fits_into_bigint() -> None:
    """`projections.total` counts in BIGINT; only what is added up over statements is NUMERIC."""
    [most] = [bound.le for bound in ProjectionsSettings.model_fields["fold_events"].metadata if hasattr(bound, "le")]
    free_grants = len(Resource)  # a range may be longer by these
    assert (max(most, RANGE_EVENTS) + free_grants) * MAX_AMOUNT <= BIGINT
