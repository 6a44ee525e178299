"""What corrections need of the database: what they may mean, and the rows that link them to it."""

from meter.corrections import NO_FACTS, Facts, Move, NamedUsage, accounts_wanted, move_of, names_wanted
from meter.plan import AppendPlan
from meter.runtime.postgres import Executor, load_sql


async def fetch_facts(connection: Executor, plan: AppendPlan) -> Facts:
    """Asked under the shard's row lock, so the answer stays true. Most batches have no corrections and ask nothing."""
    if not plan.corrections:
        return NO_FACTS
    return Facts(await fetch_usage(connection, plan), await fetch_moves(connection, plan))


async def fetch_usage(connection: Executor, plan: AppendPlan) -> dict[tuple[str, str], list[NamedUsage]]:
    names = names_wanted(plan)
    found: dict[tuple[str, str], list[NamedUsage]] = {name: [] for name in names}
    if names:
        accounts, ids = [name[0] for name in names], [name[1] for name in names]
        for row in await connection.fetch(load_sql("meter", "find_usage"), plan.shard, accounts, ids):
            usage = NamedUsage(row["position"], row["source"], row["resource"], row["amount"], row["unreversed"])
            found[names[row["number"] - 1]].append(usage)
    return found


async def fetch_moves(connection: Executor, plan: AppendPlan) -> dict[str, list[Move]]:
    accounts = accounts_wanted(plan)
    moves: dict[str, list[Move]] = {account: [] for account in accounts}
    if accounts:
        for row in await connection.fetch(load_sql("meter", "find_moves"), plan.shard, accounts):
            moves[row["account_id"]].append(
                move_of(row["type"], row["event_id"], row["resource"], row["amount"], row["data"])
            )
    return moves


async def append_links(connection: Executor, plan: AppendPlan) -> None:
    if plan.links:
        columns = [list(column) for column in zip(*plan.links, strict=True)]
        await connection.execute(load_sql("meter", "append_reversals"), plan.shard, *columns)
