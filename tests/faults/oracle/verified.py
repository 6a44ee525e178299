"""The product's own check, `projections verify`, must come to the same: no difference, with balances and notices."""

from typing import Final

import asyncpg

from projections.verify import LETTERS, Difference, NoticeRules, verify_shard
from tests.faults.oracle.books import BANNERS, EMAILS
from tests.faults.oracle.findings import Findings

FOUND: Final = "difference that `projections verify` finds"
TOLD_WRONG: Final = "told level or letter that `projections verify` finds wrong"
COUNTERS: Final = {"notices": ("notices_missing", "notices_doubled"), LETTERS: ("emails_lost", "emails_lost")}


async def check_verified(connection: asyncpg.Connection, partitions: int, findings: Findings, *, settled: bool) -> None:
    """`settled`: nothing is on its way to the notifier any more."""
    rules = NoticeRules(BANNERS, EMAILS, settled=settled)
    for shard in range(partitions):
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            report = await verify_shard(connection, shard, rules)
        for difference in report.differences:
            check = TOLD_WRONG if difference.model == LETTERS else FOUND
            findings.add(counter_of(difference), check, " ".join(map(str, difference)))


def counter_of(difference: Difference) -> str:
    missing, doubled = COUNTERS.get(difference.model, ("lost", "doubled"))
    return missing if difference.stored is None else doubled
