"""What the component says of credits that were added: the reason of this very grant, or none."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, Route, expect

from meter.runtime.postgres import Pool
from tests.support.console import Books

INSERT_GRANT = """
INSERT INTO meter.events (shard, position, amount, kafka_offset, occurred_at, recorded_at, event_id, event_key, type,
    resource, account_id, name, source, data)
SELECT $1, $2, $3::int * 1000000::bigint, $2, now(), now() - $4::interval, gen_random_uuid(), $5::text::bytea, code,
    1, 'acct-1', 'top_up', '/support', jsonb_build_object('reference', $5::text)
FROM meter.event_types WHERE type = 'credits.granted.v1'
"""
MOVE = "UPDATE meter.shards SET next_position = $2::bigint + 1 WHERE shard = $1"
FOLD = "UPDATE projections.cursors SET position = $2 WHERE shard = $1"


async def add_grant(pool: Pool, shard: int, position: int, amount: int, ago: timedelta, reference: str) -> None:
    await pool.execute(INSERT_GRANT, shard, position, amount, ago, reference)
    await pool.execute(MOVE, shard, position)
    await pool.execute(FOLD, shard, position)


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """Of somebody who would read 1,254 as a little more than 1: the page is in English all the same."""
    made = await browser.new_context(locale="de-DE")
    yield made
    await made.close()


async def test_what_a_reversal_gave_back_is_not_put_down_to_an_old_grant(page: Page, pool: Pool, books: Books) -> None:
    await add_grant(pool, books.shard, 1, 100, timedelta(days=7), "INV-7")
    await books.balance("2000", 2_000)
    await page.reload()
    await page.locator("credit-usage button.open").click()
    panel = page.get_by_role("dialog")
    await expect(panel).to_contain_text("2,000 of 2,000 used")
    async with page.expect_response("**/v1/accounts/acct-1/history") as asked:
        await books.balance("745.984", 2_000, epoch=2)
        await expect(panel).to_contain_text("1,254.01 added")  # and 1254.02 left
    assert "INV-7" in await (await asked.value).text(), "the history has the old grant"
    await expect(panel).to_contain_text("1,254.01 added")
    await expect(panel).not_to_contain_text("INV-7")


async def show_used_up(page: Page, books: Books) -> Locator:
    await books.balance("75", 75)
    await page.reload()
    await page.locator("credit-usage button.open").click()
    panel = page.get_by_role("dialog")
    await expect(panel).to_contain_text("75 of 75 used")
    return panel


async def test_a_top_up_is_named_where_the_account_was_opened_seconds_ago(page: Page, pool: Pool, books: Books) -> None:
    await add_grant(pool, books.shard, 1, 75, timedelta(), "free allowance")
    panel = await show_used_up(page, books)
    await add_grant(pool, books.shard, 2, 100, timedelta(), "INV-8")
    await books.balance("0", 100, epoch=2)
    await expect(panel).to_contain_text("100 model credits added: top_up, INV-8, by /support")


async def test_a_top_up_of_one_is_named(page: Page, pool: Pool, books: Books) -> None:
    panel = await show_used_up(page, books)
    await add_grant(pool, books.shard, 1, 1, timedelta(), "INV-9")
    await books.balance("75", 76, epoch=2)
    await expect(panel).to_contain_text("1 model credit added: top_up, INV-9, by /support")


async def test_each_of_two_top_ups_is_named(page: Page, pool: Pool, books: Books) -> None:
    panel = await show_used_up(page, books)
    await add_grant(pool, books.shard, 1, 100, timedelta(), "INV-10")
    await books.balance("75", 175, epoch=2)
    await expect(panel).to_contain_text("100 model credits added: top_up, INV-10, by /support")
    await add_grant(pool, books.shard, 2, 50, timedelta(), "INV-11")
    await books.balance("75", 225, epoch=3)
    await expect(panel).to_contain_text("50 model credits added: top_up, INV-11, by /support")
    await expect(panel).to_contain_text("100 model credits added: top_up, INV-10, by /support")


async def test_two_of_the_same_amount_are_not_one_said_twice(page: Page, pool: Pool, books: Books) -> None:
    """Both are there when the first is asked for: each answer names one that the other has not."""
    panel = await show_used_up(page, books)
    release = await hold_answers(page, "**/v1/accounts/acct-1/history")
    await add_grant(pool, books.shard, 1, 100, timedelta(), "INV-14")
    await books.balance("75", 175, epoch=2)
    await expect(panel.get_by_text("100 added")).to_have_count(1)
    await add_grant(pool, books.shard, 2, 100, timedelta(), "INV-15")
    await books.balance("75", 275, epoch=3)
    await expect(panel.get_by_text("100 added")).to_have_count(2)
    release.set()
    for reference in ("INV-14", "INV-15"):
        told = panel.get_by_text(f"100 model credits added: top_up, {reference}, by /support")
        await expect(told).to_have_count(1)


async def hold_answers(page: Page, address: str) -> asyncio.Event:
    """What is asked for there is answered once the event is set."""
    release = asyncio.Event()

    async def answer(route: Route) -> None:
        await release.wait()
        await route.continue_()

    await page.route(address, answer)
    return release


async def test_two_top_ups_that_are_seen_at_once_are_both_named(page: Page, pool: Pool, books: Books) -> None:
    panel = await show_used_up(page, books)
    await add_grant(pool, books.shard, 1, 100, timedelta(), "INV-12")
    await add_grant(pool, books.shard, 2, 50, timedelta(), "INV-13")
    await books.balance("75", 225, epoch=3)
    for told in ("50 model credits added: top_up, INV-13", "100 model credits added: top_up, INV-12"):
        await expect(panel).to_contain_text(f"{told}, by /support")
