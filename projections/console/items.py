"""The tabs of items: totals, and a row for each tool, model, guardrail or script. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from projections.console.figures import by_share
from projections.console.periods import in_zone
from projections.console.rows import Item, Usage, latest, total
from projections.console.tables import Column, Row, Table, Value, show_name
from projections.console.tabs import KINDS, NOUNS, Tab

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
