"""The overview: where credits went by kind and item, and usage over time. Pure."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from projections.console.charts import Series, Slice
from projections.console.figures import by_share, show_day_of_month, show_month, show_time
from projections.console.periods import Period
from projections.console.rows import Amount, Item, Point, total
from projections.console.tables import Column, Row, Table
from projections.console.tabs import KINDS

CREDITS, RUNS = "model_credits", "tool_runs"
# Kinds of usage as charts name them, in the order in which they are stacked.
CREDIT_KINDS: Final[Mapping[str, str]] = {
    "model_inference": "Models",
    "guardrail": "Guardrails",
    "custom_script": "Custom scripts",
    "reversal": "Reversed",
}
RUN_KINDS: Final[Mapping[str, str]] = {"tool_run": "Tool runs", "reversal": "Reversed"}
TOP: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    labels: Sequence[str]
    credits: Sequence[Series]
    runs: Sequence[Series]


def slices(usage: Sequence[Amount]) -> list[Slice]:
    """Where model credits went, by kind."""
    found = [
        Slice(kind, name, total(row for row in usage if row.resource == CREDITS and row.kind == kind))
        for kind, name in CREDIT_KINDS.items()
    ]
    return [part for part in found if part.value != 0]


def top_items(usage: Sequence[Amount], catalogue: Sequence[Item]) -> Table:
    """The items that used most credits."""
    names = {(item.kind, item.id): item.name for item in catalogue}
    kinds = {usage_kind: kind for kind, usage_kind in KINDS.values()}
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in usage:
        if row.resource == CREDITS and row.kind in CREDIT_KINDS:
            sums[row.kind, row.item] += row.amount
    whole = sum(sums.values(), Decimal(0))
    best = sorted(sums.items(), key=lambda pair: (-pair[1], pair[0]))[:TOP]
    rows = [
        Row(
            item,
            [names.get((kinds.get(kind, ""), item)) or item, CREDIT_KINDS[kind], amount],
            by_share(amount, whole),
        )
        for (kind, item), amount in best
    ]
    columns = (Column("name", "Name"), Column("kind", "Kind"), Column("credits", "Credits", "amount"))
    return Table(columns, rows, bar=True)


def trend(points: Sequence[Point], period: Period, group: str = "day") -> Trend:
    """Usage over time by kind: by the hour for a day, else by day, week or month."""
    starts = group_starts(period, group)
    place = {start.astimezone(UTC): n for n, (start, _) in enumerate(starts)}
    steps = sorted(place)
    sums: dict[tuple[str, str], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * len(starts))
    for point in points:
        found = last_at_or_before(steps, point.at)
        if found is not None:
            sums[point.resource, point.kind][place[found]] += point.amount
    return Trend(
        labels=[label for _, label in starts],
        credits=series_of(sums, CREDITS, CREDIT_KINDS),
        runs=series_of(sums, RUNS, RUN_KINDS),
    )


def last_at_or_before(steps: Sequence[datetime], at: datetime) -> datetime | None:
    place = bisect_right(steps, at)
    return steps[place - 1] if place else None


def series_of(
    sums: Mapping[tuple[str, str], Sequence[Decimal]], resource: str, kinds: Mapping[str, str]
) -> list[Series]:
    return [Series(kind, name, sums[resource, kind]) for kind, name in kinds.items() if (resource, kind) in sums]


def group_starts(period: Period, group: str) -> list[tuple[datetime, str]]:
    """When each bar begins, and its label. Weeks begin on Monday."""
    points = period.points()
    if period.unit == "hour":
        return list(zip(points, show_hours(points), strict=True))
    if group == "week":
        points = [at for n, at in enumerate(points) if n == 0 or at.weekday() == 0]
    elif group == "month":
        points = [at for n, at in enumerate(points) if n == 0 or at.day == 1]
    label = show_month if group == "month" else show_day_of_month
    return [(at, label(at)) for at in points]


def show_hours(points: Sequence[datetime]) -> list[str]:
    """An hour that comes twice, where clocks are put back, says which one it is: 02:00 CEST, 02:00 CET."""
    labels = [show_time(at) for at in points]
    times = Counter(labels)
    return [f"{label} {at.tzname()}" if times[label] > 1 else label for label, at in zip(labels, points, strict=True)]


def trend_table(labels: Sequence[str], series: Sequence[Series], unit: str) -> Table:
    """The table twin of a chart."""
    columns = [Column("at", "From"), *(Column(one.key, one.name, "amount") for one in series)]
    rows = [Row(str(n), [label, *(one.values[n] for one in series)]) for n, label in enumerate(labels)]
    return Table([*columns, Column("total", f"Total {unit}", "amount")], [with_total(row) for row in rows])


def with_total(row: Row) -> Row:
    amounts = [value for value in row.values if isinstance(value, Decimal)]
    return Row(row.id, [*row.values, sum(amounts, Decimal(0))])
