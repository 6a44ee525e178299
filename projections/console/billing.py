"""The billing page: from usage and the catalogue to cards, charts and tables. Pure, given the time."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time

from projections.console.charts import Series, Slice
from projections.console.figures import LOCALE
from projections.console.periods import Period
from projections.console.rows import Item, Point, Usage
from projections.console.tables import Column, Row, Table, Value, show_name


class Tab(StrEnum):
    OVERVIEW = "overview"
    TOOLS = "tools"
    MODELS = "models"
    GUARDRAILS = "guardrails"
    SCRIPTS = "scripts"
    HISTORY = "history"


TITLES: Final[Mapping[Tab, str]] = {
    Tab.OVERVIEW: "Overview",
    Tab.TOOLS: "Tools",
    Tab.MODELS: "Models",
    Tab.GUARDRAILS: "Guardrails",
    Tab.SCRIPTS: "Custom Scripts",
    Tab.HISTORY: "History",
}
# Of a tab of items: the kind in the catalogue, and the kind of its usage.
KINDS: Final[Mapping[Tab, tuple[str, str]]] = {
    Tab.TOOLS: ("tool", "tool_run"),
    Tab.MODELS: ("model", "model_inference"),
    Tab.GUARDRAILS: ("guardrail", "guardrail"),
    Tab.SCRIPTS: ("script", "custom_script"),
}
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
FAILED: Final = frozenset({"failed", "failure", "error", "timeout", "cancelled"})
STATUS_WORDS: Final[Mapping[str, str]] = {
    "deployed": "Deployed",
    "undeployed": "Undeployed",
    "deleted": "Deleted",
    "draft": "Draft",
    "deploying": "Deploying",
    "ready_to_deploy": "Ready to deploy",
    "ready": "Ready to deploy",
    "deployment_failed": "Deployment failed",
    "failed": "Deployment failed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A total above a table."""

    title: str
    value: Value
    form: str = "amount"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemPage:
    figures: Sequence[Figure]
    table: Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    labels: Sequence[str]
    credits: Sequence[Series]
    runs: Sequence[Series]


def total(rows: Iterable[Usage]) -> Decimal:
    return sum((row.amount for row in rows), Decimal(0))


def in_zone(at: datetime | None, zone: ZoneInfo) -> datetime | None:
    return None if at is None else at.astimezone(zone)


def latest(moments: Iterable[datetime | None]) -> datetime | None:
    return max((at for at in moments if at is not None), default=None)


def status_word(status: str | None) -> str | None:
    """As people read it; what the platform calls otherwise is shown as it is."""
    return None if status is None else STATUS_WORDS.get(status.lower().replace(" ", "_"), show_name(status))


def item_page(tab: Tab, usage: Sequence[Usage], catalogue: Sequence[Item], zone: ZoneInfo) -> ItemPage:
    """Totals, and a row for each item: of the catalogue, used or not, and what was used without being in it."""
    kind, usage_kind = KINDS[tab]
    used = [row for row in usage if row.kind == usage_kind]
    items = newest_items(item for item in catalogue if item.kind == kind)
    by_item: dict[str, list[Usage]] = defaultdict(list)
    for row in used:
        by_item[row.item].append(row)
    whole = total(used)
    columns, cells = LAYOUTS[tab]
    rows = [
        Row(
            id=id,
            values=cells(items.get(id), id, by_item[id], zone),
            share=by_share(total(by_item[id]), whole),
            note=(items[id].reason or "") if id in items else "",
        )
        for id in sorted({*items, *by_item})
    ]
    return ItemPage(figures=figures_of(tab, used, len(rows)), table=Table(columns, rows, bar=True))


def newest_items(items: Iterable[Item]) -> dict[str, Item]:
    """One per id; the catalogue has a row for each deployment."""
    found: dict[str, Item] = {}
    for item in items:
        found.setdefault(item.id, item)
    return found


def by_share(part: Decimal, whole: Decimal) -> Decimal:
    return part * 100 / whole if whole > 0 else Decimal(0)


def name_of(item: Item | None, id: str) -> str:
    return item.name if item is not None and item.name.strip() else id


def tool_cells(item: Item | None, id: str, used: Sequence[Usage], zone: ZoneInfo) -> list[Value]:
    failed = total(row for row in used if row.status.lower() in FAILED)
    told = any(row.status for row in used)
    runs = total(used)
    return [
        name_of(item, id), runs, runs - failed if told else None, failed if told else None,
        None if item is None else item.owner,
        in_zone(latest(row.last_used for row in used), zone), status_word(item.status if item else None),
    ]  # fmt: skip


def model_cells(item: Item | None, id: str, used: Sequence[Usage], zone: ZoneInfo) -> list[Value]:
    kind = {"base": "Base", "fine_tuned": "Fine-tuned", "fine-tuned": "Fine-tuned"}
    return [
        name_of(item, id), None if item is None or item.type is None else kind.get(item.type.lower(), item.type),
        total(used), int(sum(row.tokens_in for row in used)), int(sum(row.tokens_out for row in used)),
        in_zone(item.deployed_at if item else None, zone),
        in_zone(latest(row.last_used for row in used), zone), status_word(item.status if item else None),
    ]  # fmt: skip


def guardrail_cells(item: Item | None, id: str, used: Sequence[Usage], zone: ZoneInfo) -> list[Value]:
    return [
        name_of(item, id), total(used), sum((row.seconds for row in used), Decimal(0)),
        in_zone(item.deployed_at if item else None, zone), status_word(item.status if item else None),
    ]  # fmt: skip


def script_cells(item: Item | None, id: str, used: Sequence[Usage], zone: ZoneInfo) -> list[Value]:
    language = None
    if item is not None and item.language:
        language = f"{item.language} {item.version}" if item.version else item.language
    return [
        name_of(item, id), language, total(used), in_zone(latest(row.last_used for row in used), zone),
        status_word(item.status if item else None),
    ]  # fmt: skip


LAYOUTS: Final = {
    Tab.TOOLS: (
        (
            Column("name", "Tool"), Column("runs", "Runs", "count"), Column("succeeded", "Succeeded", "count"),
            Column("failed", "Failed", "count"), Column("owner", "Owner"), Column("last", "Last active on", "moment"),
            Column("status", "Status", "status"),
        ),
        tool_cells,
    ),
    Tab.MODELS: (
        (
            Column("name", "Model"), Column("type", "Type"), Column("credits", "Credits", "amount"),
            Column("tokens_in", "Tokens in", "count"), Column("tokens_out", "Tokens out", "count"),
            Column("deployed", "Last deployed on", "moment"), Column("last", "Last active on", "moment"),
            Column("status", "Status", "status"),
        ),
        model_cells,
    ),
    Tab.GUARDRAILS: (
        (
            Column("name", "Guardrail"), Column("credits", "Credits", "amount"), Column("time", "Time", "duration"),
            Column("deployed", "Last deployed on", "moment"), Column("status", "Status", "status"),
        ),
        guardrail_cells,
    ),
    Tab.SCRIPTS: (
        (
            Column("name", "Script"), Column("language", "Language"), Column("credits", "Credits", "amount"),
            Column("last", "Last active on", "moment"), Column("status", "Status", "status"),
        ),
        script_cells,
    ),
}  # fmt: skip
NOUNS: Final = {Tab.TOOLS: "tools", Tab.MODELS: "models", Tab.GUARDRAILS: "guardrails", Tab.SCRIPTS: "scripts"}


def figures_of(tab: Tab, used: Sequence[Usage], count: int) -> list[Figure]:
    figures = [Figure(title=f"Total {NOUNS[tab]}", value=count, form="count")]
    if tab is Tab.TOOLS:
        return [*figures, Figure(title="Total runs", value=total(used), form="count")]
    if tab is not Tab.SCRIPTS:
        figures.append(Figure(title="Total credits", value=total(used)))
    if tab is Tab.GUARDRAILS:
        seconds = sum((row.seconds for row in used), Decimal(0))
        return [*figures, Figure(title="Time", value=seconds, form="duration")]
    if tab is Tab.MODELS:
        figures.append(Figure(title="Fine-tuning credits", value=of_category(used, "fine_tuning")))
    else:
        figures.append(Figure(title="Total credits", value=total(used)))
    return [*figures, Figure(title="Hosting credits", value=of_category(used, "hosting"))]


def of_category(used: Iterable[Usage], category: str) -> Decimal:
    return total(row for row in used if row.category == category)


DEPLOYMENT_COLUMNS: Final = (
    Column("deployment", "Deployment"), Column("category", "For"), Column("amount", "Used", "amount"),
    Column("time", "Time", "duration"), Column("hardware", "Hardware"), Column("cpus", "CPUs"),
    Column("memory", "Memory"), Column("last", "Last updated on", "moment"),
)  # fmt: skip
CATEGORIES: Final = {"inference": "Inference", "fine_tuning": "Fine-tuning", "hosting": "Hosting", "storage": "Storage"}


def deployments(tab: Tab, id: str, usage: Sequence[Usage], catalogue: Sequence[Item], zone: ZoneInfo) -> Table:
    """What one item used, by deployment and what for."""
    kind, usage_kind = KINDS[tab]
    items = {item.deployment: item for item in catalogue if item.kind == kind and item.id == id}
    groups: dict[tuple[str, str], list[Usage]] = defaultdict(list)
    for row in usage:
        if row.kind == usage_kind and row.item == id:
            groups[row.deployment, row.category].append(row)
    rows = []
    for (deployment, category), used in sorted(groups.items()):
        item = items.get(deployment)
        values: list[Value] = [
            deployment or "(none named)",
            CATEGORIES.get(category, category) or None,
            total(used),
            sum((row.seconds for row in used), Decimal(0)) or None,
            item.hardware if item else None,
            None if item is None or item.cpus is None else f"{item.cpus.normalize():f} vCPU",
            None if item is None or item.memory_gb is None else f"{item.memory_gb.normalize():f} GB",
            in_zone(latest(row.last_used for row in used), zone),
        ]
        rows.append(Row(id=deployment, values=values))
    return without_empty(Table(DEPLOYMENT_COLUMNS, rows))


def without_empty(table: Table) -> Table:
    """Leave out the columns that no row has a value in."""
    kept = [n for n in range(len(table.columns)) if any(row.values[n] is not None for row in table.rows)]
    rows = [Row(row.id, [row.values[n] for n in kept], row.share, row.note) for row in table.rows]
    return Table([table.columns[n] for n in kept], rows, table.bar)


def slices(usage: Sequence[Usage]) -> list[Slice]:
    """Where model credits went, by kind."""
    found = [
        Slice(kind, name, total(row for row in usage if row.resource == CREDITS and row.kind == kind))
        for kind, name in CREDIT_KINDS.items()
    ]
    return [part for part in found if part.value != 0]


def top_items(usage: Sequence[Usage], catalogue: Sequence[Item]) -> Table:
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
        return [(at, format_time(at, "HH:mm", tzinfo=at.tzinfo, locale=LOCALE)) for at in points]
    if group == "week":
        points = [at for n, at in enumerate(points) if n == 0 or at.weekday() == 0]
    elif group == "month":
        points = [at for n, at in enumerate(points) if n == 0 or at.day == 1]
    form = "MMM y" if group == "month" else "d MMM"
    return [(at, format_date(at.date(), form, locale=LOCALE)) for at in points]


def trend_table(labels: Sequence[str], series: Sequence[Series], unit: str) -> Table:
    """The table twin of a chart."""
    columns = [Column("at", "From"), *(Column(one.key, one.name, "amount") for one in series)]
    rows = [Row(str(n), [label, *(one.values[n] for one in series)]) for n, label in enumerate(labels)]
    return Table([*columns, Column("total", f"Total {unit}", "amount")], [with_total(row) for row in rows])


def with_total(row: Row) -> Row:
    amounts = [value for value in row.values if isinstance(value, Decimal)]
    return Row(row.id, [*row.values, sum(amounts, Decimal(0))])
