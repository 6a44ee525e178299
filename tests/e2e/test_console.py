"""From an event on Kafka to what people see, in a real browser, without a reload: the services and the console as
processes of their own."""

from typing import Final

from playwright.async_api import expect

from deploy.local.ports import free_port
from deploy.local.stack import Addresses
from schemas.amounts import MICRO
from tests.e2e.running import Running
from tests.support.browser import running_browser, sign_in
from tests.support.console import SECRET, make_token

# The aim is a second, and the bench holds it; here a busy machine may take longer.
WAIT_MS: Final = 30_000


async def test_events_move_colour_figures_and_banners(running: Running, stack: Addresses) -> None:
    port = free_port()
    database = running.settings.postgres_dsn.rpartition("/")[2]
    running.processes.start(
        "projections", "console", postgres_dsn=stack.dsn(database, "credit_console"), console_port=str(port),
        console_secret=SECRET, billing_url="https://example.com/billing",
    )  # fmt: skip
    await running.open("acct-1")
    async with running_browser() as browser:
        page = await sign_in(await browser.new_context(), f"http://127.0.0.1:{port}", make_token("acct-1"))
        icon, card, banner = (page.locator(name) for name in ("credit-usage button.open", ".share", ".banner"))
        await expect(icon).to_have_class("open good")
        await expect(card.first).to_contain_text("No usage yet: 75 left")

        await running.use("acct-1", "model_credits", 40 * MICRO)
        await running.usage.flush()
        await expect(icon).to_have_class("open moderate", timeout=WAIT_MS)
        await expect(card.first).to_contain_text("40 of 75 credits used", timeout=WAIT_MS)
        await expect(banner).to_contain_text("At least 50 % of the model credits", timeout=WAIT_MS)

        await running.use("acct-1", "model_credits", 35 * MICRO)
        await running.usage.flush()
        await expect(icon).to_have_class("open exhausted", timeout=WAIT_MS)
        await expect(banner).to_have_attribute("role", "alert", timeout=WAIT_MS)
        await expect(banner.get_by_role("link")).to_have_text("Upgrade the plan")

        await icon.click()
        await running.grant("acct-1", "model_credits", "100")
        await expect(icon).to_have_class("open good", timeout=WAIT_MS)
        await expect(page.get_by_role("dialog")).to_contain_text("100 model credits added: top_up, INV-1")
        await expect(banner).to_have_count(0, timeout=WAIT_MS)
