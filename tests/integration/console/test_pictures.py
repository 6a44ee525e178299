"""Pictures of every tab and state at three widths and in both schemes, in `.local/console`: to be looked at."""

import pytest
from playwright.async_api import Page

from tests.support.browser import take_pictures
from tests.support.console import Books
from tests.support.console_story import fill


@pytest.mark.parametrize("tab", ["overview", "tools", "models", "guardrails", "scripts", "history"])
async def test_every_tab_is_shown_at_every_width(page: Page, books: Books, address: str, tab: str) -> None:
    await fill(books)
    await books.banner(70)
    await page.goto(f"{address}/accounts/acct-1/{tab}?period=30d")
    assert await page.locator("h1").inner_text() == "Usage"
    await take_pictures(page, tab)
    await page.set_viewport_size({"width": 360, "height": 900})
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360, "the page scrolls sideways"


async def test_a_row_opens_beside_the_table(page: Page, books: Books, address: str) -> None:
    await fill(books)
    await page.goto(f"{address}/accounts/acct-1/models?period=30d")
    await page.click("a.row >> text=Support-Tuned")
    await page.wait_for_selector("#detail")
    await take_pictures(page, "models-open")


async def test_the_panel(page: Page, books: Books, address: str) -> None:
    await page.click("credit-usage button.open")
    await page.get_by_role("dialog").get_by_text("52.75 of 75 used").wait_for()
    await take_pictures(page, "panel")
