"""Other accounts with the same address, which `meter forget` names."""

from meter.runtime.postgres import Pool
from meter.store.outcomes import Outcomes
from meter.store.remains import SHOWN_SHARING, find_sharing

ADD = """
INSERT INTO projections.account_states
    (account_id, shard, plan, contacts, contact_ids, closed, opened_at, position, as_of)
SELECT 'acct-' || number, 0, 'free', $1::text::jsonb, '[]', false, now(), 1, now()
FROM generate_series($2::int, $3::int) number
"""


async def test_accounts_with_the_same_address_are_found_in_any_case(pool: Pool) -> None:
    await pool.execute(ADD, '["Ann@example.com", "bob@example.com"]', 1, 1)
    await pool.execute(ADD, '["ann@example.com"]', 2, 2)
    await pool.execute(ADD, '["joann@example.com"]', 3, 3)
    outcomes = Outcomes(pool)
    assert await find_sharing(outcomes, "acct-1", ["Ann@example.com", "bob@example.com"]) == ["acct-2"]
    assert await find_sharing(outcomes, "acct-3", ["joann@example.com"]) == []


async def test_of_many_one_more_than_is_shown_is_asked_for(pool: Pool) -> None:
    await pool.execute(ADD, '["ann@example.com"]', 1, SHOWN_SHARING + 5)
    assert len(await find_sharing(Outcomes(pool), "acct-1", ["ann@example.com"])) == SHOWN_SHARING + 1
