"""`meter split`: more shards, each of which takes part of the accounts of one there was, with their history.

With a multiple of the shards every new shard has its accounts from one other, so events keep their positions, and all
that remembers a position stays true: who was told what, which event a reversal names, what readers hold the newest.
Only the number of their shard changes. Batches stay where they were sealed, with their hashes; `meter.moved` says where
their events are now. It begins a new generation, because the chains of new shards begin in the middle.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from meter.distribute import refuse_distributed
from meter.recover import (
    Begun,
    Outside,
    Place,
    check_stopped,
    count_shards,
    fetch_places,
    find_untold,
    forget_listed,
    look_outside,
    reset_groups,
    write_generation,
)
from meter.runtime.clock import Clock
from meter.runtime.errors import RefusalError
from meter.runtime.fault_points import fault_point
from meter.runtime.kafka import TopicAdmin
from meter.runtime.postgres import Executor, Pool, load_sql, write_transaction
from meter.runtime.postgres.migrations import NO_LIMIT_S
from meter.runtime.settings import Settings
from meter.setup import insert_rows
from schemas.figures import count_of
from schemas.topics import ACCOUNTS, BALANCES, NOTIFICATIONS, USAGE, partition_for

INPUTS: Final = (USAGE, ACCOUNTS)
OUTPUTS: Final = (BALANCES, NOTIFICATIONS)


class Move(NamedTuple):
    """An account that changes its shard."""

    shard: int
    account_id: str
    to_shard: int


class Plan(NamedTuple):
    """Who moves, who is forgotten, and which keys of theirs an earlier attempt left in a wrong shard."""

    moves: list[Move]
    forgotten: frozenset[str]
    strays: list[tuple[int, str]]  # shard and account


Say = Callable[[str], None]


async def split(
    settings: Settings,
    pool: Pool,
    clock: Clock,
    *,
    by: str,
    reason: str,
    say: Say = lambda _line: None,
) -> list[Begun]:
    """Have as many shards as METERING_PARTITIONS says; nothing to tell where there are so many already.

    Raises RefusalError, before anything is changed, with what is to be done first. After an interruption it can be
    called again: all of it was done, or nothing.
    """
    before = await count_shards(pool)
    if before == settings.partitions:
        return []
    await refuse_distributed(pool, "meter split", "accounts would move to other nodes than their batches")
    check_multiple(before, settings.partitions)
    await check_stopped(settings, pool)
    await check_topics(settings)
    await check_sent(pool, before)
    places = await fetch_places(pool)
    outside = await look_outside(settings)
    proofs = [proof for place in places for proof in outside.find_proofs(place)]
    if proofs := proofs + await find_untold(pool, outside):
        raise RefusalError(f"the database went back in time: {'; '.join(proofs)}. Run `meter recover` first.")
    await check_heard(settings, places)
    for line in await describe_unread(settings, places, before):
        say(line)
    plan = await plan_moves(pool, before, settings.partitions, outside.forgotten)
    await forget_listed(pool, plan.forgotten, before, clock)
    say(f"moving {count_of(len(plan.moves), 'account')} to {count_of(settings.partitions - before, 'new shard')}")
    begun = await move_accounts(pool, plan, before, settings.partitions, outside, clock.now(), by=by, reason=reason)
    await reset_groups(settings, await fetch_places(pool), outside)
    return begun


def check_multiple(before: int, now: int) -> None:
    if now < before or now % before:
        raise RefusalError(
            f"METERING_PARTITIONS says {now}, and there are {before} shards. The new number must be a multiple, "
            f"{2 * before} or {3 * before} for instance, so that the accounts of each new shard come from one. "
            "Nothing was changed."
        )


async def check_topics(settings: Settings) -> None:
    """Producers spread accounts over all partitions of the inputs, so these must be as many as shards; what comes out
    needs one for each shard."""
    wanted, wrong = settings.partitions, []
    async with TopicAdmin(settings) as admin:
        for topic in (*INPUTS, *OUTPUTS):
            info = await admin.find(topic)
            partitions = 0 if info is None else info.partitions
            if partitions < wanted or (topic in INPUTS and partitions != wanted):
                wrong.append(f"{settings.topic(topic)} has {partitions}")
    if wrong:
        raise RefusalError(
            f"there are to be {wanted} shards, and so many partitions: {', '.join(wrong)}. Nothing was changed. Grow "
            f"them first, which stops nothing: kafka-topics.sh --alter --topic NAME --partitions {wanted}"
        )


async def check_sent(pool: Pool, before: int) -> None:
    [row] = await pool.fetch(load_sql("meter", "find_unfinished"), before)
    if row["is_sealed_later"]:
        raise RefusalError(
            "`meter seal` chained this log anew, and the shards of such a log cannot be split yet. Nothing was changed."
        )
    if row["is_beyond"]:
        raise RefusalError(f"there are events beyond the {before} shards: run `meter verify`. Nothing was changed.")
    if row["unfolded"]:
        raise RefusalError(
            f"in no balance yet: {count_of(row['unfolded'], 'event')}. Nothing was changed. Start projections until "
            "metering_fold_lag_events is 0, stop them, and call it again."
        )
    left = {service: row[service] for service in ("meter", "projections", "notifier") if row[service]}
    if left:
        names = ", ".join(f"{service} ({count:,})" for service, count in left.items())
        raise RefusalError(
            f"messages wait in the outbox of {names}. Nothing was changed. Start these services until theirs is empty "
            "(metering_outbox_age_seconds is 0), stop them, and call it again."
        )


async def check_heard(settings: Settings, places: Sequence[Place]) -> None:
    """What the notifier has not read yet is of accounts that would be in another shard by then. A partition that no
    shard has holds only what was told before a backup was restored, of a generation that is over."""
    async with TopicAdmin(settings) as admin:
        ends = await admin.end_offsets(BALANCES)
    left = sum(max(0, ends.get(place.shard, 0) - place.notifier) for place in places if place.notifier is not None)
    if left:
        raise RefusalError(
            f"the notifier has {count_of(left, 'change')} of balances still to read. Nothing was changed. Start it "
            "until it has read all (metering_lag_records is 0), stop it, and call it again."
        )


async def describe_unread(settings: Settings, places: Sequence[Place], before: int) -> list[str]:
    """Of the inputs: it counts all the same, but may come behind what is written to the new partitions meanwhile."""
    lines = []
    async with TopicAdmin(settings) as admin:
        for topic in INPUTS:
            ends = await admin.end_offsets(topic)
            left = sum(
                max(0, ends.get(place.shard, 0) - place.offsets[topic]) for place in places if place.shard < before
            )
            if left:
                lines.append(
                    f"{settings.topic(topic)}: not read yet: {count_of(left, 'record')}. Each counts once, but what is "
                    "of accounts that move may come behind newer ones, because it is sent on"
                )
    return lines


async def plan_moves(pool: Pool, before: int, now: int, listed: Collection[str] = ()) -> Plan:
    """`listed` are the accounts on the list of the forgotten: they have a key, thrown away, before they move."""
    rows = await pool.fetch(load_sql("meter", "list_accounts"), timeout=NO_LIMIT_S)
    keys = {(row["shard"], row["account_id"]) for row in await pool.fetch(load_sql("meter", "list_forgotten"))}
    forgotten = frozenset({account_id for _, account_id in keys}.union(listed))
    own = {(partition_for(account_id.encode(), before), account_id) for account_id in forgotten}
    moves, astray = choose_moves({(row["shard"], row["account_id"]) for row in rows} | own, before, now)
    if astray:
        raise RefusalError(
            f"in another shard than their own: {count_of(len(astray), 'account')}, {astray[0]!a} first. Run "
            "`meter verify`. Nothing was changed."
        )
    return Plan(moves, forgotten, sorted(keys - own))


def choose_moves(accounts: Iterable[tuple[int, str]], before: int, now: int) -> tuple[list[Move], list[str]]:
    """Who moves where, and which accounts are not where they belong now."""
    moves, astray = [], []
    for shard, account_id in accounts:
        to_shard = partition_for(account_id.encode(), now)
        if to_shard % before != shard:
            astray.append(account_id)
        elif to_shard != shard:
            moves.append(Move(shard, account_id, to_shard))
    return moves, astray


async def move_accounts(
    pool: Pool, plan: Plan, before: int, now: int, outside: Outside, at: datetime, *, by: str, reason: str
) -> list[Begun]:
    """In one transaction, with the new generation of every shard."""
    async with pool.acquire() as connection:
        async with write_transaction(connection):
            await connection.execute(
                "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
            )
            await remove_strays(connection, plan.strays)
            digests = await move(connection, plan.moves, before, now)
            await fault_point("split_accounts_moved")
            places = await fetch_places(connection)
            why = f"{now} shards, before {before}: {reason}"
            begun = await write_generation(connection, places, outside, at, by=by, reason=why, moved=digests)
            await fault_point("split_before_commit")
        await fault_point("split_after_commit")
    return begun


async def remove_strays(connection: Executor, strays: Sequence[tuple[int, str]]) -> None:
    """They would be in the way of the accounts' own. Whose they are has another, thrown away as well."""
    if strays:
        shards, accounts = [list(column) for column in zip(*strays, strict=True)]
        await connection.execute(load_sql("meter", "allow_removal"))
        await connection.execute(load_sql("meter", "delete_strays"), shards, accounts)
        await connection.execute(load_sql("meter", "refuse_removal"))


async def move(connection: Executor, moves: Sequence[Move], before: int, now: int) -> Mapping[int, bytes]:
    """Returns by new shard the digest of where its accounts come from. The caller's transaction is all of it."""
    await insert_rows(connection, now)
    columns = [list(column) for column in zip(*moves, strict=True)] or [[], [], []]
    await connection.execute(load_sql("meter", "insert_moving"), columns[0], columns[1], columns[2], timeout=NO_LIMIT_S)
    await move_rows(connection, {each.shard for each in moves})
    await connection.execute(load_sql("meter", "extend_shards"), before, now)
    rows = await connection.fetch(load_sql("meter", "record_moved"), before)
    await connection.execute(load_sql("meter", "clear_moving"))
    return {row["shard"]: row["digest"] for row in rows}


async def move_rows(connection: Executor, shards: Iterable[int]) -> None:
    """Events of before events had a key may change their shard, which is a change that is refused otherwise."""
    has_old = await connection.fetchval(load_sql("meter", "has_unidentified"), list(shards))
    if has_old:
        await connection.execute(load_sql("meter", "allow_unidentified"))
    await connection.execute(load_sql("meter", "move_accounts"), timeout=NO_LIMIT_S)
    if has_old:
        await connection.execute(load_sql("meter", "refuse_unidentified"))
