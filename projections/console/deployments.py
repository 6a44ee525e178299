"""What one item used, by deployment: the panel that a row opens. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from projections.console.periods import in_zone
from projections.console.rows import Item, Usage, latest, total
from projections.console.tables import Column, Row, Table, Value
from projections.console.tabs import KINDS, Tab

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
