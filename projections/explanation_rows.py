"""What `projections explain` says, as sentences and rows: the same for people, for pipes and for programs."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from projections.explain import SUPPORT, Explanation, Row
from projections.show import BALANCE_COLUMNS, balance_cells
from projections.show import plain as format_percent
from projections.timeline import ResourceTimeline
from projections.timeline_lines import MOVING, Line, What
from schemas.amounts import format_amount
from schemas.figures import count_of, unit_of
from schemas.resources import RESOURCE_CODES, RESOURCES_BY_CODE, Resource
from schemas.times import say_time

LINE_COLUMNS: Final = (
    "resource", "first_position", "last_position", "recorded_at", "what", "threshold", "amount", "events", "name",
    "note", "epoch", "base", "allocation", "used", "left", "percent", "event_id", "at_start",
)  # fmt: skip
PART_COLUMNS: Final = ("resource", "first_position", "last_position", "kind", "name", "events", "amount")
BANNER_COLUMNS: Final = ("resource", "threshold", "kind", "removable", "epoch", "position", "raised_at", "text")
NOTICE_COLUMNS: Final = (
    "resource", "epoch", "channel", "threshold", "outcome", "consumed", "allocation", "position", "created_at",
    "reached_position", "reached_event",
)  # fmt: skip
STATE_COLUMNS: Final = (
    "resource", "epoch", "line", "reached_at", "contact", "says", "state", "reason", "letter", "at",
)  # fmt: skip
EMAIL_COLUMNS: Final = (
    "email_id", "resource", "epoch", "threshold", "recipient", "state", "attempts", "ambiguous_attempts",
    "created_at", "finished_at", "next_attempt_at", "reason",
)  # fmt: skip
ATTEMPT_COLUMNS: Final = ("email_id", "claim", "started_at", "ended_at", "outcome", "phase", "reply_code", "detail")
REMARK_COLUMNS: Final = ("offset", "field", "reason", "recorded_at")
DIFFERENCE_COLUMNS: Final = ("resource", "field", "stored", "log")
AMOUNTS: Final = {"consumed", "allocation"}
FOR_PEOPLE: Final = {"says"}  # in JSON its parts stand beside it: state, reason, letter, at

Cells = tuple[object, ...]


class Section(NamedTuple):
    name: str
    columns: Sequence[str]
    rows: list[Cells]


def as_document(e: Explanation) -> dict[str, object]:
    document: dict[str, object] = {
        "account_id": e.account_id,
        "plan": e.account.plan if e.account else None,
        "display_name": e.account.display_name if e.account else None,
        "state": e.account.state if e.account else None,
        "opened_at": e.account.opened_at.isoformat() if e.account else None,
        "shard": e.progress.shard,
        "folded_position": e.progress.position,
        "log_position": e.progress.head,
        "equal": not e.differences,
        "summary": [summary_fields(resource, timeline) for resource, timeline in timelines(e)],
        "older_lines_left_out": count_left_out(e),
    }
    if e.notifications is None:
        document |= dict.fromkeys(("banners", "notices", "lines", "emails", "attempts"))
    for name, columns, rows in sections(e):
        if name not in ("account", "summary"):
            found = [dict(zip(columns, map(exact, row), strict=True)) for row in rows]
            document[name] = [{key: row[key] for key in row if key not in FOR_PEOPLE} for row in found]
    return document


def sections(e: Explanation) -> list[Section]:
    account = e.account
    heading = (e.account_id, account and account.plan, account and account.opened_at.isoformat(), e.progress.shard)
    found = [
        Section("account", ("account_id", "plan", "opened_at", "shard"), [heading]),
        Section("summary", ("sentence",), [(sentence,) for sentence in summarise(e)]),
        Section("timeline", LINE_COLUMNS, [line_cells(resource, line) for resource, line in all_lines(e)]),
        Section("usage", PART_COLUMNS, [cells for resource, line in all_lines(e) for cells in parts(resource, line)]),
    ]
    if e.notifications:
        found += [
            Section("banners", BANNER_COLUMNS, [row_cells(BANNER_COLUMNS, row) for row in e.notifications.banners]),
            Section("notices", NOTICE_COLUMNS, [notice_cells(e, row) for row in e.notifications.notices]),
            Section("lines", STATE_COLUMNS, [row_cells(STATE_COLUMNS, row) for row in e.notifications.lines]),
            Section("emails", EMAIL_COLUMNS, [row_cells(EMAIL_COLUMNS, row) for row in e.notifications.emails]),
            Section("attempts", ATTEMPT_COLUMNS, [row_cells(ATTEMPT_COLUMNS, row) for row in e.notifications.attempts]),
        ]
    found.append(Section("remarks", REMARK_COLUMNS, [row_cells(REMARK_COLUMNS, row) for row in e.remarks]))
    differing = {difference.resource for difference in e.differences}
    balances = [(*balance_cells(b), RESOURCE_CODES[b.resource] not in differing) for b in e.balances.values()]
    found.append(Section("balances", (*BALANCE_COLUMNS, "equal"), balances))
    differences: list[Cells] = [(RESOURCES_BY_CODE[d.resource].value, *d[1:]) for d in e.differences]
    found.append(Section("differences", DIFFERENCE_COLUMNS, differences))
    return found


def timelines(e: Explanation) -> Iterator[tuple[Resource, ResourceTimeline]]:
    for code, timeline in sorted(e.timeline.resources.items()):
        yield RESOURCES_BY_CODE[code], timeline


def all_lines(e: Explanation) -> Iterator[tuple[Resource | None, Line]]:
    for line in e.timeline.account.newest:
        yield None, line
    for resource, timeline in timelines(e):
        for line in timeline.lines.newest:
            yield resource, line


def line_cells(resource: Resource | None, line: Line) -> Cells:
    state = line.state
    moved = line.what is What.USED or line.what in MOVING
    after = (
        (state.epoch, format_amount(state.base), format_amount(state.allocation), format_amount(state.used),
         format_amount(state.remaining), format_percent(state.exhaustion))
        if state else (None,) * 6
    )  # fmt: skip
    return (
        resource and resource.value, line.first, line.last, line.at.isoformat(), line.what.value, line.threshold,
        format_amount(line.amount) if moved else None, line.events, line.name or None,
        line.note, *after, line.event_id, line.at_start,
    )  # fmt: skip


def parts(resource: Resource | None, line: Line) -> list[Cells]:
    return [
        (resource and resource.value, line.first, line.last, p.kind, p.name, p.events, format_amount(p.amount))
        for p in line.parts
    ]


def row_cells(columns: Sequence[str], row: Row) -> Cells:
    return tuple(plain(row[name], amount=name in AMOUNTS) for name in columns)


def plain(value: object, *, amount: bool = False) -> object:
    """Amounts as credits or runs, ids as text; times are left to whoever shows them."""
    if amount and isinstance(value, int | Decimal):
        return format_amount(int(value))
    return str(value) if isinstance(value, UUID) else value


def exact(cell: object) -> object:
    """As pipes and JSON have it."""
    return cell.isoformat() if isinstance(cell, datetime) else cell


def notice_cells(e: Explanation, row: Row) -> Cells:
    """With the event that reached the threshold: at or before the change of balance that the notifier saw."""
    timeline = e.timeline.resources.get(RESOURCE_CODES[Resource(row["resource"])])
    line = timeline.reached.get((row["epoch"], row["threshold"])) if timeline else None
    return (*row_cells(NOTICE_COLUMNS[:-2], row), line and line.first, line and line.event_id)


def summarise(e: Explanation) -> list[str]:
    """One sentence a resource: what is left, and since when it is so."""
    return [f"{resource.value}: {describe_state(resource, timeline)}" for resource, timeline in timelines(e)]


def describe_state(resource: Resource, timeline: ResourceTimeline) -> str:
    state, allowance_change = timeline.state, timeline.allowance_change
    if state.epoch == 0:
        why = "nothing was ever granted" if state.opened else "the account was never opened"
        granted, used = with_unit(state.granted, resource), with_unit(state.used, resource)
        kept = f"; {granted} granted, which count from the opening on" if state.granted else ""
        return f"refused, because {why}{kept}; {used} used all the same"
    left = f"{format_amount(state.remaining)} of {with_unit(state.allocation, resource)} left in epoch {state.epoch}"
    if state.allocation > 0:  # an allocation of nothing has no percent
        left += f" ({format_percent(state.exhaustion)} % used)"
    since = (
        f" since position {allowance_change.first}, event {allowance_change.event_id}, {say_time(allowance_change.at)}"
        if allowance_change
        else ""
    )
    refused = "refused, because the account is closed," if state.closed else "refused"
    return f"{left}; {'allowed' if state.allowed else refused}{since}"


def with_unit(amount: int, resource: Resource) -> str:
    """`75 credits`, exactly, behind the name of the resource."""
    shown = format_amount(amount)
    return f"{shown} {unit_of(resource.value, shown).rpartition(' ')[2]}"


def summary_fields(resource: Resource, timeline: ResourceTimeline) -> dict[str, object]:
    """What `describe_state` says, as values; `granted` and `used` of an account that nobody opened are kept."""
    state, since = timeline.state, timeline.allowance_change
    return {
        "resource": resource.value,
        "allowed": state.allowed,
        "opened": state.opened,
        "closed": state.closed,
        "epoch": state.epoch,
        "allocation": format_amount(state.allocation),
        "used": format_amount(state.used),
        "left": format_amount(state.remaining),
        "granted": format_amount(state.granted),
        "exhaustion": format_percent(state.exhaustion) if state.allocation > 0 else None,
        "since_position": since and since.first,
        "since_event_id": since and since.event_id,
        "since": since and since.at.isoformat(),
    }


def count_left_out(e: Explanation) -> int:
    """Lines of the timeline that are older than what is kept."""
    return e.timeline.account.omitted + sum(timeline.lines.omitted for _, timeline in timelines(e))


def notes(e: Explanation) -> list[str]:
    """What the reader might miss: lines left out, events not folded yet, tables this role may not read."""
    found = []
    if omitted := count_left_out(e):
        found.append(f"{omitted} older lines of the timeline are left out: see --limit")
    if e.progress.head > e.progress.position:
        unfolded = count_of(e.progress.head - e.progress.position, "event")
        found.append(f"stored and not folded yet: {unfolded} of shard {e.progress.shard}, maybe of this account too")
    if e.notifications is None:
        role = "the role of METERING_POSTGRES_DSN"
        found.append(f"{role} may not read notices and emails: use {SUPPORT} there to see them")
    return found


def describe_differences(e: Explanation) -> list[str]:
    remarks = [
        f"DIFFERENCE: {RESOURCES_BY_CODE[d.resource].value} {d.field}: stored {d.stored or 'nothing'}, by the log "
        f"{d.log or 'nothing'}"
        for d in e.differences
    ]
    if remarks:
        remarks.append(
            "The stored balance is NOT what the events add up to (amounts in micro-units). Run `projections verify` "
            "to see what else differs, then `projections rebuild balances`."
        )
    return remarks
