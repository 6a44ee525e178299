"""The stream that keeps the component's figures live: silent, held by who looks, or not to be had."""

import asyncio
from functools import partial
from typing import Final

import pytest
from playwright.async_api import Page, Route, expect

from tests.integration.console.test_embedding import Host, address, books, embed, host, page
from tests.support.console import Books
from tests.support.waiting import until
from tests.support.working_time import within

__all__ = ["address", "books", "host", "page"]  # fixtures

# `answered`: whether requests for the live stream are. `say` writes to the one that was asked last.
HELD_STREAM: Final = """
window.asked = 0;
window.answered = {answered};
document.addEventListener("credit-summary", (event) => {{ window.shown = event.detail; }});
const ask = window.fetch;
window.fetch = (address, options) => {{
  if (!String(address).endsWith("/live")) return ask(address, options);
  window.asked += 1;
  if (!window.answered) {{
    return new Promise((_, fail) => options.signal.addEventListener("abort", () => fail(options.signal.reason)));
  }}
  const body = new ReadableStream({{ start(stream) {{
    window.say = (text) => stream.enqueue(new TextEncoder().encode(text));
    options.signal.addEventListener("abort", () => stream.error(options.signal.reason));
  }} }});
  return Promise.resolve(new Response(body));
}};"""


@pytest.mark.parametrize("first", ["never answered", "comments alone"])
async def test_a_stream_that_says_nothing_is_no_sign_of_new_figures(
    page: Page, host: Host, address: str, first: str
) -> None:
    """It is held in the page: the console's own would say something at a moment that no test can choose."""
    await page.clock.install()
    await page.add_init_script(HELD_STREAM.format(answered=str(first != "never answered").lower()))
    await embed(page, host, address)
    await page.wait_for_function("window.asked > 0")
    icon = page.locator("credit-usage button.open")
    # 15 s without a word are too long; the clock stands still, else it would go on while the machine is busy.
    await page.clock.pause_at(await page.evaluate("Date.now() / 1000 + 1"))  # s
    await page.clock.fast_forward(9_000)
    if first == "comments alone":
        await page.evaluate("window.say(': alive\\n\\n')")
    await expect(icon).to_have_class("open good")
    await page.clock.fast_forward(6_000)
    await expect(icon).to_have_class("open stale")
    await page.evaluate("window.answered = true; window.asked = 0")
    await page.clock.fast_forward(2_000)
    await until(partial(page.evaluate, "window.asked === 1"), message="it is asked for anew")
    await expect(icon).to_have_class("open stale")
    await page.evaluate("window.say(`data: ${JSON.stringify(window.shown)}\\n\\n`)")
    await expect(icon).to_have_class("open good")


async def test_who_holds_the_figures_is_told_of_no_failure(page: Page, host: Host, address: str) -> None:
    await page.clock.install()
    await embed(page, host, address)
    await page.evaluate("document.querySelector('credit-usage').removeAttribute('live')")
    await page.clock.fast_forward(60_000)
    await expect(page.locator("credit-usage button.open")).to_have_class("open good")


async def test_how_long_credits_last_is_not_said_any_more_once_some_are_added(
    page: Page, host: Host, address: str
) -> None:
    """The stream does not say it: it is asked for again."""
    asked: list[object] = []
    epoch = 1

    async def answer(route: Route) -> None:
        reply = await route.fetch()
        if not reply.ok:  # the token is set a moment later
            await route.fulfill(response=reply)
            return
        body = await reply.json()
        for share in body["resources"]:
            share["epoch"] = epoch
            share["runway"] = {"text": f"Empty at {len(asked)} o'clock", "per_hour": "1", "empty_at": None}
        asked.append(body)
        await route.fulfill(json=body)

    await page.route("**/summary", answer)
    await page.clock.install()
    await page.add_init_script(HELD_STREAM.format(answered="true"))
    await embed(page, host, address)
    await page.locator("credit-usage button.open").click()
    panel = page.get_by_role("dialog")
    await page.wait_for_function("window.asked > 0 && !!window.say")
    before = len(asked)
    await expect(panel).to_contain_text(f"Empty at {before - 1} o'clock")
    tell = """changes => {
        const resources = window.shown.resources.map(({ runway, ...share }) => ({ ...share, ...changes(share) }));
        window.say(`data: ${JSON.stringify({ ...window.shown, resources })}\\n\\n`);
    }"""
    await page.evaluate(f"({tell})(() => ({{}}))")
    await expect(panel).to_contain_text(f"Empty at {before - 1} o'clock")
    epoch = 2
    await page.evaluate(f"({tell})((share) => ({{ epoch: share.epoch + 1, remaining: '500' }}))")
    await expect(panel).not_to_contain_text(f"Empty at {before - 1} o'clock")
    await page.clock.fast_forward(1_000)
    await expect(panel).to_contain_text(f"Empty at {before} o'clock")


async def test_an_answer_that_was_long_under_way_is_not_shown_over_what_the_stream_says(
    page: Page, host: Host, address: str
) -> None:
    """What the stream does not say is taken from it."""
    is_held, released = False, asyncio.Event()

    async def answer(route: Route) -> None:
        reply = await route.fetch()
        if not is_held:
            await route.fulfill(response=reply)
            return
        body = await reply.json()
        for share in body["resources"]:
            share["runway"] = {"text": "Empty at noon", "per_hour": "1", "empty_at": None}
        await released.wait()
        await route.fulfill(json=body | {"links": {"support": "https://example.com/late"}})

    await page.add_init_script(HELD_STREAM.format(answered="true"))
    await page.route("**/summary", answer)
    await embed(page, host, address)
    await page.locator("credit-usage button.open").click()
    panel = page.get_by_role("dialog")
    await page.wait_for_function("!!window.say")
    is_held = True
    await page.evaluate("window.late = document.querySelector('credit-usage').refresh(); null")
    await page.evaluate("""() => {
        const told = { used_text: "60 of 75 used" };
        const resources = window.shown.resources.map(({ runway, ...share }) => ({ ...share, ...told }));
        window.say(`data: ${JSON.stringify({ ...window.shown, resources })}\n\n`);
    }""")
    await expect(panel).to_contain_text("60 of 75 used")
    released.set()
    await page.evaluate("window.late")
    await expect(panel.get_by_role("link", name="Contact support")).to_have_attribute(
        "href", "https://example.com/late"
    )
    await expect(panel).to_contain_text("Empty at noon")
    await expect(panel).to_contain_text("60 of 75 used")


async def test_without_room_for_a_stream_figures_are_asked_for_one_by_one(
    page: Page, host: Host, address: str, books: Books
) -> None:
    await page.route("**/live", lambda route: route.fulfill(status=503, body="{}"))
    await embed(page, host, address)
    await books.balance("70")
    with within(8):
        await expect(page.locator("credit-usage button.open")).to_have_class("open low")
