"""A small log with everything in it, and an intruder who changes it at random as superuser, triggers off."""

import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import asyncpg

from meter.anchors import ShardHead, render_anchor
from meter.plan import AppendPlan
from meter.runtime.postgres import Executor, Pool, load_sql
from meter.store.anchored import AnchorAudit
from meter.store.audit import audit_shard, check_codes, list_shards
from meter.store.damage import Finding
from meter.store.events import PostgresEventStore
from meter.store.rehash import hash_batches
from schemas.records import Outcome
from schemas.topics import ACCOUNTS, USAGE
from tests.contract.rows import MOMENT, opened, plan, rejected, rerouted, reversal, usage

SHARDS = 2
BATCHES = 6
Values = list[tuple[int, bytes | None]]

# Every column of every table the check vouches for.
TABLES = (
    "events",
    "batches",
    "duplicates",
    "rejections",
    "gaps",
    "rerouted",
    "reversals",
    "waiting",
    "shards",
    "event_types",
    "resources",
)
KEYS = {
    "events": ("shard", "position"),
    "batches": ("shard", "batch"),
    "duplicates": ("shard", "topic", "kafka_offset"),
    "rejections": ("rejection_id",),
    "gaps": ("shard", "topic", "from_offset"),
    "rerouted": ("shard", "topic", "kafka_offset"),
    "reversals": ("shard", "position"),
    "waiting": ("shard", "topic", "kafka_offset"),
}


async def fill(pool: Pool) -> None:
    """Batches with events, openings, repeats, rejections, gaps, records sent on, reversals; one has no events, and of
    the last the rejections are packed."""
    await pool.execute(load_sql("meter", "insert_shards"), SHARDS)
    store = PostgresEventStore(pool)
    for shard in range(SHARDS):
        for number in range(BATCHES):
            await store.append(make_plan(shard, number))


def make_plan(shard: int, number: int) -> AppendPlan:
    at, offset, account = MOMENT + timedelta(seconds=number), number * 8, number * 4
    if number == BATCHES - 2:
        results: list[Outcome] = [rejected(USAGE, offset, key=None)]
    else:
        event = usage(offset, amount=number + 1, name=f"model-{number}")
        packed = number == BATCHES - 1
        results = [
            event,
            usage(offset + 1, type=4, resource=2, extensions='{"trace":"ä"}', account_id=f"acc-{number}"),
            event._replace(offset=offset + 2),
            rejected(USAGE, offset + 3, headers=[("ce_id", b"1"), ("x", None)], value=b"\x00\xff"),
            rerouted(USAGE, offset + 4),
            *([event._replace(offset=offset + 5)] if packed else ()),
            usage(offset + 6, source="/example/other"),
            *([rejected(USAGE, offset + 7)] if packed else ()),
            opened(account, account_id=f"acc-{shard}-{number}"),
            rejected(ACCOUNTS, account + 1),
            reversal(account + 2, 1, event.event_id),
            reversal(account + 3, 1, "request 1"),
        ]
    return plan(
        *results, shard=shard, start=(offset, account), end=(offset + 8, account + 4), at=at,
        usage_end=offset + 9, room=0 if number == BATCHES - 1 else None,
    )  # fmt: skip


async def fetch_anchors(database: Pool | Executor) -> Values:
    """What the meter would have published after every second batch, and at the end."""
    rows = await database.fetch(
        "SELECT shard, batch, last_position, hash, recorded_at FROM meter.batches WHERE batch % 2 = 0 ORDER BY 1, 2"
    )
    return [(offset, render_anchor(ShardHead(*row)).value) for offset, row in enumerate(rows)]


async def find_damage(connection: Executor, anchors: Values) -> list[Finding]:
    """All of `meter verify` on one connection, within the transaction that is open on it."""
    findings = await check_codes(connection)
    for size in await list_shards(connection):
        findings += (await audit_shard(connection, size.shard)).findings
    audit = AnchorAudit(connection)
    await audit.check(anchors)
    return findings + audit.findings()


class Intruder:
    """Each method makes one change and says what it did, or "" where the draw changed nothing."""

    def __init__(self, connection: Executor, seed: int) -> None:
        self._connection = connection
        self._random = random.Random(seed)
        self._columns: dict[str, list[tuple[str, str]]] = {}
        self.ways: list[Callable[[], Awaitable[str]]] = [
            self.change, self.change, self.change, self.change, self.delete, self.swap, self.insert, self.cut,
            self.rewrite,
        ]  # fmt: skip

    async def prepare(self) -> None:
        """Triggers off, and checks out of the way: an intruder who owns the database can do both."""
        for table in TABLES:
            rows = await self._connection.fetch(
                "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
                "WHERE attrelid = $1::text::regclass AND attnum > 0",
                f"meter.{table}",
            )
            self._columns[table] = [(row[0], row[1]) for row in rows]
            for name in await self._connection.fetch(
                "SELECT conname FROM pg_constraint WHERE conrelid = $1::text::regclass AND contype = 'c'",
                f"meter.{table}",
            ):
                await self._connection.execute(f'ALTER TABLE meter.{table} DROP CONSTRAINT "{name[0]}"')
        await self._connection.execute("ALTER TABLE meter.rejections ALTER rejection_id DROP IDENTITY")
        await self._connection.execute("SET session_replication_role = replica")

    async def tamper(self) -> str:
        """One change that took place."""
        while True:
            way = self._random.choice(self.ways)
            savepoint = self._connection.transaction()
            await savepoint.start()
            try:
                done = await way()
            except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError):
                done = ""  # a unique index was in the way, or the column holds no such value
            if done:
                await savepoint.commit()
                return done
            await savepoint.rollback()

    async def pick(self, table: str, count: int = 1) -> list[str]:
        rows = await self._connection.fetch(f"SELECT ctid::text FROM meter.{table} ORDER BY ctid")
        return self._random.sample([row[0] for row in rows], count)

    async def change(self) -> str:
        """One column of one row, by a byte, a digit or a microsecond."""
        table = self._random.choice(TABLES)
        column, kind = self._random.choice(self._columns[table])
        [row] = await self.pick(table)
        before = await self._connection.fetchval(f"SELECT {column}::text FROM meter.{table} WHERE ctid = '{row}'")
        text = self.alter(before, kind)
        if text == before:
            return ""
        await self._connection.execute(
            f"UPDATE meter.{table} SET {column} = $1::text::{kind} WHERE ctid = '{row}'", text
        )
        after = await self._connection.fetchval(
            f"SELECT count(*) FROM meter.{table} WHERE {column}::text IS NOT DISTINCT FROM $1::text AND ctid = '{row}'",
            before,
        )
        return "" if after else f"changed meter.{table}.{column} of {row} from {before} to {text}"

    def alter(self, text: str | None, kind: str) -> str | None:
        draw = self._random
        if text is None:
            return {"smallint": "1", "json": "{}", "bytea": "\\x00", "int8multirange": "{[7,9)}"}.get(
                kind, "2026-03-01T12:00:00Z"
            )
        if kind in ("bigint", "integer", "smallint"):
            return str(int(text) + draw.choice([-1, 1, 2, 10]))
        if kind == "bytea":
            raw = bytearray.fromhex(text[2:]) or bytearray(1)
            raw[draw.randrange(len(raw))] ^= 1 << draw.randrange(8)
            return "\\x" + raw.hex()
        if kind == "uuid":
            at = draw.choice([index for index, char in enumerate(text) if char != "-"])
            return text[:at] + draw.choice("0123456789abcdef") + text[at + 1 :]
        if kind.startswith("timestamp"):  # 2026-03-01 12:30:15.123456+00
            moment = text.removesuffix("+00")
            return (moment[:-1] + str(draw.randrange(10)) if "." in moment else moment + ".000001") + "+00"
        if kind == "json":
            return draw.choice([text + " ", text.replace(":", ": ", 1), text.replace("e", "f", 1)])
        if kind == "int8multirange":
            return draw.choice(["{}", "{[7,9)}", text.replace(",", "0,", 1)])
        if kind == "jsonb":
            return '[["ce_id", "Mg=="]]'
        at = draw.randrange(len(text) + 1)
        return text[:at] + draw.choice("abc€") + text[at + draw.randrange(2) :]

    async def delete(self) -> str:
        table = self._random.choice(TABLES)
        [row] = await self.pick(table)
        await self._connection.execute(f"DELETE FROM meter.{table} WHERE ctid = '{row}'")
        return f"deleted {row} of meter.{table}"

    async def swap(self) -> str:
        """The values of two rows, key columns too."""
        table = self._random.choice(TABLES)
        column, _kind = self._random.choice(self._columns[table])
        first, second = await self.pick(table, 2)
        values = [
            await self._connection.fetchval(f"SELECT {column} FROM meter.{table} WHERE ctid = '{row}'")
            for row in (first, second)
        ]
        if values[0] == values[1] or column in KEYS.get(table, ()) or table in ("shards", "event_types", "resources"):
            return ""
        for row, value in zip((first, second), reversed(values), strict=True):
            await self._connection.execute(f"UPDATE meter.{table} SET {column} = $1 WHERE ctid = '{row}'", value)
        return f"swapped {column} of {first} and {second} of meter.{table}"

    async def insert(self) -> str:
        """A copy of a row under another key."""
        table = self._random.choice(list(KEYS))
        [row] = await self.pick(table)
        key = KEYS[table][-1]
        changed = {key: f"{key} + {self._random.choice([1, 2, 3, 50])}"}
        if table == "events":
            changed |= {"event_key": "sha256(event_key)"}
        if table == "rejections":
            changed["kafka_offset"] = f"kafka_offset + {self._random.choice([1, 2, 60])}"
        names = [name for name, _ in self._columns[table]]
        values = [changed.get(name, name) for name in names]
        await self._connection.execute(
            f"INSERT INTO meter.{table} ({', '.join(names)}) "
            f"SELECT {', '.join(values)} FROM meter.{table} WHERE ctid = '{row}'"
        )
        return f"inserted a copy of {row} into meter.{table}: {changed}"

    async def cut(self) -> str:
        """The tail, without a trace in the database: as if the last batches had never been."""
        shard, keep = self._random.randrange(SHARDS), self._random.randrange(BATCHES)
        await cut_tail(self._connection, shard, keep)
        return f"cut shard {shard} after batch {keep}"

    async def rewrite(self) -> str:
        """An amount, and every hash from there on, so that the chain is whole again."""
        shard = self._random.randrange(SHARDS)
        position = await self._connection.fetchval(
            "SELECT position FROM meter.events WHERE shard = $1 ORDER BY md5(position::text || $2) LIMIT 1",
            shard, str(self._random.random()),
        )  # fmt: skip
        await rewrite_history(self._connection, shard, position)
        return f"rewrote shard {shard} from position {position} on"


async def cut_tail(connection: Executor, shard: int, keep: int) -> None:
    row = await connection.fetchrow(load_sql("meter", "fetch_link"), shard, keep + 1)
    batch, position, usage_to, accounts_to, head, *_ = row or (0, 0, 0, 0, bytes(32))
    await connection.execute("DELETE FROM meter.batches WHERE shard = $1 AND batch > $2", shard, batch)
    await connection.execute("DELETE FROM meter.events WHERE shard = $1 AND position > $2", shard, position)
    await connection.execute("DELETE FROM meter.reversals WHERE shard = $1 AND position > $2", shard, position)
    for table, column in (
        ("duplicates", "kafka_offset"),
        ("rejections", "kafka_offset"),
        ("gaps", "from_offset"),
        ("rerouted", "kafka_offset"),
        ("waiting", "kafka_offset"),
    ):
        await connection.execute(
            f"DELETE FROM meter.{table} WHERE shard = $1 "
            f"AND {column} >= CASE WHEN topic = 'metering.usage' THEN $2::bigint ELSE $3::bigint END",
            shard, usage_to, accounts_to,
        )  # fmt: skip
    await connection.execute(
        "UPDATE meter.shards SET next_batch = $2, next_position = $3, usage_offset = $4, accounts_offset = $5, "
        "head = $6 WHERE shard = $1",
        shard, batch + 1, position + 1, usage_to, accounts_to, head,
    )  # fmt: skip


async def rewrite_history(connection: Executor, shard: int, position: int) -> None:
    await connection.execute(
        "UPDATE meter.events SET amount = amount + 1 WHERE shard = $1 AND position = $2", shard, position
    )
    batches = await connection.fetch("SELECT batch FROM meter.batches WHERE shard = $1 ORDER BY batch", shard)
    head = bytes(32)
    for [batch] in batches:
        await connection.execute(
            "UPDATE meter.batches SET previous = $3 WHERE shard = $1 AND batch = $2", shard, batch, head
        )
        [row] = await hash_batches(connection, shard, batch, batch)
        head = row.hash
        await connection.execute(
            "UPDATE meter.batches SET hash = $3 WHERE shard = $1 AND batch = $2", shard, batch, head
        )
    await connection.execute("UPDATE meter.shards SET head = $2 WHERE shard = $1", shard, head)
