"""A browser, and a console with one account, for the tests of pages."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize

from meter.runtime.postgres import Pool
from tests.support.browser import running_browser, sign_in
from tests.support.console import Books, make_token, running_console, set_up_cursors


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with running_browser() as made:
        yield made


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    size: ViewportSize = {"width": 1440, "height": 900}
    made = await browser.new_context(viewport=size, permissions=["clipboard-read", "clipboard-write"])
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


@pytest.fixture
async def faults() -> list[str]:
    """What went wrong in a page: errors of scripts, and what the policy refused."""
    return []


@pytest.fixture
async def page(context: BrowserContext, address: str, faults: list[str]) -> AsyncIterator[Page]:
    """Signed in, at the overview. No script may fail, and the policy may refuse nothing of ours."""
    made = await sign_in(context, address, make_token())
    made.on("pageerror", lambda error: faults.append(str(error)))
    made.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    yield made
    assert faults == []
