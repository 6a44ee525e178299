"""A walk through all tabs over a random history: every figure is the sum of the log's own events."""

import csv
import io
import random
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import httpx
import pytest

from meter.runtime.postgres import Pool
from projections.console.figures import show_cell, show_count, show_duration
from projections.console.items import FAILED
from tests.integration.projections_log import (
    CREDITS,
    GUARDRAIL,
    INFERENCE,
    MICRO,
    RUNS,
    SCRIPT,
    TOOL,
    Event,
    EventLog,
    fold_all,
    opened,
    renamed,
    reversal_of,
)
from tests.integration.usage_log import fold_usage
from tests.support.console import make_token, running_console

ZONE = ZoneInfo("Europe/Berlin")
DAYS = 300  # more than half a year: clocks change in it
KINDS = {"tools": TOOL, "models": INFERENCE, "guardrails": GUARDRAIL, "scripts": SCRIPT}
TITLES = {
    CREDITS: {INFERENCE: "Models", GUARDRAIL: "Guardrails", SCRIPT: "Custom scripts"},
    RUNS: {TOOL: "Tool runs"},
}
Keep = Callable[[Event], bool]


def random_usage(rng: random.Random, now: datetime) -> Event:
    """Mostly at the edges of days of the zone, where sums go wrong first."""
    day = now - timedelta(days=rng.randrange(1, DAYS))
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZONE).astimezone(UTC)
    at = midnight + timedelta(seconds=rng.choice((0, -1, 1, 900, 43_200, rng.randrange(86_400))))
    type = rng.choice((TOOL, INFERENCE, GUARDRAIL, SCRIPT))
    data = {
        "deployment": rng.choice(("", "eu-1", "us-1")), "category": rng.choice(("inference", "hosting", "fine_tuning")),
        "status": rng.choice(("ok", "failed", "timeout", "")), "seconds": rng.randrange(5_000),
        "input_tokens": rng.randrange(9_000), "output_tokens": rng.randrange(900),
    }  # fmt: skip
    amount = rng.randrange(1, 50) * MICRO if type == TOOL else rng.randrange(1, 9_000_000)
    return Event(
        account_id="acct-1", type=type, resource=RUNS if type == TOOL else CREDITS, amount=amount,
        name=rng.choice("abcde"), occurred_at=at, data=data,
    )  # fmt: skip


def random_history(seed: int, now: datetime) -> list[Event]:
    rng = random.Random(seed)
    usage = [random_usage(rng, now) for _ in range(300)]
    taken_back = [
        reversal_of(event, event.amount // rng.choice((1, 2)), occurred_at=event.occurred_at + timedelta(hours=1))
        for event in rng.sample(usage, 40)
        if event.amount > 1
    ]
    return [*opened("acct-1"), renamed("acct-1", time_zone=ZONE.key), *usage, *taken_back]


class Books:
    """What the log says of some days, added up event by event."""

    def __init__(self, events: Iterable[Event], first: date, last: date) -> None:
        self.events = [
            event
            for event in events
            if (event.resource and not event.free) and first <= event.occurred_at.astimezone(ZONE).date() <= last
        ]

    def amount(self, keep: Keep) -> Decimal:
        micro = sum(-e.amount if e.reverses else e.amount for e in self.events if keep(e.reverses or e))
        return Decimal(micro) / MICRO

    def field(self, name: str, keep: Keep) -> int:
        """Reversals give amounts back; what ran has run."""
        return sum(int(e.data[name]) for e in self.events if e.reverses is None and keep(e))

    def items(self, type: int) -> set[str]:
        return {(e.reverses or e).name for e in self.events if (e.reverses or e).type == type}


@pytest.fixture
async def events(pool: Pool) -> list[Event]:
    log = EventLog(pool)
    await log.set_up()
    await log.append(*random_history(7, datetime.now(UTC)))
    await fold_all(pool)
    await fold_usage(pool)
    return log.events


@pytest.fixture
async def client(dsn: str, events: list[Event]) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {make_token()}"}
    async with (
        running_console(dsn) as address,
        httpx.AsyncClient(base_url=address, headers=headers, timeout=60) as made,
    ):
        yield made


def periods(now: datetime) -> list[tuple[date, date]]:
    """A day, a month, all of it; and the two weekends at which clocks change."""
    today = now.astimezone(ZONE).date()
    changes = [today - timedelta(days=back) for back in range(1, DAYS) if changes_clock(today - timedelta(days=back))]
    return [
        (today - timedelta(days=DAYS), today),
        (today - timedelta(days=29), today),
        *((day, day) for day in changes),
    ]


def changes_clock(day: date) -> bool:
    at = datetime(day.year, day.month, day.day, tzinfo=ZONE)
    return at.utcoffset() != (at + timedelta(days=1)).utcoffset()


async def fetch_table(client: httpx.AsyncClient, tab: str, query: str) -> list[dict[str, str]]:
    reply = await client.get(f"/accounts/acct-1/{tab}.csv?{query}")
    assert reply.status_code == 200, reply.text
    return list(csv.DictReader(io.StringIO(reply.content.decode("utf-8-sig"))))


def figures_in(page: str) -> dict[str, str]:
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))


def check_items(rows: Sequence[dict[str, str]], tab: str, books: Books) -> None:
    type, name = KINDS[tab], next(iter(rows[0])) if rows else ""
    assert {row[name] for row in rows} >= books.items(type), "items of other days are listed with nothing used"
    for row in rows:

        def keep(event: Event, item: str = row[name]) -> bool:
            return event.type == type and event.name == item

        used = row["Runs"] if tab == "tools" else row["Credits"]
        assert Decimal(used) == books.amount(keep), (tab, row)
        if tab == "tools" and row["Failed"]:
            failed = books.amount(lambda e, keep=keep: keep(e) and e.data["status"] in FAILED)  # type: ignore[misc]
            assert (Decimal(row["Failed"]), Decimal(row["Succeeded"])) == (failed, Decimal(used) - failed)
        if tab == "models":
            tokens = books.field("input_tokens", keep), books.field("output_tokens", keep)
            assert (int(row["Tokens in"]), int(row["Tokens out"])) == tokens
        if tab == "guardrails":
            assert Decimal(row["Time"]) == books.field("seconds", keep)


def check_figures(found: dict[str, str], tab: str, books: Books, listed: int) -> None:
    def of_tab(event: Event) -> bool:
        return event.type == KINDS[tab]

    total = books.amount(of_tab)
    wanted = {f"Total {tab}": show_count(listed)}
    if tab == "tools":
        wanted["Total runs"] = show_count(int(total))
    else:
        wanted["Total credits"] = show_cell(total)
    if tab == "guardrails":
        wanted["Time"] = show_duration(books.field("seconds", of_tab))
    categories = {"models": ("fine_tuning", "hosting"), "scripts": ("hosting",)}.get(tab, ())
    for category in categories:
        title = {"fine_tuning": "Fine-tuning credits", "hosting": "Hosting credits"}[category]
        amount = books.amount(lambda e, category=category: of_tab(e) and e.data["category"] == category)  # type: ignore[misc]
        wanted[title] = show_cell(amount)
    assert found == wanted


def check_trend(rows: Sequence[dict[str, str]], books: Books) -> None:
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    names = {name for kinds in TITLES.values() for name in kinds.values()}
    for row in rows:
        for title, value in row.items():
            if (name := title.partition(" (")[0]) in names:
                sums[name] += Decimal(value)
    for kinds in TITLES.values():
        for type, title in kinds.items():
            assert sums[title] == books.amount(lambda e, type=type: e.type == type), title  # type: ignore[misc]


async def test_every_figure_of_every_tab_is_the_sum_of_its_events(
    client: httpx.AsyncClient, events: list[Event]
) -> None:
    compared = 0
    for first, last in periods(datetime.now(UTC)):
        books, query = Books(events, first, last), f"period=custom&from={first}&to={last}"
        for tab in KINDS:
            rows = await fetch_table(client, tab, query)
            check_items(rows, tab, books)
            page = await client.get(f"/accounts/acct-1/{tab}?{query}")
            check_figures(figures_in(page.text), tab, books, len(rows))
            compared += len(rows)
        check_trend(await fetch_table(client, "overview", query), books)
    assert compared > 40, "there was little to compare"


async def test_the_cards_are_the_balances_of_the_log(client: httpx.AsyncClient, events: list[Event]) -> None:
    everything = Books(events, date.min, date.max)
    summary = (await client.get("/v1/accounts/acct-1/summary")).json()
    shares = {share["resource"]: share for share in summary["resources"]}
    for name, resource in (("model_credits", CREDITS), ("tool_runs", RUNS)):
        consumed = everything.amount(lambda e, resource=resource: e.resource == resource)  # type: ignore[misc]
        assert Decimal(shares[name]["consumed"]) == consumed, name
