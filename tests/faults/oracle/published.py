"""Check 3, second half: what was published of balances says no more than is true. Percents are rounded down, and the
newest event of each balance says whether the account may spend."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import orjson

from tests.faults.oracle.findings import Findings
from tests.faults.oracle.offsets import Books, read_records
from tests.faults.truth import RESOURCES
from tests.faults.world import World

BALANCES: Final = "metering.balances"
PERCENT_WRONG: Final = "published percent that is not rounded down"
ALLOWED_WRONG: Final = "published last that an account may spend, or may not, and it is not so"
CODES: Final = {name: code for code, name in RESOURCES.items()}


def check_published(
    bootstrap: str, prefix: str, partitions: int, world: World, books: Books, findings: Findings
) -> None:
    count, newest = 0, dict[tuple[int, int], tuple[int, bool]]()
    for shard in range(partitions):
        for record in read_records(bootstrap, prefix + BALANCES, shard):
            event = orjson.loads(record.value())
            if event["type"].startswith("balance."):
                count += 1
                data = event["data"]
                check_percent(data, findings)
                key = world.index_of(data["account_id"]), CODES[data["resource"]]
                newest[key] = max(newest.get(key, (0, False)), (data["position"], data["allowed"]))
    for key, book in books.items():
        if book.epochs and newest.get(key, (0, None))[1] is not book.allowed:
            detail = f"{world.accounts[key[0]].name} {RESOURCES[key[1]]}: must be {book.allowed}"
            findings.add("notices_missing", ALLOWED_WRONG, detail)
    findings.figures["published balances"] = count


def check_percent(data: Mapping[str, Any], findings: Findings) -> None:
    """100 and above is said of what is used up, and of nothing else: 74.999 of 75 is 99."""
    wanted = percent_of(Decimal(data["consumed"]), Decimal(data["allocation"]))
    if data["percent"] != wanted:
        detail = f"{data['account_id']} {data['resource']}: {data['percent']} %, must be {wanted} % of {data}"
        findings.add("notices_doubled", PERCENT_WRONG, detail)


def percent_of(used: Decimal, allocation: Decimal) -> int:
    if allocation <= 0:
        return 100 if used >= allocation else 0
    return max(0, int(used * 100 // allocation))
