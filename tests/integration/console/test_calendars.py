"""Days of accounts without a zone, and times that no calendar has: every page comes, with sums of the days it names."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from meter.runtime.postgres import Pool
from tests.support.console import Books, local, make_token, running_console, set_up_cursors

NEW_YORK, TONGA = "America/New_York", "Pacific/Tongatapu"
ZONE = "Europe/Berlin"
NO_TIMES = ("0001-01-01 00:00:00Z", "9999-12-31 23:59:59-10:00", "10000-01-01 09:59:59Z", "infinity", "-infinity")
TABS = ("overview", "models", "guardrails", "scripts", "tools", "history")
SET_DEPLOYED = "UPDATE projections.items SET deployed_at = $1::text::timestamptz WHERE account_id = $2"


async def open_books(pool: Pool, zone: str | None) -> Books:
    await set_up_cursors(pool)
    books = Books(pool, "acct-1", zone)
    await books.open()
    await books.both("12.4", 45)
    return books


def asking(address: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=address, headers={"Authorization": f"Bearer {make_token()}"}, timeout=60)


@pytest.mark.parametrize("zone", [NEW_YORK, TONGA])
@pytest.mark.parametrize("at", NO_TIMES)
async def test_a_time_that_no_calendar_has_ends_no_page(pool: Pool, dsn: str, zone: str, at: str) -> None:
    """Go's zero time, and what a zone makes of the last day: a platform may say either of its items."""
    books = await open_books(pool, zone)
    for kind in ("model", "guardrail", "script", "tool"):
        await books.item(kind, "small-chat")
    await pool.execute(SET_DEPLOYED, at, "acct-1")
    async with running_console(dsn) as address, asking(address) as client:
        for tab in TABS:
            for path in (tab, f"{tab}.csv"):
                reply = await client.get(f"/accounts/acct-1/{path}")
                assert reply.status_code == 200, (path, reply.text)
        items = (await client.get("/v1/accounts/acct-1/items")).json()["items"]
        assert [item["deployed_at"] for item in items] == [None] * 4


async def amounts(client: httpx.AsyncClient, first: datetime, last: datetime) -> dict[str, Any]:
    """The whole, and by the beginning of each day, as the zone has it."""
    dates = {"from": first.date().isoformat(), "to": last.date().isoformat()}
    body = (await client.get("/v1/accounts/acct-1/usage", params={"period": "custom", **dates})).json()
    found = {"all": sum(float(row["amount"]) for row in body["usage"])}
    for point in body["points"]:
        found[datetime.fromisoformat(point["at"]).astimezone(first.tzinfo).date().isoformat()] = float(point["amount"])
    return found


@pytest.mark.parametrize(
    ("own", "console", "shown"),
    [(None, ZONE, ZONE), (None, "UTC", "UTC"), (NEW_YORK, ZONE, NEW_YORK), (None, "Asia/Kathmandu", "Asia/Kathmandu")],
)
async def test_days_have_the_usage_of_the_zone_that_is_named(
    pool: Pool, dsn: str, own: str | None, console: str, shown: str
) -> None:
    """Sums of days are kept by the account's own zone, and by UTC where it has none."""
    books = await open_books(pool, own)
    day = datetime.now(UTC).date() - timedelta(days=9)
    begin, end = local(shown, day), local(shown, day + timedelta(days=1))
    for amount, at in ((1, begin - timedelta(minutes=15)), (2, begin), (4, end - timedelta(minutes=15)), (8, end)):
        books.use("model", "small-chat", str(amount), at)
    await books.add_up()
    async with running_console(dsn, console_zone=console) as address, asking(address) as client:
        found = await amounts(client, begin - timedelta(days=1), begin)
        assert found == {"all": 7, (day - timedelta(days=1)).isoformat(): 1, day.isoformat(): 6}
        found = await amounts(client, begin, end)
        assert found == {"all": 14, day.isoformat(): 6, (day + timedelta(days=1)).isoformat(): 8}
