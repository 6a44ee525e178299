"""What is left to do when an account is forgotten: its key was thrown away in the transaction that stored the event.

The account goes on the list of the forgotten, outside the database, so that a restored backup forgets it again; then
its refused records lose their bytes, wherever they are. All of it may be done twice. Processes do it for the shards
they have.
"""

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple
from uuid import UUID, uuid5

from meter.blanking import Refused, blank_all
from meter.runtime.failures import explain, is_transient, name_dependency
from meter.runtime.kafka import Message, Producer
from meter.runtime.log import get_logger
from meter.runtime.postgres import Pool, load_sql, transpose
from meter.runtime.process.health import Health
from meter.runtime.waiting import wait_for
from schemas.build import STRUCTURED_HEADERS, encode_event
from schemas.identity import OWN_SOURCE
from schemas.inputs import AccountForgotten
from schemas.outputs import ForgottenListed
from schemas.topics import ACCOUNTS, ANCHORS

log = get_logger("forgetting")

FORGOTTEN: Final = "account.forgotten.v1"
FORGOTTEN_LISTED: Final = "forgotten.listed.v1"
AGAIN_SOURCE: Final = "/credit-meter/forgotten-again"  # of events that stand for ones a restore has lost
AGAIN_REASON: Final = "on the list of the forgotten, and not in the log"
# Namespace of the ids; never changes: an account is listed once, however often it is published.
NAMESPACE: Final = UUID("0b7c6c0e-55a9-5a53-9a66-0d2a3f2f6e0b")
POLL_S: Final = 5.0  # an idle meter does next to nothing
# Refused records that are looked at in one go: one of packed records may be a MiB, and unpacks to many times as much.
LOOKED_ROWS: Final = 2_000
LOOKED_BYTES: Final = 8 * 2**20
# How often, and with what pause, it is asked whether appends have ended; then the next round begins anew.
APPEND_LOOKS: Final = 50
APPEND_PAUSE_S: Final = 0.1


class Forgotten(NamedTuple):
    shard: int
    account_id: str
    forgotten_at: datetime
    is_in_log: bool


class Forgetting:
    """The loop. A failure stops nothing: the next round does what is left."""

    name = "forgetting"

    def __init__(
        self,
        pool: Pool,
        producer: Producer,
        shards: Callable[[], Collection[int]],
        health: Health,
        *,
        poll_s: float = POLL_S,
    ) -> None:
        self._pool = pool
        self._producer = producer
        self._shards = shards
        self._health = health
        self._poll_s = poll_s

    async def run(self, stop: asyncio.Event) -> None:
        while not await wait_for(stop, self._poll_s):
            await self.forget_all(stop)

    async def forget_all(self, stop: asyncio.Event | None = None) -> None:
        stop = stop or asyncio.Event()
        try:
            rows = await self._pool.fetch(load_sql("meter", "fetch_forgotten"), sorted(self._shards()))
            if rows and not await wait_for_appends(self._pool, stop):
                if not stop.is_set():
                    log.warning(
                        "forgetting_failed", dependency="postgres", detail="what appends to the log does not end"
                    )
                return
            for row in rows:
                if stop.is_set():
                    return
                await self._forget(Forgotten(*row))
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("forgetting_failed", dependency=name_dependency(error), detail=explain(error))

    async def _forget(self, account: Forgotten) -> None:
        await self._producer.publish([render_listed(account)])
        self._health.metrics.published.labels(ANCHORS).inc()
        if not account.is_in_log:
            await self._producer.publish([render_again(account)])
        blanked = await blank_rejections(self._pool, account.account_id)
        await self._pool.execute(load_sql("meter", "mark_cleared"), account.shard, account.account_id)
        log.info("account_forgotten", shard=account.shard, rejections=blanked)


async def wait_for_appends(pool: Pool, stop: asyncio.Event) -> bool:
    """Whether the transactions that append at this moment end soon. What they refuse has its numbers, but is not to be
    seen before: who looks meanwhile misses it, and an account that is cleared is never looked for again."""
    begun = await find_appending(pool)
    for _ in range(APPEND_LOOKS):
        if not begun or await wait_for(stop, APPEND_PAUSE_S):
            break
        begun &= await find_appending(pool)
    return not begun


async def find_appending(pool: Pool) -> set[str]:
    return {row["virtualtransaction"] for row in await pool.fetch(load_sql("meter", "find_appending"))}


async def blank_rejections(pool: Pool, account_id: str) -> int:
    """Of every shard: a record may have been refused in a partition that is not its account's. How many changed."""
    last = await pool.fetchval(load_sql("meter", "find_last_rejection")) or 0
    after = changed = 0
    while upto := await pool.fetchval(load_sql("meter", "find_refused_upto"), after, last, LOOKED_ROWS, LOOKED_BYTES):
        rows = await pool.fetch(load_sql("meter", "find_refused"), after, upto, account_id.encode())
        found = {row["rejection_id"]: Refused(*row) for row in rows}
        # In a thread: unpacking and searching takes seconds, and the loop has heartbeats to send.
        blanked = await asyncio.to_thread(blank_all, found.values(), account_id)
        read = [digest_of(found[row.rejection_id]) for row in blanked]
        left = [(row.shard, row.rejection_id, row.detail, row.key, row.value, row.headers) for row in blanked]
        if left:
            done = await pool.execute(load_sql("meter", "blank_rejections"), *transpose(left, 6), read)
            written = int(done.rpartition(" ")[2])
            changed += written
            if written < len(left):
                continue  # another account was taken out of the others meanwhile: they are looked at again
        after = upto
    return changed


def digest_of(row: Refused) -> bytes:
    """Of its value, by which it is found as it was read."""
    return sha256(row.value or b"").digest()


def render_listed(account: Forgotten) -> Message:
    """The same account always gives the same id."""
    data = ForgottenListed(account_id=account.account_id, shard=account.shard, forgotten_at=account.forgotten_at)
    event_id = str(uuid5(NAMESPACE, account.account_id))
    value = encode_event(
        FORGOTTEN_LISTED, account.account_id, data, event_id=event_id, time=account.forgotten_at, source=OWN_SOURCE
    )
    return Message(ANCHORS, account.account_id, value, headers=STRUCTURED_HEADERS)


def render_again(account: Forgotten) -> Message:
    """The event that read models forget by, once more: the restored log has none."""
    event_id = str(uuid5(NAMESPACE, f"again/{account.account_id}/{account.forgotten_at.isoformat()}"))
    value = encode_event(
        FORGOTTEN,
        account.account_id,
        AccountForgotten(reason=AGAIN_REASON),
        event_id=event_id,
        time=account.forgotten_at,
        source=AGAIN_SOURCE,
    )
    return Message(ACCOUNTS, account.account_id, value, account.shard, STRUCTURED_HEADERS)
