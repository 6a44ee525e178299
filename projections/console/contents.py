"""What each tab shows within its page, from what was read. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from meter.runtime.errors import explain
from projections.console import overview
from projections.console.deployments import deployments
from projections.console.dry_run import (
    MOST_STEPS,
    MOST_TYPED,
    Channel,
    DryRun,
    LinesError,
    Step,
    parse_lines,
    try_lines,
)
from projections.console.figures import NAMES
from projections.console.history import History
from projections.console.items import item_page
from projections.console.periods import in_zone
from projections.console.rows import Amount, Item, Point, Usage, total
from projections.console.tables import Column, Row, Table
from projections.console.tabs import NOUNS, Tab
from projections.console.view import GROUPS, View, group_of
from schemas.figures import show_balance

SEARCH_FROM: Final = 20
# Rows of a page: whoever may send usage can make up items and deployments without end, and each took 700 bytes of it.
MOST_ROWS: Final = 1_000
MOST_SHOWN: Final = 100  # lines of a dry run
NO_LINE: Final = "no line"
CHANNELS: Final = {Channel.EMAIL: "Letters", Channel.BANNER: "Banners"}


def overview_content(
    view: View, usage: Sequence[Amount], catalogue: Sequence[Item], points: Sequence[Point]
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
    found = table.found(search) if search else table
    details = deployments(view.tab, opened, usage, catalogue, view.period.zone) if known else None
    return {
        "page": page,
        "table": found.first(MOST_ROWS),
        "rows_found": len(found.rows),
        "sort": sort,
        "descending": descending,
        "search": search,
        "has_search": len(table.rows) >= SEARCH_FROM,
        "opened": opened if known else None,
        "opened_name": names.get(opened, ""),
        "opened_total": total(row for row in usage if row.item == opened),
        "details": None if details is None else details.first(MOST_ROWS),
        "details_found": 0 if details is None else len(details.rows),
        "noun": NOUNS[view.tab],
    }


def dry_run_content(view: View, steps: Sequence[Step], lines: Mapping[Channel, Sequence[int]] | None) -> dict[str, Any]:
    """The lines that are typed beside those in force. What cannot be read is said, and then nothing is tried."""
    typed = view.query("lines").strip()
    channel = Channel.BANNER if view.query("channel") == Channel.BANNER else Channel.EMAIL
    in_force = None if lines is None else lines[channel]
    tried, fault = read_lines(typed)
    run = try_lines(steps, tried, in_force, view.period.start) if tried else None
    return {
        "channel": channel,
        "channels": CHANNELS,
        "typed": typed[:MOST_TYPED],
        "fault": fault,
        "in_force": in_force,
        "run": run,
        "run_table": None if run is None else run_table(run, view),
        "some_left_out": len(steps) >= MOST_STEPS or (run is not None and len(run.rows) > MOST_SHOWN),
    }


def read_lines(typed: str) -> tuple[Sequence[int], str]:
    """The lines and no fault, or a fault and no lines."""
    try:
        return (parse_lines(typed) if typed else ()), ""
    except LinesError as error:
        return (), explain(error)


def run_table(run: DryRun, view: View) -> Table:
    columns = (
        Column("at", "When", "moment"), Column("resource", "Of"), Column("line", "Line"), Column("used", "Used"),
        Column("tried", "With these lines"), Column("in_force", "With the lines in force"),
    )  # fmt: skip
    known = len(columns) if run.in_force is not None else len(columns) - 1
    rows = [
        Row(
            str(n),
            [
                in_zone(row.step.at, view.period.zone), NAMES[row.step.resource], f"{row.line} %",
                used_of(row.step), row.tried or NO_LINE, row.in_force or NO_LINE,
            ][:known],
        )
        for n, row in enumerate(run.rows[:MOST_SHOWN])
    ]  # fmt: skip
    return Table(columns[:known], rows)


def times(count: int) -> str:
    """How often people would have been warned."""
    return {0: "no warning", 1: "1 warning"}.get(count, f"{count} warnings")


def used_of(step: Step) -> str:
    shown = show_balance(step.consumed, step.allocation)
    return f"{shown.used} of {shown.allocation}"


def history_table(told: History, view: View) -> Table:
    """Where older entries are left out, a last line says so."""
    columns = (
        Column("at", "When", "moment"), Column("kind", "Kind"), Column("title", "What"),
        Column("detail", "Detail"),
    )  # fmt: skip
    rows = [
        Row(str(n), [in_zone(one.at, view.period.zone), one.kind, one.title, one.detail])
        for n, one in enumerate(told.entries)
    ]
    if told.since is not None:
        left_out = ["left out", "Older entries of this period", "Choose a period that ends earlier to see them."]
        rows.append(Row("since", [in_zone(told.since, view.period.zone), *left_out]))
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
