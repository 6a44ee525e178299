"""The component in a page of another product, and what moves while people read: in a real browser."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from meter.runtime.postgres import Pool
from tests.integration.console.test_accessibility import axe, find_faults
from tests.support.browser import OUTPUT, SCHEMES, sign_in
from tests.support.console import Books, make_token, running_console, set_up_cursors
from tests.support.working_time import within

__all__ = ["axe"]  # the fixture

LIVE_S: Final = 3
HOST: Final = """<!doctype html><html lang="en"><head><title>Another product</title><meta charset="utf-8">
<style>{style}</style>
<script type="module" src="{address}/static/credit-usage.js"></script></head>
<body><main><h1>Another product</h1><credit-usage account="acct-1" base="{address}/" live banners></credit-usage></main>
<script type="{when}">document.querySelector("credit-usage").getToken = async () => "{token}";</script></body></html>"""
# A dark page that tells the component nothing but its scheme; names like --low are its own and mean other things.
DARK: Final = """:root { color-scheme: dark; --low: 12px; --text: 3em; --card: none; }
body { background: #101010; color: #eee; font: 18px Georgia, serif; }"""
OWN: Final = """:root { --credit-accent: #7a0050; --credit-good: #005a5a; --credit-card: #fff8e8;
  --credit-text: #33220a; }
body { background: #fffdf5; font: 17px "Courier New", monospace; }"""


class Host:
    """A server of another origin with one page, on this machine, as the console is."""

    def __init__(self) -> None:
        self.origin = ""
        self.page = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = self.page.encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    made = Host()
    async with await asyncio.start_server(made.answer, "127.0.0.1", 0) as server:
        made.origin = f"http://localhost:{server.sockets[0].getsockname()[1]}"
        yield made


@pytest.fixture
async def books(pool: Pool) -> Books:
    await set_up_cursors(pool)
    made = Books(pool, "acct-1", "Europe/Berlin")
    await made.open(name="Example Account")
    await made.both("10", 45)
    return made


@pytest.fixture
async def page(context: BrowserContext) -> Page:
    return await context.new_page()


@pytest.fixture
async def address(dsn: str, books: Books, host: Host) -> AsyncIterator[str]:
    links = {"billing_url": "https://example.com/billing", "support_url": "https://example.com/support"}
    async with running_console(dsn, console_origins=(host.origin,), **links) as made:
        yield made


async def embed(
    page: Page, host: Host, address: str, style: str = "", role: str = "admin", when: str = "module",
    status: str = "good",
) -> None:  # fmt: skip
    host.page = HOST.format(address=address, style=style, token=make_token(role=role), when=when)
    await page.goto(host.origin)
    await expect(page.locator("credit-usage button.open")).to_have_class(f"open {status}")


@pytest.mark.parametrize("when", ["text/javascript", "module"])
async def test_a_token_counts_whenever_the_page_sets_it(page: Page, host: Host, address: str, when: str) -> None:
    """A script in the page runs before the component is there, a module after it. No stream asks once more."""
    await page.route("**/live", lambda route: route.fulfill(status=503, body="{}"))
    await embed(page, host, address, when=when)


async def expect_style(page: Page, selector: str, name: str, value: str) -> None:
    """Waits: what is drawn anew at that moment has no style."""
    await expect(page.locator(f"credit-usage {selector}").first).to_have_css(name, value)


async def test_it_follows_the_fonts_and_colours_of_the_page(page: Page, host: Host, address: str) -> None:
    await embed(page, host, address, OWN)
    await page.locator("credit-usage button.open").click()
    panel = page.get_by_role("dialog")
    await expect(panel).to_contain_text("10 of 75 used")
    assert "Courier New" in await panel.evaluate("one => getComputedStyle(one).fontFamily")
    await expect_style(page, ".panel", "background-color", "rgb(255, 248, 232)")
    await expect_style(page, ".panel p", "color", "rgb(51, 34, 10)")
    await expect_style(page, "button.open", "color", "rgb(0, 90, 90)")
    await expect_style(page, ".links a", "color", "rgb(122, 0, 80)")


@pytest.mark.parametrize("style", [DARK, OWN, ""], ids=["dark", "own", "plain"])
async def test_whatever_the_page_looks_like_it_can_be_read(
    page: Page, host: Host, address: str, axe: str, books: Books, style: str
) -> None:
    await books.banner(70)
    await embed(page, host, address, style)
    await page.locator("credit-usage button.open").click()
    await expect(page.get_by_role("dialog")).to_contain_text("As of")
    await expect(page.locator("credit-usage .banner")).to_be_visible()
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
        assert await find_faults(page, axe) == [], scheme
    OUTPUT.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=OUTPUT / f"embedded-{'dark' if style == DARK else 'own' if style else 'plain'}.png")


@pytest.mark.parametrize("style", ["", "credit-usage { float: right; }", "credit-usage { margin-left: 100px; }"])
async def test_its_panel_stays_on_the_screen(page: Page, host: Host, address: str, style: str) -> None:
    await page.set_viewport_size({"width": 360, "height": 800})
    await embed(page, host, address, style)
    for banners in (True, False):
        await page.evaluate("on => document.querySelector('credit-usage').toggleAttribute('banners', on)", banners)
        await page.locator("credit-usage button.open").click()
        box = await page.get_by_role("dialog").bounding_box()
        assert box is not None
        assert (box["x"] >= 0, box["x"] + box["width"] <= 360) == (True, True), (banners, box)
        await page.keyboard.press("Escape")


@pytest.mark.parametrize("role", ["admin", "member"])
async def test_its_banners_have_the_action_of_who_looks(
    page: Page, host: Host, address: str, books: Books, role: str
) -> None:
    await books.banner(70)
    await embed(page, host, address, role=role)
    banner = page.locator("credit-usage .banner")
    if role == "admin":
        link = banner.get_by_role("link", name="Manage billing")
        await expect(link).to_have_attribute("href", "https://example.com/billing")
    else:
        await expect(banner).to_contain_text("Administrators of this account")
        assert await banner.get_by_role("link").count() == 0
    await banner.get_by_role("button").click()
    await expect(banner).to_have_count(0)
    assert await page.evaluate("document.activeElement.localName") == "credit-usage", "the focus is not lost"
    await books.balance("75")
    await books.banner(100)
    with within(LIVE_S):
        await expect(banner).to_have_attribute("role", "alert")
    assert await banner.get_by_role("button").count() == 0


async def test_on_a_phone_the_text_of_a_banner_has_the_width(
    page: Page, host: Host, address: str, books: Books
) -> None:
    """Its action and the button that closes it left it a column of three words."""
    await books.banner(20)
    await page.set_viewport_size({"width": 390, "height": 800})
    await embed(page, host, address)
    box = await page.locator("credit-usage .banner p").bounding_box()
    assert box and box["width"] > 300


async def test_new_figures_leave_banners_and_the_focus_where_they_are(
    page: Page, host: Host, address: str, books: Books
) -> None:
    """What is put in anew is read out anew by a screen reader, and loses the focus."""
    await books.balance("75")
    await books.banner(100)
    await embed(page, host, address, status="exhausted")
    banner = page.locator("credit-usage .banner")
    await banner.get_by_role("link").evaluate("one => { one.closest('.banner').kept = true; }")
    await page.locator("credit-usage button.open").click()
    panel = page.get_by_role("dialog")
    for name in ("Manage billing", "Contact support", "Copy"):
        await panel.get_by_text(name).focus()
        consumed = str(75 + len(name))
        await books.balance(consumed)
        with within(LIVE_S):
            await expect(panel).to_contain_text(f"{consumed} of 75 used")
        focused = await page.evaluate("document.querySelector('credit-usage').shadowRoot.activeElement?.textContent")
        assert focused == name
    assert await banner.evaluate("one => one.kept"), "the banner was put in anew"


async def test_new_figures_leave_the_banners_of_the_page_where_they_are(
    browser: Browser, address: str, books: Books
) -> None:
    await books.balance("75")
    await books.banner(100)
    page = await sign_in(await browser.new_context(), address, make_token())
    await page.get_by_role("alert").evaluate("one => { one.kept = true; }")
    await expect(page.locator("credit-usage button.open")).to_have_class("open exhausted")
    await books.balance("80")
    with within(LIVE_S):
        await expect(page.locator(".share").first).to_contain_text("80 of 75 credits used")
    assert await page.get_by_role("alert").evaluate("one => one.kept === true")


async def test_banners_go_with_the_element(page: Page, host: Host, address: str, books: Books) -> None:
    await books.balance("75")
    await books.banner(100)
    await embed(page, host, address, status="exhausted")
    banner = page.locator("credit-usage .banner")
    await expect(banner).to_have_attribute("role", "alert")
    await page.evaluate("document.body.append(document.querySelector('credit-usage'))")
    await expect(banner).to_have_attribute("role", "alert")


async def test_a_sign_in_that_has_ended_is_said(page: Page, host: Host, address: str) -> None:
    await embed(page, host, address)
    await page.locator("credit-usage button.open").click()
    await page.evaluate("document.querySelector('credit-usage').getToken = async () => 'nothing'")
    await page.evaluate("document.querySelector('credit-usage').refresh()")
    await expect(page.get_by_role("dialog")).to_contain_text("The sign-in has ended: sign in again.")
