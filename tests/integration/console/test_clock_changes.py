"""Periods across a change of the clocks, chosen in a browser: days of 23 and 25 hours have what was used in them."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Locator, Page

from projections.console.periods import YEAR_DAYS
from tests.support.console import Books

ZONE = ZoneInfo("Europe/Berlin")
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


def last_change(hours: int) -> date:
    """The newest day before today that has so many hours in the zone."""
    day = datetime.now(ZONE).date() - timedelta(days=1)
    while (midnight(day + timedelta(days=1)) - midnight(day)) != hours * HOUR:
        day -= timedelta(days=1)
    return day


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZONE).astimezone(UTC)


async def use_around(books: Books, day: date) -> None:
    """Amounts whose sums tell which of them are in it: 2 before the day, 1, 4, 8 and 16 in it, 32 behind it."""
    begin, end = midnight(day), midnight(day + timedelta(days=1))
    change = next(at for at in (begin + n * HOUR for n in range(1, 5)) if offset(at) != offset(at - SECOND))
    for amount, at in (
        (2, begin - SECOND), (1, begin), (4, change - SECOND), (8, change), (16, end - SECOND), (32, end),
    ):  # fmt: skip
        books.use("model", "small-chat", str(amount), at)
    await books.add_up()


def offset(at: datetime) -> timedelta | None:
    return at.astimezone(ZONE).utcoffset()


async def choose(page: Page, period: str, first: date | None = None, last: date | None = None) -> None:
    await page.locator("#period").select_option(period)
    if first and last:
        await page.locator("#from").fill(first.isoformat())
        await page.locator("#to").fill(last.isoformat())
    await page.get_by_role("button", name="Apply").click()
    await page.wait_for_url(f"**period={period}*")


async def credits_by_time(page: Page) -> list[tuple[str, str]]:
    """First cell and amount of each row of the table beside the chart that has any."""
    rows = page.locator(".chart", has_text="Credits over time").locator("tbody tr")
    found = [await cells(row) for row in await rows.all()]
    return [(label, amount) for label, amount in found if amount != "0"]


async def cells(row: Locator) -> tuple[str, str]:
    first, second, *_ = await row.locator("th, td").all_text_contents()
    return first.strip(), second.strip()


@pytest.mark.parametrize(
    ("hours", "shown"),
    [
        (23, ["00:00", "01:00", "03:00", "23:00"]),
        (25, ["00:00", "02:00 CEST", "02:00 CET", "23:00"]),
    ],
)
async def test_a_day_on_which_the_clocks_change_is_shown_hour_by_hour(
    page: Page, books: Books, hours: int, shown: list[str]
) -> None:
    day = last_change(hours)
    if (datetime.now(ZONE).date() - day).days > YEAR_DAYS:
        pytest.skip(f"the last day of {hours} hours, {day}, is more than a year ago: no page shows it")
    await use_around(books, day)
    await choose(page, "custom", day, day)
    assert await credits_by_time(page) == list(zip(shown, ["1.00", "4.00", "8.00", "16.00"], strict=True))
    assert await page.locator(".chart", has_text="Credits over time").locator("tbody tr").count() == hours


@pytest.mark.parametrize("hours", [23, 25])
async def test_a_preset_across_the_change_has_each_day_whole(page: Page, books: Books, hours: int) -> None:
    day = last_change(hours)
    await use_around(books, day)
    await choose(page, "this-year" if day.year == datetime.now(ZONE).year else "last-year")
    await page.locator(".groups").get_by_role("link", name="Day").click()
    await page.wait_for_url("**group=day*")
    assert [amount for _, amount in await credits_by_time(page)] == ["2.00", "29.00", "32.00"]
