"""The console in a real browser: what people see and do, at three widths and in both schemes."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Browser, BrowserContext, Page

from meter.runtime.postgres import Pool
from projections.console.settings import ConsoleSettings
from projections.console.tokens import Tokens
from tests.support.browser import running_browser, sign_in, take_pictures
from tests.support.console import SECRET, Books, days_ago, running_console, set_up_cursors

MODELS = ("small-chat", "large-chat", "embedder", "support-tuned")


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with running_browser() as made:
        yield made


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    made = await browser.new_context(
        viewport={"width": 1440, "height": 900}, permissions=["clipboard-read", "clipboard-write"]
    )
    yield made
    await made.close()


@pytest.fixture
async def books(pool: Pool) -> Books:
    await set_up_cursors(pool)
    made = Books(pool, "acct-1", "Europe/Berlin")
    await made.open(name="Example Account")
    await made.both("52.75", 4_210)
    return made


@pytest.fixture
async def address(dsn: str, books: Books) -> AsyncIterator[str]:
    links = {"billing_url": "https://example.com/billing", "support_url": "https://example.com/support"}
    async with running_console(dsn, **links) as made:
        yield made


def token(role: str = "admin", account_id: str = "acct-1") -> str:
    tokens = Tokens(ConsoleSettings(console_secret=SECRET))
    return tokens.make(account_id, "admin" if role == "admin" else "member", datetime.now(UTC), timedelta(minutes=10))


@pytest.fixture
async def page(context: BrowserContext, address: str) -> Page:
    """Signed in, at the overview."""
    return await sign_in(context, address, token())


async def fill(books: Books) -> None:
    """A month of an account that uses everything."""
    for day in range(30):
        at = days_ago(day)
        for n, model in enumerate(MODELS):
            amount = f"{0.2 + (day * 7 + n * 5) % 9 / 10:.2f}"
            await books.use(
                "model", model, amount, at, deployment=("eu", "us")[day % 2], category="inference", events=12,
                tokens=(8_000 + 100 * day, 900), hardware="1 × L4",
            )  # fmt: skip
        await books.use("model", "support-tuned", "0.46", at, deployment="eu", category="hosting", seconds=21_600,
                        hardware="1 × A100")  # fmt: skip
        await books.use("guardrail", "pii-filter", "0.32", at, deployment="eu", seconds=7_200, hardware="CPU", cpus="2")
        await books.use("script", "summarise", f"{0.1 + day % 4 / 10:.2f}", at, category="hosting", seconds=3_600,
                        cpus="4", memory="16")  # fmt: skip
        await books.use("tool", "web-search", str(90 + day * 3 % 40), at, status="ok", events=90)
        await books.use("tool", "web-search", str(day % 5), at, status="failed")
        await books.use("tool", "calculator", str(20 + day % 11), at, status="ok", events=20)
    await books.add_up()
    deployed = days_ago(40)
    for model in MODELS:
        kind = "fine_tuned" if model == "support-tuned" else "base"
        await books.item("model", model, name=model.title(), type=kind, deployed_at=deployed)
    await books.item("guardrail", "pii-filter", name="PII filter", deployed_at=deployed)
    await books.item("script", "summarise", name="Summarise", language="Python", version="3.12")
    await books.item("script", "nightly", "deployment_failed", language="Python", version="3.12",
                     reason="The image has no entry point main.py")  # fmt: skip
    await books.item("tool", "web-search", name="Web search", owner="Platform team")
    await books.item("tool", "calculator", name="Calculator", owner="Platform team")
    await books.item("tool", "calendar", "undeployed", name="Calendar", owner="Office team")


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
