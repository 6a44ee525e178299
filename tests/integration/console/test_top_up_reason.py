"""What the component says of credits that were added: the reason of this very grant, or none."""

from playwright.async_api import Page, expect

from meter.runtime.postgres import Pool
from tests.support.console import Books

INSERT_OLD_GRANT = """
INSERT INTO meter.events (shard, position, amount, kafka_offset, occurred_at, recorded_at, event_id, event_key, type,
    resource, account_id, name, source, data)
SELECT $1, 1, 100000000, 1, now(), now() - interval '7 days', gen_random_uuid(), 'x', code, 1, 'acct-1', 'top_up',
    '/support', '{"reference": "INV-7"}'
FROM meter.event_types WHERE type = 'credits.granted.v1'
"""
FOLD_IT = (
    "UPDATE meter.shards SET next_position = 2 WHERE shard = $1",
    "UPDATE projections.cursors SET position = 1 WHERE shard = $1",
)


async def test_what_a_reversal_gave_back_is_not_put_down_to_an_old_grant(page: Page, pool: Pool, books: Books) -> None:
    for statement in (INSERT_OLD_GRANT, *FOLD_IT):
        await pool.execute(statement, books.shard)
    await books.balance("75", 75)
    await page.reload()
    await page.locator("credit-usage button.open").click()
    panel = page.get_by_role("dialog")
    await expect(panel).to_contain_text("75 of 75 used")
    async with page.expect_response("**/v1/accounts/acct-1/history") as asked:
        await books.balance("55", 75, epoch=2)
        await expect(panel).to_contain_text("20 added")
    assert "INV-7" in await (await asked.value).text(), "the history has the old grant"
    await expect(panel).to_contain_text("20 added")
    await expect(panel).not_to_contain_text("INV-7")
