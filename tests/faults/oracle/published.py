"""Check 3, second half: what was published of balances says no more than is true. Percents are rounded down."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import orjson

from tests.faults.oracle.findings import Findings
from tests.faults.oracle.offsets import read_records

BALANCES: Final = "metering.balances"
PERCENT_WRONG: Final = "published percent that is not rounded down"


def check_published(bootstrap: str, prefix: str, partitions: int, findings: Findings) -> None:
    count = 0
    for shard in range(partitions):
        for record in read_records(bootstrap, prefix + BALANCES, shard):
            event = orjson.loads(record.value())
            if event["type"].startswith("balance."):
                count += 1
                check_percent(event["data"], findings)
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
