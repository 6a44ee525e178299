"""`projections show`: an account for people, for pipes and as JSON."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from meter.presentation import print_on_terminal, print_table, printable
from meter.terminal_table import lay_out_table
from projections.reader import Account, Balance, BalanceReader, UsageDay, worst_status
from schemas.resources import Resource
from schemas.statuses import Status
from schemas.times import say_time

# The platform's clock icon: how full the pie is, and its colour.
ICONS: Final[Mapping[Status, tuple[str, str]]] = {
    "good": ("●", "green"),
    "moderate": ("◑", "dark_orange"),
    "low": ("◔", "red"),
    "exhausted": ("⚠", "bold red"),
}
BALANCE_COLUMNS: Final = ("resource", "status", "allowed", "used", "of", "left", "exhaustion", "epoch", "as_of")
USAGE_COLUMNS: Final = ("day", "resource", "kind", "name", "events", "amount")
CHANGED: Final = "changed"  # of days that late usage changed
SHOWN_DAYS: Final = 20
RECENT: Final = timedelta(days=14)


async def read_shown_usage(reader: BalanceReader, account_id: str, today: date, *, as_json: bool) -> list[UsageDay]:
    """In a pipe none. On a terminal only the newest of all lines that an account ever had: those of the last weeks
    where they are enough."""
    if as_json:
        return await reader.usage_by_day(account_id)
    if not sys.stdout.isatty():
        return []
    recent = await reader.usage_by_day(account_id, since=today - RECENT)
    return recent if len(recent) >= SHOWN_DAYS else await reader.usage_by_day(account_id)


def show_account(
    account: Account | None, balances: Mapping[Resource, Balance], usage: Sequence[UsageDay], *, as_json: bool
) -> None:
    """A heading and tables on a terminal, tab-separated balances in a pipe, or one JSON object."""
    if as_json:
        print(json.dumps(as_document(account, balances, usage)))
    elif sys.stdout.isatty():
        print_on_terminal(lambda width: render(account, balances, usage, width=width))
    else:
        print_table(BALANCE_COLUMNS, [balance_cells(b) for b in balances.values()], as_json=False)


def as_document(
    account: Account | None, balances: Mapping[Resource, Balance], usage: Sequence[UsageDay]
) -> dict[str, object]:
    return {
        "status": worst_status(balances),
        "plan": account.plan if account else None,
        "display_name": account.display_name if account else None,
        "time_zone": account.time_zone if account else None,
        "state": account.state if account else None,
        "balances": [dict(zip(BALANCE_COLUMNS, balance_cells(b), strict=True)) for b in balances.values()],
        "usage": [dict(zip(USAGE_COLUMNS, usage_cells(u), strict=True)) | changed_document(u) for u in usage],
    }


def balance_cells(b: Balance) -> tuple[object, ...]:
    percent = None if b.exhaustion is None else plain(b.exhaustion)
    return (
        b.resource.value, b.status, b.allowed, plain(b.consumed), plain(b.allocation), plain(b.remaining), percent,
        b.epoch, b.as_of.isoformat(),
    )  # fmt: skip


def usage_cells(u: UsageDay) -> tuple[object, ...]:
    return u.day.isoformat(), u.resource.value, u.kind, u.name, u.events, plain(u.amount)


def changed_document(u: UsageDay) -> dict[str, object]:
    return {"changed_at": u.changed_at.isoformat() if u.changed_at else None, "changed_late": is_late(u)}


def is_late(u: UsageDay) -> bool:
    """Whether an event was added after the day and the hour behind it, in which events of midnight still arrive."""
    closed = datetime.combine(u.day, time(1), UTC) + timedelta(days=1)
    return u.changed_at is not None and u.changed_at > closed


def plain(amount: Decimal) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def render(
    account: Account | None, balances: Mapping[Resource, Balance], usage: Sequence[UsageDay], *, width: int
) -> list[RenderableType]:
    """For a terminal of `width` character cells."""
    parts: list[RenderableType] = [render_heading(account, balances)]
    if balances:
        parts += [Text(), lay_out_table(BALANCE_COLUMNS, [balance_texts(b) for b in balances.values()], width=width)]
    if usage:
        title = f"Usage by day (UTC), the newest {SHOWN_DAYS} lines"
        late = any(map(is_late, usage[:SHOWN_DAYS]))
        columns = (*USAGE_COLUMNS, CHANGED) if late else USAGE_COLUMNS
        rows = [[Text(printable(cell)) for cell in day_cells(day, late=late)] for day in usage[:SHOWN_DAYS]]
        parts += [Text(), lay_out_table(columns, rows, width=width, title=title)]
    return parts


def day_cells(u: UsageDay, *, late: bool) -> tuple[object, ...]:
    """With `late` the time of the change of days that were changed after they were over."""
    changed = say_time(u.changed_at) if u.changed_at and is_late(u) else ""
    return (*usage_cells(u), changed) if late else usage_cells(u)


def render_heading(account: Account | None, balances: Mapping[Resource, Balance]) -> Text:
    icon, style = ICONS[worst_status(balances)]
    account_id = next(iter(balances.values())).account_id if balances else account.account_id if account else ""
    name = f" ({printable(account.display_name)})" if account and account.display_name else ""
    plan = f", plan {account.plan}" if account else ", not opened yet"
    plan += ", closed" if account and account.state == "closed" else ""
    return Text.assemble((icon, style), f" {printable(account_id)}{name}{plan}")


def balance_texts(b: Balance) -> list[Text]:
    icon, style = ICONS[b.status]
    cells = [Text(printable(cell)) for cell in balance_cells(b)]
    yes_or_no = Text("yes" if b.allowed else "no")
    return [cells[0], Text(f"{icon} {b.status}", style), yes_or_no, *cells[3:-1], Text(say_time(b.as_of))]
