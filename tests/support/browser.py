"""Debian's Chromium, driven for tests of pages. Where there is none, its tests are skipped by name."""

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

ROOT: Final = Path(__file__).parents[2]
NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
FLAGS: Final = ("--no-sandbox", "--disable-background-networking")
OUTPUT: Final = ROOT / ".local" / "console"
EXPECT_MS: Final = 30_000  # a look, a request and a busy machine; 5 s otherwise
WIDTHS: Final = (360, 768, 1440)
SCHEMES: Final = ("light", "dark")


def find_chromium() -> str:
    for name in NAMES:
        if path := shutil.which(name):
            return path
    pytest.skip(f"no Chromium is there: none of {', '.join(NAMES)}")


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    expect.set_options(timeout=EXPECT_MS)
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


async def sign_in(context: BrowserContext, address: str, token: str) -> Page:
    """A page of the account that the token is for, after the form was sent."""
    page = await context.new_page()
    await page.goto(address)
    await page.fill("#token", token)
    await page.click("button.primary")
    await page.wait_for_url("**/overview")
    return page


async def take_pictures(page: Page, name: str, widths: Sequence[int] = WIDTHS) -> None:
    """One for each width and scheme, in `.local/console`."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    for width in widths:
        await page.set_viewport_size({"width": width, "height": 900})
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            await page.screenshot(path=OUTPUT / f"{name}-{width}-{scheme}.png", full_page=True)
