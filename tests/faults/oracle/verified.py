"""The product's own check, `projections verify`, must come to the same: no difference, with balances and notices."""

from typing import Final

import asyncpg

from projections.verify import Difference, NoticeRules, verify_shard
from tests.faults.oracle.books import BANNERS, EMAILS
from tests.faults.oracle.findings import Findings

COUNTERS: Final = {"notices": ("notices_missing", "notices_doubled")}


async def check_verified(connection: asyncpg.Connection, partitions: int, findings: Findings, *, settled: bool) -> None:
    """`settled`: nothing is on its way to the notifier any more."""
    rules = NoticeRules(BANNERS, EMAILS, settled=settled)
    for shard in range(partitions):
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            report = await verify_shard(connection, shard, rules)
        for difference in report.differences:
            findings.add(
                counter_of(difference), "difference that `projections verify` finds", " ".join(map(str, difference))
            )


def counter_of(difference: Difference) -> str:
    missing, doubled = COUNTERS.get(difference.model, ("lost", "doubled"))
    return missing if difference.stored is None else doubled
