"""Pictures of every tab and state at three widths and in both schemes, in `.local/console`: to be looked at."""

import pytest
from playwright.async_api import Page

from projections.console.figures import show_amount
from schemas.resources import Resource
from tests.support.browser import OUTPUT, take_pictures
from tests.support.console import Books, days_ago
from tests.support.console_story import fill

SUM = "SELECT sum(amount) / 1000000 FROM projections.usage_slots WHERE resource = $1"
BANNER = (
    "At least 70 % of the model credits of Example Account are used. When no model credits remain, model calls, "
    "guardrails and custom scripts are refused. Top up or upgrade the plan before that."
)


@pytest.mark.parametrize("tab", ["overview", "tools", "models", "guardrails", "scripts", "history"])
async def test_every_tab_is_shown_at_every_width(page: Page, books: Books, address: str, tab: str) -> None:
    await fill(books)
    await books.banner(70)
    await page.goto(f"{address}/accounts/acct-1/{tab}?period=30d")
    assert await page.locator("h1").inner_text() == "Usage"
    await take_pictures(page, tab)
    for width in (360, 768, 1101, 1440):
        await page.set_viewport_size({"width": width, "height": 900})
        shown = await page.evaluate("document.documentElement.scrollWidth")
        assert shown <= width, f"the page is {shown} wide at {width}: it scrolls sideways"


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


async def test_other_thresholds_are_tried(page: Page, books: Books, address: str) -> None:
    await books.thresholds((20, 50, 70, 80, 90, 100), (50, 70, 80, 90))
    for position, (consumed, days, epoch) in enumerate(
        ((0, 80, 1), (46, 40, 1), (71, 10, 1), (0, 9, 2), (53, 1, 2)), 1
    ):
        await books.step(consumed, days_ago(days), position=position, epoch=epoch)
    await page.goto(f"{address}/accounts/acct-1/history?period=90d")
    await page.fill("#lines", "60, 85")
    await page.press("#lines", "Enter")
    await page.get_by_text("With 60, 85 %: 3 warnings.").wait_for()
    await take_pictures(page, "dry-run")


async def test_the_picture_of_the_readme(page: Page, books: Books, address: str) -> None:
    """`make screenshot` keeps it. Balances are what was used, so that the cards agree with the charts."""
    await fill(books)
    credits, runs = [await books.pool.fetchval(SUM, resource) for resource in (1, 2)]
    await books.balance(credits, 140)
    await books.balance(runs, 10_000, Resource.TOOL_RUNS)
    await books.banner(70, text=BANNER)
    await page.set_viewport_size({"width": 1280, "height": 1000})
    await page.goto(f"{address}/accounts/acct-1/overview?period=30d")
    await page.locator(".share", has_text=f"{show_amount(credits)} of 140").first.wait_for()
    await page.screenshot(path=OUTPUT / "readme.png")


@pytest.mark.parametrize("medium", ["print", "forced-colors"])
async def test_paper_and_forced_colours(page: Page, books: Books, address: str, medium: str) -> None:
    await fill(books)
    await books.balance("75")
    await books.banner(100)
    await page.emulate_media(color_scheme="dark")
    for tab in ("overview", "models"):
        await page.goto(f"{address}/accounts/acct-1/{tab}?period=30d")
        if medium == "print":
            await page.emulate_media(media="print", color_scheme="dark")
            shown = "getComputedStyle(document.querySelector('.card')).backgroundColor"
            assert await page.evaluate(shown) == "rgb(255, 255, 255)", "paper is white"
        else:
            await page.emulate_media(forced_colors="active")
        await page.screenshot(path=OUTPUT / f"{medium}-{tab}.png", full_page=True)
