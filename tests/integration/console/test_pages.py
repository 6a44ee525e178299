"""The console in a real browser: what people see and do."""

import re

import pytest
from playwright.async_api import Browser, Dialog, Page, Route, expect

from meter.runtime.postgres import Pool
from schemas.resources import Resource
from tests.architecture.sources import ROOT
from tests.support import until
from tests.support.browser import sign_in, take_pictures
from tests.support.console import Books, days_ago, make_token
from tests.support.console_story import fill
from tests.support.working_time import within

LIVE_S = 3
EVIL = "<img src=x onerror=alert(1)>\"'</script><script>alert(2)</script>\u202e"
INSERT_UNFOLDED = """
INSERT INTO meter.events (shard, position, amount, kafka_offset, occurred_at, recorded_at, event_id, event_key, type,
    resource, account_id, name, source, data)
VALUES ($1, 1, 1, 1, now(), now() - interval '3 minutes', gen_random_uuid(), 'x', 1, 1, 'acct-1', 'm', 's', '{}')
"""


def test_the_component_is_light() -> None:
    assert (ROOT / "projections/console/static/credit-usage.js").stat().st_size < 30_000


@pytest.mark.parametrize("refused", [429, 503, None], ids=["too many", "away", "no answer"])
async def test_a_part_that_could_not_be_fetched_is_asked_for_again(
    page: Page, books: Books, faults: list[str], refused: int | None
) -> None:
    """An account that has used up everything changes no more: nothing else would bring the new figures."""
    await page.reload()
    await expect(page.locator("credit-usage button.open")).to_have_class("open moderate")
    left = [refused] * 2

    async def answer(route: Route) -> None:
        if not left:
            await route.continue_()
        elif (status := left.pop()) is None:
            await route.abort()
        else:
            await route.fulfill(status=status, body="{}")

    await page.route(re.compile(r"/part\?"), answer)
    await books.balance("70")
    await expect(page.locator(".share").first).to_contain_text("70 of 75 credits used")
    assert not left
    assert len(faults) == 2 and all("Failed to load resource" in fault for fault in faults)
    faults.clear()


@pytest.mark.parametrize(
    ("left", "status"),
    [(76, "good"), (75, "moderate"), (50, "moderate"), (25, "moderate"), (24, "low"), (0, "exhausted")],
)
async def test_the_icon_shows_the_worse_resource(page: Page, books: Books, left: int, status: str) -> None:
    await books.balance(100 - left, 100)
    await books.balance(0, 10_000, Resource.TOOL_RUNS)
    await page.reload()
    icon = page.locator("credit-usage button.open")
    await expect(icon).to_have_class(f"open {status}")
    name = await icon.get_attribute("aria-label") or ""
    assert ("nothing left" if left == 0 else f"Model credits: {left} % left") in name
    assert "Tool runs: 100 % left, good." in name


async def test_the_panel_copies_the_account_and_gives_the_focus_back(page: Page) -> None:
    icon = page.locator("credit-usage button.open")
    await icon.focus()
    await page.keyboard.press("Enter")
    panel = page.get_by_role("dialog")
    await expect(panel.get_by_text("52.75 of 75 used")).to_be_visible()
    await expect(panel.get_by_text("4,210 of 10,000 used")).to_be_visible()
    for name in ("Manage billing", "Contact support"):
        await expect(panel.get_by_role("link", name=name)).to_be_visible()
    await panel.get_by_role("button", name="Copy").click()
    await expect(page.locator("credit-usage [role=status]")).to_have_text("Copied")
    assert await page.evaluate("navigator.clipboard.readText()") == "acct-1"
    await page.keyboard.press("Escape")
    await expect(panel).to_be_hidden()
    assert await page.evaluate("document.activeElement.localName") == "credit-usage"


async def test_a_removable_banner_stays_closed_until_the_next_level_and_a_fixed_one_stays(
    page: Page, books: Books
) -> None:
    await books.banner(70)
    await page.reload()
    banner = page.locator(".banner")
    await expect(banner).to_contain_text("70 % of the model credits")
    await banner.get_by_role("button").click()
    await expect(banner).to_have_count(0)
    await page.reload()
    await expect(banner).to_have_count(0)
    await books.banner(80)
    await page.reload()
    await expect(banner).to_contain_text("80 %")
    await books.balance("75")
    await books.banner(100)
    await page.reload()
    await expect(page.get_by_role("alert").locator(".mark")).to_be_visible()
    assert await banner.get_by_role("button").count() == 0


async def test_who_cannot_buy_reads_who_can(browser: Browser, address: str, books: Books) -> None:
    await books.banner(70)
    context = await browser.new_context()
    page = await sign_in(context, address, make_token(role="member"))
    await expect(page.locator(".banner")).to_contain_text("Administrators of this account")
    assert await page.locator(".banner a").count() == 0


async def test_figures_colours_and_banners_move_without_a_reload(page: Page, books: Books) -> None:
    icon = page.locator("credit-usage button.open")
    async with page.expect_response("**/live"):
        await page.reload()
    await expect(icon).to_have_class("open moderate")
    await books.balance("74", 75)
    await books.banner(90)
    with within(LIVE_S):
        await expect(icon).to_have_class("open low")
        await expect(page.locator(".share").first).to_contain_text("74 of 75 credits used")
        await expect(page.locator(".banner")).to_contain_text("90 %")


async def test_figures_behind_the_log_are_not_shown_as_sure(page: Page, pool: Pool, books: Books) -> None:
    await pool.execute("UPDATE meter.shards SET next_position = 2")
    await pool.execute(INSERT_UNFOLDED, books.shard)
    await page.reload()
    await expect(page.locator("credit-usage button.open")).to_have_class("open stale")
    await expect(page.locator(".share").first).to_contain_text("These figures may be old")
    await take_pictures(page, "state-stale", (360, 1440))


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("unused", "No usage yet: 75 left"),
        ("not opened", "This account is not opened yet"),
        ("exhausted", "Nothing left since"),
        ("overdrawn", "\u22123.2: comes off the next top-up"),
        ("closed", "This account is closed"),
    ],
)
async def test_each_state_says_what_it_is(browser: Browser, address: str, pool: Pool, state: str, text: str) -> None:
    books = Books(pool, f"acct-{state.replace(' ', '-')}")
    if state != "not opened":
        await books.open(closed=state == "closed")
        consumed = {"unused": "0", "exhausted": "75", "overdrawn": "78.2", "closed": "1"}[state]
        await books.both(consumed, 0, closed=state == "closed")
    if state == "exhausted":
        await books.banner(100)
    context = await browser.new_context()
    page = await sign_in(context, address, make_token(books.account_id))
    await expect(page.locator("main")).to_contain_text(text)
    await page.locator("credit-usage button.open").click()
    await expect(page.get_by_role("dialog")).to_contain_text(text)
    await take_pictures(page, f"state-{books.account_id.removeprefix('acct-')}", (360, 1440))


async def test_figures_can_be_held_and_go_on(page: Page, address: str, books: Books) -> None:
    credits = page.locator(".share").first
    await expect(page.locator("credit-usage button.open")).to_have_class("open moderate")
    async with page.expect_response("**/summary") as asked:
        await page.get_by_role("button", name="Pause").click()
    await (await asked.value).finished()  # what was on its way has come
    live = await sign_in(page.context, address, make_token())
    for consumed in ("59", "60"):  # by the second figures the first have come to every page
        await books.balance(consumed, 75)
        await expect(live.locator(".share").first).to_contain_text(f"{consumed} of 75")
    await expect(credits).to_contain_text("52.75 of 75")
    await page.get_by_role("button", name="Go live").click()
    with within(LIVE_S):
        await expect(credits).to_contain_text("60 of 75")


async def test_figures_that_come_between_press_and_release_take_no_click_away(page: Page, books: Books) -> None:
    """On the icon, and on a button of its panel."""
    bring = "document.querySelector('credit-usage').refresh()"
    usage, panel = page.locator("credit-usage"), page.get_by_role("dialog")
    for number, target in enumerate((usage.locator("button.open"), panel.get_by_role("button", name="Copy"))):
        await target.hover()
        await page.mouse.down()
        await books.balance(str(60 + number), 75)
        await page.evaluate(bring)
        await page.mouse.up()
        await expect(panel).to_contain_text(f"{60 + number} of 75 used")
    await expect(usage.locator("[role=status]")).to_have_text("Copied")


# Asks again, and presses the button as soon as that fails: a stream that is open still may bring figures at any time,
# and with them the button goes.
TRY_AGAIN = """() => new Promise((done) => {
    const usage = document.querySelector("credit-usage");
    const watch = new MutationObserver(() => {
        const button = [...usage.shadowRoot.querySelectorAll("button")].find((one) => one.textContent === "Try again");
        if (button) { watch.disconnect(); button.click(); done(); }
    });
    watch.observe(usage.shadowRoot, { childList: true, subtree: true });
    usage.refresh();
})"""


async def test_an_error_keeps_the_old_figures_and_marks_them(page: Page, faults: list[str]) -> None:
    await page.locator("credit-usage button.open").click()
    panel, asked = page.get_by_role("dialog"), list[str]()
    await expect(panel).to_contain_text("52.75 of 75 used")
    await page.route("**/v1/**", lambda route: route.abort())
    # Without the stream: what it sends after the refused request are new figures, and the mark goes, as it should.
    await page.evaluate("document.querySelector('credit-usage').removeAttribute('live')")
    await expect(panel).to_contain_text("these are old figures")
    await expect(panel).to_contain_text("52.75 of 75 used")
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/summary") else None)
    await page.evaluate(TRY_AGAIN)
    await until(lambda: len(asked) >= 2)
    await page.unroute("**/v1/**")
    await page.evaluate("document.querySelector('credit-usage').refresh()")
    await expect(panel).not_to_contain_text("these are old figures")
    faults.clear()  # the refused request is one


async def test_every_tab_and_row_is_reached_by_keys(page: Page, books: Books) -> None:
    await fill(books)
    for name in ("tools", "models", "guardrails", "scripts", "history"):
        await page.locator(".tabs [aria-current]").focus()
        await page.keyboard.press("ArrowRight")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**/{name}*")
    await page.goto(page.url.replace("history", "models"))
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("k")
    focused = await page.locator("a.row:focus").text_content()  # waits: a page that was just loaded has no focus yet
    await page.keyboard.press("Enter")
    await page.wait_for_url("**open=*")
    await expect(page.locator("#detail")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator("#detail")).to_have_count(0)
    await expect(page.locator("a.row:focus")).to_have_text(focused or "no row has the focus")


async def test_a_narrow_table_is_sorted_by_its_heads_too(page: Page, books: Books, address: str) -> None:
    """What the keyboard reaches can be seen, and a finger can press it."""
    await fill(books)
    await page.set_viewport_size({"width": 360, "height": 800})
    await page.goto(f"{address}/accounts/acct-1/tools?period=30d")
    for link in await page.locator("thead a").all():
        box = await link.bounding_box()
        assert box is not None and box["width"] > 20 and box["height"] >= 24, await link.inner_text()
    await page.get_by_role("link", name="Failed").click()
    await page.wait_for_url("**sort=failed*")
    await expect(page.locator("a.row").first).to_have_text("Web search")


async def test_all_of_it_works_without_javascript(browser: Browser, address: str, books: Books) -> None:
    await fill(books)
    await books.banner(70)
    context = await browser.new_context(java_script_enabled=False)
    page = await sign_in(context, address, make_token())
    await page.locator(".banner button").click()
    await expect(page.locator(".banner")).to_have_count(0)
    await page.locator("credit-usage summary").click()
    await expect(page.locator("credit-usage .panel")).to_contain_text("52.75 of 75 credits used")
    await page.goto(f"{address}/accounts/acct-1/models?period=30d")
    await page.get_by_role("link", name="Support-Tuned").click()
    await expect(page.locator("#detail")).to_contain_text("Hosting")
    await page.get_by_label("Period").select_option("24h")
    await page.get_by_role("button", name="Apply").click()
    await page.wait_for_url("**period=24h*")


async def test_hostile_names_do_nothing(page: Page, books: Books, address: str) -> None:
    dialogs: list[str] = []

    async def note(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        await dialog.dismiss()

    page.on("dialog", note)
    books.use("model", EVIL, "1.5", days_ago(0), deployment=EVIL, category=EVIL, hardware=EVIL)
    books.use("tool", "=cmd|' /C calc'!A0", "2", days_ago(0), status=EVIL)
    await books.add_up()
    await books.item("script", "long", EVIL, name="x" * 10_000, owner=EVIL, reason=EVIL, language=EVIL)
    await books.banner(70, text=EVIL)
    for tab in ("overview", "tools", "models", "scripts", "history"):
        await page.goto(f"{address}/accounts/acct-1/{tab}")
        assert await page.locator("img").count() == 0
        await page.set_viewport_size({"width": 360, "height": 800})
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360, f"{tab} scrolls sideways"
    await page.goto(f"{address}/accounts/acct-1/models")
    await page.locator("a.row").first.click()
    await expect(page.locator("#detail")).to_contain_text("<img src=x")
    reply = await page.request.get(f"{address}/accounts/acct-1/tools.csv")
    assert "'=cmd|" in await reply.text()
    await page.evaluate("setTimeout(() => alert('seen'))")
    await until(lambda: dialogs)
    assert dialogs == ["seen"], "one that the test opened, and no other"
