"""What changes between the rendering of a page and the first figures that come to it is shown, too."""

import asyncio
import re

import pytest
from playwright.async_api import Page, Request, Route, expect

from tests.support.console import Books


@pytest.fixture
def asked(page: Page) -> list[str]:
    """Addresses of the parts that the page asks for anew."""
    found: list[str] = []

    def note(request: Request) -> None:
        if "/part?" in request.url:
            found.append(request.url)

    page.on("request", note)
    return found


async def test_what_changes_before_the_first_figures_come_is_shown(page: Page, books: Books) -> None:
    """Nothing else may happen to the account for days."""

    changed = asyncio.Event()

    async def change(route: Route) -> None:
        await books.balance("74")
        await books.banner(90)
        changed.set()
        await route.continue_()

    async def hold(route: Route) -> None:
        await changed.wait()
        await route.continue_()

    await page.route(re.compile(r"/v1/accounts/acct-1/summary"), change, times=1)
    await page.route(re.compile(r"/v1/accounts/acct-1/live"), hold)
    await page.reload()
    await expect(page.locator(".share").first).to_contain_text("74 of 75 credits used")
    await expect(page.locator(".banner")).to_contain_text("90 %")


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("usual", "52.75 of 75 credits used"),
        ("overdrawn", "\u22123.2: comes off the next top-up"),
        ("closed", "This account is closed"),
    ],
)
async def test_a_page_on_which_nothing_changes_asks_for_no_part(
    page: Page, books: Books, asked: list[str], state: str, text: str
) -> None:
    address = page.url
    await books.banner(70)
    if state == "closed":
        await books.pool.execute("UPDATE projections.account_states SET closed = true")
    if state != "usual":
        await books.both("78.2", 0, closed=state == "closed")
    await expect(page.locator(".banner")).to_contain_text("70 %")
    await expect(page.locator("main")).to_contain_text(text)
    await page.goto("about:blank")
    asked.clear()
    async with page.expect_response("**/live") as live:
        await page.goto(address)
    await live.value
    await page.evaluate("document.querySelector('credit-usage').refresh()")
    async with page.expect_event("console", lambda message: message.text == "heard"):  # two more
        await page.evaluate("""() => {
            let left = 2;
            document.addEventListener("credit-summary", () => { left -= 1; if (left === 0) console.log("heard"); });
        }""")
    assert asked == []
    await books.banner(80)
    await expect(page.locator(".banner")).to_contain_text("80 %")
    assert len(asked) == 1
