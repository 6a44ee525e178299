"""States of the summary that come and go, and pages that are zoomed: what they say, and pictures of them."""

import asyncio

import pytest
from playwright.async_api import Browser, Page, Route, expect

from meter.runtime.postgres import Pool
from tests.support.browser import sign_in, take_pictures
from tests.support.console import Books, make_token
from tests.support.console_story import fill
from tests.support.working_time import within

TABS = ("overview", "tools", "models?open=support-tuned", "guardrails", "scripts", "history")
INSERT_GRANT = """
INSERT INTO meter.events (shard, position, amount, kafka_offset, occurred_at, recorded_at, event_id, event_key, type,
    resource, account_id, name, source, data)
SELECT $1, 1, 500000000, 1, now(), now(), gen_random_uuid(), 'x', code, 1, 'acct-1', 'top_up', '/support',
    '{"reference": "INV-1042"}'
FROM meter.event_types WHERE type = 'credits.granted.v1'
"""
# Text that is cut off: its box hides what does not fit. What is for screen readers alone is cut on purpose.
FIND_CUT = """() => [...document.querySelectorAll("main *, header *")].filter((one) => {
    const style = getComputedStyle(one);
    return one.clientWidth > 2 && one.scrollWidth > one.clientWidth + 1 && style.overflowX === "hidden"
        && one.textContent.trim() && !one.closest("svg");
}).map((one) => one.outerHTML.slice(0, 120))"""
ADD_CUT = """() => {
    const one = document.createElement("p");
    one.textContent = "a sentence that is cut off";
    Object.assign(one.style, { width: "20px", overflowX: "hidden", whiteSpace: "nowrap" });
    document.querySelector("main").append(one);
}"""
BODY_SIZE = "parseFloat(getComputedStyle(document.querySelector('main')).fontSize)"


async def test_until_the_first_figures_come_it_says_so(page: Page) -> None:
    released = asyncio.Event()

    async def hold(route: Route) -> None:
        await released.wait()
        await route.continue_()

    await page.route("**/v1/**", hold)
    await page.reload()
    await page.locator("credit-usage button.open").click()
    await expect(page.get_by_role("dialog")).to_contain_text("Loading …")
    await take_pictures(page, "state-loading")
    released.set()
    await expect(page.get_by_role("dialog")).to_contain_text("52.75 of 75 used")


async def test_a_top_up_says_what_came_from_whom(page: Page, pool: Pool, books: Books) -> None:
    await books.balance("75", 75)
    await books.banner(100)
    await page.reload()
    await page.locator("credit-usage button.open").click()
    panel = page.get_by_role("dialog")
    await expect(panel).to_contain_text("75 of 75 used")
    await pool.execute(INSERT_GRANT, books.shard)
    await books.clear_banners()
    await books.balance("75", 575, epoch=2)
    with within(4):
        await expect(panel).to_contain_text("500 model credits added: top_up, INV-1042, by /support")
    await expect(page.locator(".banner")).to_have_count(0)
    await take_pictures(page, "state-topped-up")


async def test_old_figures_are_marked_while_an_error_lasts(page: Page, faults: list[str]) -> None:
    await page.locator("credit-usage button.open").click()
    panel = page.get_by_role("dialog")
    await expect(panel).to_contain_text("52.75 of 75 used")
    await page.route("**/v1/**", lambda route: route.abort())
    # Without the stream, whose next figures would take the mark away before the picture.
    await page.evaluate("document.querySelector('credit-usage').removeAttribute('live')")
    await expect(panel).to_contain_text("these are old figures")
    await take_pictures(page, "state-error")
    await expect(panel).to_contain_text("these are old figures")
    await page.unroute("**/v1/**")
    faults.clear()  # the refused requests are some


async def test_text_that_is_cut_off_is_found(page: Page) -> None:
    """Else the next two tests would pass whatever the pages look like."""
    assert await page.evaluate(FIND_CUT) == []
    await page.evaluate(ADD_CUT)
    [found] = await page.evaluate(FIND_CUT)
    assert "a sentence that is cut off" in found


@pytest.mark.parametrize(("zoom", "width"), [(200, 720), (400, 320)])
async def test_a_zoomed_page_scrolls_one_way_and_loses_nothing(
    browser: Browser, books: Books, address: str, zoom: int, width: int
) -> None:
    """WCAG 1.4.10: a browser of 1,280 or 1,440 pixels at this zoom has this width left."""
    await fill(books)
    await books.banner(70)
    context = await browser.new_context(viewport={"width": width, "height": 450}, device_scale_factor=zoom / 100)
    page = await sign_in(context, address, make_token())
    for tab in TABS:
        await page.goto(f"{address}/accounts/acct-1/{tab}{'&' if '?' in tab else '?'}period=30d")
        shown = await page.evaluate("document.documentElement.scrollWidth")
        assert shown <= width, (tab, shown)
        assert await page.evaluate(FIND_CUT) == [], tab
        await page.screenshot(path=f".local/console/zoom-{zoom}-{tab.partition('?')[0]}.png", full_page=True)
    await context.close()


async def test_on_a_phone_a_field_stands_beside_its_label(page: Page, address: str) -> None:
    await page.set_viewport_size({"width": 390, "height": 900})
    await page.goto(f"{address}/accounts/acct-1/history")
    label, field = [await page.locator(one).bounding_box() for one in ("label[for=lines]", "#lines")]
    assert label and field and field["y"] < label["y"] + label["height"] / 2 < field["y"] + field["height"]


async def test_text_of_double_size_is_not_cut_off(page: Page, books: Books, address: str) -> None:
    """WCAG 1.4.4, for who has set the browser to larger text."""
    await fill(books)
    await books.banner(70)
    before = await page.evaluate(BODY_SIZE)
    session = await page.context.new_cdp_session(page)
    await session.send("Page.setFontSizes", {"fontSizes": {"standard": 32, "fixed": 26}})
    for tab in TABS:
        await page.goto(f"{address}/accounts/acct-1/{tab}{'&' if '?' in tab else '?'}period=30d")
        assert await page.evaluate(BODY_SIZE) == 2 * before, "all text follows the reader's size"
        for width in (1440, 360):
            await page.set_viewport_size({"width": width, "height": 900})
            shown = await page.evaluate("document.documentElement.scrollWidth")
            assert shown <= width, (tab, shown)
            assert await page.evaluate(FIND_CUT) == [], (tab, width)
