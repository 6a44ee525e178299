"""axe-core finds nothing on any page, in either scheme, wide or narrow: WCAG 2.2 AA as far as a program can tell."""

from typing import Any

import pytest
from playwright.async_api import Page

from tests.support.browser import SCHEMES
from tests.support.clients import build_clients
from tests.support.console import Books, days_ago
from tests.support.console_story import fill

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}})"


@pytest.fixture(scope="session")
def axe() -> str:
    """The text of axe-core. Skipped where npm or the package cannot be had."""
    folder = build_clients("axe", "npm", ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"])
    return (folder / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


async def find_faults(page: Page, axe: str) -> list[Any]:
    """Rule and element of each finding. Given to the page by the driver, past the policy of the page itself."""
    await page.evaluate(axe)
    report = await page.evaluate(RUN, RULES)
    return [(found["id"], node["html"][:200], node["failureSummary"][:300])
            for found in report["violations"] for node in found["nodes"]]  # fmt: skip


@pytest.mark.parametrize(
    "tab",
    ["overview", "tools", "models?open=support-tuned", "guardrails", "scripts", "history", "history?lines=60%2C85"],
)
async def test_no_page_has_a_finding(page: Page, books: Books, address: str, axe: str, tab: str) -> None:
    await fill(books)
    await books.banner(70)
    await books.thresholds((20, 50), (50, 90))
    for position, consumed in enumerate((0, 40, 66), 1):
        await books.step(consumed, days_ago(10 - position), position=position)
    await page.goto(f"{address}/accounts/acct-1/{tab}{'&' if '?' in tab else '?'}period=30d")
    await page.locator("credit-usage button.open").click()
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
        for width in (1440, 360):
            await page.set_viewport_size({"width": width, "height": 900})
            assert await find_faults(page, axe) == [], (scheme, width)


async def test_the_form_has_no_finding(page: Page, address: str, axe: str) -> None:
    await page.goto(f"{address}/?why=token_expired")
    assert await find_faults(page, axe) == []


async def test_a_picture_without_words_is_found(page: Page, axe: str) -> None:
    """Else the other tests would pass whatever the pages look like."""
    assert await find_faults(page, axe) == []
    await page.evaluate("document.querySelector('main').append(document.createElement('img'))")
    assert "image-alt" in {rule for rule, *_ in await find_faults(page, axe)}
