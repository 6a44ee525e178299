"""What the fold has to publish."""

import json

from meter.runtime.postgres import Pool
from schemas.build import decode_event
from schemas.outputs import AccountChanged, BalanceChanged


async def read_outbox(pool: Pool) -> list[BalanceChanged | AccountChanged]:
    rows = await pool.fetch("SELECT shard, value FROM projections.outbox ORDER BY shard, id")
    return [decode_event(row["value"]).data for row in rows]  # type: ignore[misc]


async def find_contacts(pool: Pool, message: AccountChanged) -> tuple[str, ...]:
    """The addresses that stand behind the ids of a message, as the notifier finds them."""
    sql = "SELECT contacts::text FROM projections.contacts WHERE account_id = $1"
    addresses = {key: address for address, key in json.loads(await pool.fetchval(sql, message.account_id))}
    return tuple(addresses[str(contact)] for contact in message.contact_ids)
