"""What each tab shows within its page, from what was read. Pure."""

from collections.abc import Sequence
from typing import Any, Final

from projections.console import overview
from projections.console.deployments import deployments
from projections.console.history import Entry
from projections.console.items import item_page
from projections.console.periods import in_zone
from projections.console.rows import Item, Point, Usage
from projections.console.tables import Column, Row, Table
from projections.console.tabs import NOUNS, Tab
from projections.console.view import GROUPS, View, group_of

SEARCH_FROM: Final = 20


def overview_content(
    view: View, usage: Sequence[Usage], catalogue: Sequence[Item], points: Sequence[Point]
) -> dict[str, Any]:
    trend = overview.trend(points, view.period, group_of(view))
    return {
        "slices": overview.slices(usage),
        "trend": trend,
        "credits_table": overview.trend_table(trend.labels, trend.credits, "credits"),
        "runs_table": overview.trend_table(trend.labels, trend.runs, "runs"),
        "top": overview.top_items(usage, catalogue),
        "groups": GROUPS,
        "group": group_of(view),
    }


def items_content(view: View, usage: Sequence[Usage], catalogue: Sequence[Item]) -> dict[str, Any]:
    page = item_page(view.tab, usage, catalogue, view.period.zone)
    amount = "runs" if view.tab is Tab.TOOLS else "credits"
    sort = view.query("sort", amount)
    descending = view.query("dir", "asc" if sort == "name" else "desc") != "asc"
    table = page.table.sorted(sort, descending=descending)
    search = view.query("q")[:100]
    opened = view.query("open")
    names = {row.id: str(row.values[0]) for row in table.rows}
    known = opened in names
    return {
        "page": page,
        "table": table.found(search) if search else table,
        "sort": sort,
        "descending": descending,
        "search": search,
        "has_search": len(table.rows) >= SEARCH_FROM,
        "opened": opened if known else None,
        "opened_name": names.get(opened, ""),
        "details": deployments(view.tab, opened, usage, catalogue, view.period.zone) if known else None,
        "noun": NOUNS[view.tab],
    }


def history_table(entries: Sequence[Entry], view: View) -> Table:
    columns = (
        Column("at", "When", "moment"), Column("kind", "Kind"), Column("title", "What"),
        Column("detail", "Detail"),
    )  # fmt: skip
    rows = [
        Row(str(n), [in_zone(one.at, view.period.zone), one.kind, one.title, one.detail])
        for n, one in enumerate(entries)
    ]
    return Table(columns, rows)


def points_table(trend: overview.Trend) -> Table:
    """Every point of the charts, credits and runs side by side."""
    columns = [
        Column("at", "From"),
        *(Column(one.key, f"{one.name} (credits)", "amount") for one in trend.credits),
        *(Column(one.key, f"{one.name} (runs)", "amount") for one in trend.runs),
    ]
    series = [*trend.credits, *trend.runs]
    rows = [Row(str(n), [label, *(one.values[n] for one in series)]) for n, label in enumerate(trend.labels)]
    return Table(columns, rows)
