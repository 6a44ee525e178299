"""What usage must be after a history, kept independently in Python: slots of 15 minutes, days of the own zone."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from meter.runtime.postgres import Pool
from projections.store_usage import USAGE, UsageStore
from projections.sums import SumStore
from tests.integration.projections_log import GUARDRAIL, INFERENCE, OPENED, REVERSED, SCRIPT, TOOL, Event

USED = (INFERENCE, GUARDRAIL, SCRIPT, TOOL)
KINDS = {
    INFERENCE: "model_inference", GUARDRAIL: "guardrail", SCRIPT: "custom_script", TOOL: "tool_run",
    REVERSED: "reversal",
}  # fmt: skip
QUARTER = timedelta(minutes=15)
START = datetime(2000, 1, 1, tzinfo=UTC)
CATEGORIES = ("inference", "fine_tuning", "hosting", "storage")
Key = tuple[Any, ...]
Sums = tuple[int, int, Decimal, Decimal, Decimal, datetime]


async def fold_usage(pool: Pool, most_events: int = 100_000) -> int:
    """Fold until nothing is left; how many transactions it took."""
    store, count = UsageStore(pool, most_events=most_events), 0
    while (await store.fold()).events:
        count += 1
    return count


async def sum_all(pool: Pool, now: datetime, piece_lines: int = 1000) -> int:
    """Until each of the three shards has nothing left: where sums were void it is said once that there is no hurry."""
    store, count, idle = SumStore(pool, USAGE, piece_lines=piece_lines, piece_balances=piece_lines), 0, 0
    while idle <= 3:
        more = await store.sum_up(now)
        count, idle = count + more, 0 if more else idle + 1
    return count


def slot_of(moment: datetime) -> datetime:
    return moment - (moment - START) % QUARTER


def text_of(value: object, most: int = 256) -> str:
    return value if isinstance(value, str) and value.strip() and len(value) <= most else ""


def number_of(value: object, most: int, *, whole: bool) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return Decimal(0)
    number = Decimal(str(value))
    if not 0 <= number <= most or (whole and number % 1):
        return Decimal(0)
    return round(number, 6)


def add_up(events: Iterable[Event], when: Callable[[Event], Any]) -> dict[Key, Sums]:
    """By shard, account, time, resource, kind, item, deployment, category and status."""
    sums: defaultdict[Key, list[Any]] = defaultdict(lambda: [0, 0, Decimal(0), Decimal(0), Decimal(0), datetime.min])
    for event in events:
        if event.type not in (*USED, REVERSED):
            continue
        origin = event.reverses or event
        data: Mapping[str, Any] = origin.data
        category = data.get("category")
        key = (
            event.shard, event.account_id, when(event), event.resource, origin.type, origin.name,
            text_of(data.get("deployment")), category if category in CATEGORIES else "",
            text_of(data.get("status"))[:64],
        )  # fmt: skip
        line, back = sums[key], event.type == REVERSED
        line[0] += event.reverses is None
        line[1] += -event.amount if back else event.amount
        if not back:
            line[2] += number_of(data.get("input_tokens"), 10**15, whole=True)
            line[3] += number_of(data.get("output_tokens"), 10**15, whole=True)
            line[4] += number_of(data.get("seconds"), 10**9, whole=False)
        line[5] = max(line[5], event.occurred_at.replace(tzinfo=None))
    return {key: (*line[:5], line[5].replace(tzinfo=UTC)) for key, line in sums.items()}


async def fetch_zones(pool: Pool) -> dict[str, ZoneInfo]:
    """The zone of each account, as its own fold tells it; one that nobody knows is none."""
    rows = await pool.fetch("SELECT account_id, time_zone FROM projections.account_states")
    return {row[0]: ZoneInfo(row[1]) for row in rows if row[1] in available_timezones()}


async def fetch_sums(pool: Pool, table: str, when: str) -> dict[Key, Sums]:
    rows = await pool.fetch(
        f"SELECT shard, account_id, {when}, resource, kind, item, deployment, category, status, "
        f"events, amount, tokens_in, tokens_out, seconds, last_used FROM projections.{table}"
    )
    return {tuple(row)[:9]: tuple(row)[9:] for row in rows}


async def fetch_days(pool: Pool) -> dict[Key, Sums]:
    """As readers see them: of accounts that were opened, whatever is added up already."""
    rows = await pool.fetch(
        "SELECT b.shard, u.account_id, u.day, b.resource, k.code, u.item, u.deployment, u.category, u.status, "
        "u.events, u.amount * 1000000, u.tokens_in, u.tokens_out, u.seconds, u.last_used "
        "FROM projections.usage_by_own_day u "
        "JOIN unnest($1::text[], $2::int[]) AS k (kind, code) ON k.kind = u.kind "
        "JOIN projections.balance_states b ON b.account_id = u.account_id "
        "AND u.resource = CASE b.resource WHEN 1 THEN 'model_credits' ELSE 'tool_runs' END",
        [*KINDS.values()], [*KINDS],
    )  # fmt: skip
    return {tuple(row)[:9]: tuple(row)[9:] for row in rows}


async def fetch_summed(pool: Pool) -> Callable[[Key], bool]:
    """Whether a line of a day is added up already."""
    rows = await pool.fetch(
        "SELECT p.shard, p.summed, p.target, p.upto FROM projections.usage_days_summed p "
        "JOIN projections.cursors c ON c.shard = p.shard AND c.position = p.position WHERE c.projection = 'usage'"
    )
    summed = {shard: (days, target, upto) for shard, days, target, upto in rows}

    def is_summed(key: Key) -> bool:
        days, target, upto = summed.get(key[0], (date.min, date.min, ""))
        return bool(key[2] < (target if key[1] <= upto else days))

    return is_summed


async def assert_slots_and_days(pool: Pool, events: Iterable[Event]) -> None:
    events = list(events)
    zones, is_summed = await fetch_zones(pool), await fetch_summed(pool)
    assert await fetch_sums(pool, "usage_slots", "slot") == add_up(events, lambda e: slot_of(e.occurred_at))
    days = add_up(events, lambda e: e.occurred_at.astimezone(zones.get(e.account_id, UTC)).date())
    rows = await pool.fetch("SELECT account_id FROM projections.account_states WHERE opened_at IS NOT NULL")
    opened = {row["account_id"] for row in rows}
    assert await fetch_days(pool) == {key: line for key, line in days.items() if key[1] in opened}
    stored = await fetch_sums(pool, "usage_totals", "day")
    assert {key: line for key, line in stored.items() if is_summed(key)} == {
        key: line for key, line in days.items() if is_summed(key)
    }


async def assert_usage(pool: Pool, events: Iterable[Event]) -> None:
    """Fold the usage of what balances have folded; slots and days are those of the events, usage by day those of
    accounts that were opened."""
    events = list(events)
    known = {event.account_id for event in events if event.type == OPENED}
    await fold_usage(pool)
    await assert_slots_and_days(pool, events)
    wanted: defaultdict[Key, list[Any]] = defaultdict(lambda: [0, Decimal(0)])
    for key, sums in add_up((e for e in events if e.account_id in known), lambda e: e.occurred_at.date()).items():
        line = wanted[key[1], key[2], key[3], key[5]]
        line[0] += sums[0]
        line[1] += Decimal(sums[1]) / 1_000_000
    rows = await pool.fetch(
        "SELECT account_id, day, CASE resource WHEN 'model_credits' THEN 1 ELSE 2 END AS resource, name, "
        "sum(events)::int AS events, sum(amount) AS amount FROM projections.usage_by_day GROUP BY 1, 2, 3, 4"
    )
    assert {tuple(row)[:4]: [row["events"], row["amount"]] for row in rows} == dict(wanted)
