"""The billing page: figures add up, whatever the items are called and however clocks change."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from projections.console.deployments import deployments
from projections.console.items import item_page
from projections.console.overview import slices, top_items, trend, trend_table
from projections.console.periods import period_of
from projections.console.rows import Item, Point, Usage
from projections.console.tabs import KINDS, Tab

NOW = datetime(2026, 11, 26, 9, 20, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def used(kind: str, item: str, amount: str, **more: Any) -> Usage:
    values: dict[str, Any] = {
        "resource": "tool_runs" if kind == "tool_run" else "model_credits", "kind": kind, "item": item,
        "deployment": "", "category": "", "status": "", "events": 1, "amount": Decimal(amount),
        "tokens_in": Decimal(10), "tokens_out": Decimal(2), "seconds": Decimal(0), "last_used": NOW,
    }  # fmt: skip
    return Usage(**values | more)


def item(kind: str, id: str, **more: Any) -> Item:
    values: dict[str, Any] = dict.fromkeys(
        ("owner", "type", "language", "version", "reason", "deployed_at", "first_used", "hardware", "replicas", "cpus",
         "memory_gb"),
    )  # fmt: skip
    known = {"kind": kind, "id": id, "name": id.title(), "status": "deployed", "deployment": "", "told": True}
    return Item(**values | known | more)


def cells(page: Any, id: str) -> dict[str, Any]:
    [row] = [row for row in page.table.rows if row.id == id]
    return dict(zip((column.key for column in page.table.columns), row.values, strict=True))


def test_tools_tell_succeeded_from_failed_where_the_platform_says() -> None:
    usage = [
        used("tool_run", "search", "7", status="ok"), used("tool_run", "search", "3", status="failed"),
        used("tool_run", "other", "2"), used("model_inference", "chat", "1"),
    ]  # fmt: skip
    page = item_page(
        Tab.TOOLS, usage, [item("tool", "search", owner="Ops"), item("tool", "idle", status="deleted")], BERLIN
    )
    found = cells(page, "search")
    assert (found["name"], found["runs"], found["succeeded"], found["failed"]) == ("Search", 10, 7, 3)
    assert (found["owner"], found["status"]) == ("Ops", "Deployed")
    assert cells(page, "other")["failed"] is None, "nobody said"
    assert (cells(page, "idle")["runs"], cells(page, "idle")["status"]) == (0, "Deleted")
    assert [figure.value for figure in page.figures] == [3, 12]


def test_models_tell_fine_tuning_and_hosting_apart() -> None:
    usage = [
        used("model_inference", "chat", "5", category="inference"),
        used("model_inference", "chat", "2", category="hosting", tokens_in=Decimal(0), tokens_out=Decimal(0)),
        used("model_inference", "tuned", "4", category="fine_tuning"),
    ]  # fmt: skip
    page = item_page(Tab.MODELS, usage, [item("model", "tuned", type="fine_tuned")], BERLIN)
    assert {figure.title: figure.value for figure in page.figures} == {
        "Total models": 2, "Total credits": 11, "Fine-tuning credits": 4, "Hosting credits": 2,
    }  # fmt: skip
    assert cells(page, "tuned")["type"] == "Fine-tuned"
    assert (cells(page, "chat")["credits"], cells(page, "chat")["tokens_in"]) == (7, 10)


def test_a_failed_deployment_says_why() -> None:
    page = item_page(
        Tab.SCRIPTS, [], [item("script", "nightly", status="deployment_failed", reason="no main.py")], BERLIN
    )
    assert (page.table.rows[0].note, cells(page, "nightly")["status"]) == ("no main.py", "Deployment failed")


@pytest.mark.parametrize("tab", KINDS)
def test_deployments_add_up_to_their_item(tab: Tab) -> None:
    rng = random.Random(3)
    usage = [
        used(KINDS[tab][1], rng.choice("ab"), str(rng.randint(1, 99)), deployment=rng.choice(("", "eu", "us")),
             category=rng.choice(("", "hosting")))
        for _ in range(40)
    ]  # fmt: skip
    page = item_page(
        tab, usage, [item(KINDS[tab][0], "a", deployment="eu", hardware="CPU", cpus=Decimal("2.0"))], BERLIN
    )
    for row in page.table.rows:
        table = deployments(tab, row.id, usage, [], BERLIN)
        place = [column.key for column in table.columns].index("amount")
        amounts = [one.values[place] for one in table.rows]
        own = cells(page, row.id)
        assert sum(amount for amount in amounts if isinstance(amount, Decimal)) == own.get("runs", own.get("credits"))


def test_the_pie_has_the_kinds_of_credits_alone() -> None:
    usage = [used("guardrail", "pii", "2"), used("tool_run", "search", "9"), used("reversal", "failed", "-1")]
    expected = [("Guardrails", Decimal(2)), ("Reversed", Decimal(-1))]
    assert [(part.name, part.value) for part in slices(usage)] == expected


def test_the_top_five_are_those_with_most_credits() -> None:
    usage = [used("model_inference", name, str(n)) for n, name in enumerate("abcdefg", 1)]
    table = top_items(usage, [item("model", "g")])
    assert [row.values[0] for row in table.rows] == ["G", "f", "e", "d", "c"]
    assert table.rows[0].share == 25


@pytest.mark.parametrize("group", ["day", "week", "month"])
@pytest.mark.parametrize("name", ["7d", "90d", "this-year", "last-year"])
def test_no_point_is_lost_between_bars(name: str, group: str) -> None:
    period = period_of(name, NOW, BERLIN)
    rng = random.Random(5)
    starts = period.points()
    points = [
        Point(at=rng.choice(starts).astimezone(UTC), resource="model_credits", kind="guardrail", amount=Decimal(n))
        for n in range(100)
    ]
    made = trend(points, period, group)
    assert made.credits[0].total == sum(range(100))
    table = trend_table(made.labels, made.credits, "credits")
    assert sum(Decimal(str(row.values[-1])) for row in table.rows) == sum(range(100))


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_hours_of_a_day_on_which_clocks_change_are_all_there(day: str, hours: int) -> None:
    period = period_of("custom", NOW, BERLIN, day)
    points = [
        Point(at=period.start + n * timedelta(hours=1), resource="tool_runs", kind="tool_run", amount=Decimal(1))
        for n in range(hours)
    ]
    made = trend(points, period)
    assert list(made.runs[0].values) == [1] * hours
    assert made.labels[0] == "00:00"
    assert [label for label in made.labels if label.startswith("02:00")] == (
        [] if hours == 23 else ["02:00 CEST", "02:00 CET"]
    )


def test_weeks_begin_on_monday_and_months_on_their_first() -> None:
    period = period_of("90d", NOW, BERLIN)
    weeks, months = trend([], period, "week"), trend([], period, "month")
    assert weeks.labels[1] == "31 Aug"
    assert list(months.labels) == ["Aug 2026", "Sep 2026", "Oct 2026", "Nov 2026"]
