"""Days of usage that changed after they were over, as `projections show` tells them."""

import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from rich.console import Console, Group

from projections.reader import UsageDay
from projections.show import as_document, is_late, render
from schemas.resources import Resource

DAY = date(2026, 11, 24)
NEXT = datetime(2026, 11, 25, tzinfo=UTC)


def usage(changed_at: datetime | None) -> UsageDay:
    return UsageDay(
        account_id="acct-1", day=DAY, resource=Resource.MODEL_CREDITS, kind="model_inference", name="large", events=3,
        amount=Decimal("0.25"), changed_at=changed_at,
    )  # fmt: skip


def shown(*days: UsageDay) -> str:
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    console.print(Group(*render(None, {}, days, width=100)), crop=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("changed_at", "late"),
    [
        (None, False),
        (NEXT - timedelta(hours=5), False),
        (NEXT + timedelta(hours=1), False),
        (NEXT + timedelta(hours=1, microseconds=1), True),
        (NEXT + timedelta(days=30), True),
    ],
)
def test_a_day_is_late_when_it_changed_after_it_was_over(changed_at: datetime | None, late: bool) -> None:
    day = usage(changed_at)
    assert is_late(day) == late
    assert ("changed" in shown(usage(None), day)) == late
    documents = as_document(None, {}, [day])["usage"]
    assert isinstance(documents, list)
    [document] = documents
    assert document["changed_late"] == late
    assert document["changed_at"] == (changed_at and changed_at.isoformat())
