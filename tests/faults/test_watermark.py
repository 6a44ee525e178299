"""Which faults strike something that is under way, and what the summary says of them."""

from collections import Counter
from typing import Any

import pytest

from tests.faults.report import by_fault
from tests.faults.truth import USAGE
from tests.faults.watermark import Watermarks

QUIET: dict[str, Any] = {
    "shard": 0, "usage_offset": 9, "accounts_offset": 0, "last_position": 9, "folded": 9, "first_waiting": None,
    "notifications": 0, "emails": 0,
}  # fmt: skip


def watching(**values: object) -> Watermarks:
    watermarks = Watermarks("", dict, lambda: {(USAGE, 0): 9})
    watermarks.rows = [QUIET | values]
    return watermarks


@pytest.mark.parametrize(
    ("values", "busy"),
    [
        ({}, set()),
        ({"usage_offset": 8}, {"meter", "kafka", ""}),
        ({"folded": 8}, {"projections", "kafka", ""}),
        ({"first_waiting": 3}, {"projections", "kafka", ""}),
        ({"notifications": 1}, {"notifier", "kafka", ""}),
        ({"emails": 1}, {"notifier", "smtp", "kafka", ""}),
    ],
)
def test_a_fault_matters_where_its_target_has_work(values: dict[str, object], busy: set[str]) -> None:
    targets = ("meter", "projections", "notifier", "smtp", "kafka", "")
    assert {target for target in targets if watching(**values).has_work(target)} == busy


def test_the_summary_counts_by_kind() -> None:
    watermarks = watching(folded=8)
    for target in ("meter", "projections", "projections"):
        watermarks.note_fault("kill", target)
    head, kill = by_fault(Counter(kill=3), watermarks)
    assert head.split() == ["fault", "struck", "mattered", "p50", "s", "p99", "s"]
    assert kill.split() == ["kill", "3", "2", "0.0", "0.0"]
    assert len(head) <= 80 and len(kill) <= 80
