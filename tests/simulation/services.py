"""The processes: the product's own plan, fold, decisions and mailer, between simulated servers.

Each is a coroutine that runs for ever and stops at places where it may be killed. What it remembers is lost with it.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from meter.allowance import Allowance
from meter.ingest import Ingest, UsageEnds
from meter.runtime.errors import TransientError
from meter.runtime.kafka import Batch
from notifier.decide import Thresholds
from notifier.mail.mailer import Mailer
from notifier.mail.verdict import Judgement
from notifier.notify import Notify
from notifier.render import Renderer
from notifier.settings import NotifierSettings
from schemas.records import Limits
from schemas.topics import ACCOUNTS, BALANCES, NOTIFICATIONS, REROUTED_HEADER, USAGE, WAITED_HEADER
from tests.simulation import folding
from tests.simulation.database import SHARDS, Held
from tests.simulation.mail import Ends, PlainRenderer, SimulatedSender
from tests.simulation.virtual import IDLE, pause

if TYPE_CHECKING:
    from tests.simulation.play import World

INPUTS: Final = (USAGE, ACCOUNTS)
LIMITS: Final = Limits(partitions=SHARDS)
ALLOWANCE: Final = Allowance()
THRESHOLDS: Final = Thresholds()
SETTINGS: Final = NotifierSettings(
    smtp_host="127.0.0.1", mail_from="credits@example.com", smtp_timeout_s=5, smtp_dot_timeout_s=60, mail_attempts=20
)
MOST_READ: Final = 8  # changes of a batch: of more the notifier makes a thread
Positions = dict[tuple[str, int], int]


class Nothing:
    """Takes whatever is measured or told, and keeps none of it."""

    def __getattr__(self, _name: str) -> "Nothing":
        return self

    def __call__(self, *_values: object, **_labels: object) -> "Nothing":
        return self

    def __enter__(self) -> None: ...

    def __exit__(self, *_error: object) -> None: ...


NOTHING: Final = cast(Any, Nothing())
RENDERER: Final = cast(Renderer, PlainRenderer())


async def run_meter(world: "World") -> None:
    store, broker = world.database.events, world.broker

    async def find_ends(batch: Batch) -> UsageEnds:
        return UsageEnds(broker.end(USAGE, batch.shard))

    ingest = Ingest(
        store, clock=world.service_clock, limits=LIMITS, allowance=ALLOWANCE, metrics=NOTHING, find_ends=find_ends
    )
    await read_shards(world, ingest, store, INPUTS, "meter has read")


async def read_shards(world: "World", work: Any, store: Any, topics: tuple[str, ...], place: str) -> None:
    """The loop of the meter and of the notifier: read what comes next of each shard, plan it, have it saved."""
    positions = await fetch_offsets(store, topics)
    while True:
        worked = False
        for shard in range(SHARDS):
            batch = read_batch(world, positions, topics, shard)
            if batch is None:
                continue
            worked = True
            await pause(place)
            try:
                [plan] = await work.plan([batch])
                saved = await work.save(plan)
            except TransientError:
                positions.update(await fetch_offsets(store, topics, [shard]))
                continue
            advance(world, positions, batch)
            work.note(batch, plan, saved)
        if not worked:
            await pause(IDLE)


async def fetch_offsets(store: Any, topics: tuple[str, ...], shards: list[int] | None = None) -> Positions:
    return dict(await store.fetch_offsets(topics, list(range(SHARDS)) if shards is None else shards))


def read_batch(world: "World", positions: Positions, topics: tuple[str, ...], shard: int) -> Batch | None:
    start = {topic: positions[topic, shard] for topic in topics}
    records = {
        topic: world.broker.read(topic, shard, at, world.rng.randint(1, MOST_READ)) for topic, at in start.items()
    }
    if not any(records.values()):
        return None
    end = {topic: at + len(records[topic]) for topic, at in start.items()}
    return Batch(shard, {topic: found for topic, found in records.items() if found}, start, end)


def advance(world: "World", positions: Positions, batch: Batch) -> None:
    for topic, end in batch.end.items():
        positions[topic, batch.shard] = end
        world.broker.commit(topic, batch.shard, end)


async def run_meter_relay(world: "World") -> None:
    """Sends on what was in a wrong partition, and once more what waited for its usage."""
    store = world.database.events
    while True:
        for shard in range(SHARDS):
            due = [held for held in store.held[shard] if is_due(world, shard, held)]
            if due:
                await publish(world, "meter relay", [partial(send_on, world, shard, held) for held in due])
                await world.database.commits.transact("meter relay", forget, store.held, shard, due)
        await pause(IDLE)


def is_due(world: "World", shard: int, held: Held) -> bool:
    return held.usage_end is None or world.database.events.shard(shard).offsets.usage >= held.usage_end


def send_on(world: "World", shard: int, held: Held) -> None:
    record = held.record
    header = REROUTED_HEADER if held.usage_end is None else WAITED_HEADER
    headers = [*(each for each in record.headers if each[0] != header), (header, f"{shard}/{record.offset}".encode())]
    key = (record.key or b"").decode()
    world.broker.append(record.topic, held.partition, key, record.value or b"", headers, record.timestamp_ms)


async def forget(outboxes: list[list[Any]], shard: int, sent: list[Any]) -> None:
    outboxes[shard] = [row for row in outboxes[shard] if not any(row is each for each in sent)]


async def publish(world: "World", name: str, sends: Sequence[Callable[[], object]]) -> None:
    """Raises TransientError where the reply is lost: the records are there, or the first of them."""
    await pause(f"{name} before publishing")
    lost = world.lost_replies.pop(name, None)
    for send in sends[: None if lost is None else lost]:
        send()
    if lost is not None:
        world.mattered["lose reply of publish"] += 1
        raise TransientError("the connection was lost")
    await pause(f"{name} behind publishing")


async def run_fold(world: "World") -> None:
    database = world.database
    while True:
        worked = False
        for shard in range(SHARDS):
            if shard in database.folds.republish and not folding.is_before_generation(database, shard):
                await database.commits.transact("projections", folding.republish, database, shard)
            if folding.find_range(database, shard, 1) is not None:
                worked = True
                most = world.rng.randint(1, 12)
                await database.commits.transact("projections", folding.fold, database, shard, most)
        if not worked:
            await pause(IDLE)


async def run_relay(world: "World") -> None:
    """The outbox of the projections. The shard's rows are locked meanwhile: there is one relay at a time."""
    broker = world.broker
    while True:
        for shard in range(SHARDS):
            rows = world.database.folds.outbox[shard][: world.rng.randint(1, 8)]
            if rows:
                sends = [partial(broker.append, BALANCES, row.shard, row.key, row.value) for row in rows]
                await publish(world, "relay", sends)
                await world.database.commits.transact("relay", forget, world.database.folds.outbox, shard, rows)
        await pause(IDLE)


async def run_notifier_relay(world: "World") -> None:
    while True:
        rows = world.database.notices.outbox[: world.rng.randint(1, 8)]
        if rows:
            sends = [partial(world.broker.append, NOTIFICATIONS, 0, row.key, row.value) for row in rows]
            await publish(world, "notifier relay", sends)
            await world.database.commits.transact("notifier relay", drop_events, world, rows)
        await pause(IDLE)


async def drop_events(world: "World", sent: list[Any]) -> None:
    store = world.database.notices
    store.outbox = [row for row in store.outbox if not any(row is each for each in sent)]


async def run_notifier(world: "World") -> None:
    store = world.database.notices
    world.recall()
    notify = Notify(
        store, thresholds=THRESHOLDS, renderer=RENDERER, clock=world.service_clock, metrics=NOTHING, on_saved=NOTHING
    )
    await read_shards(world, notify, store, (BALANCES,), "notifier has read")


async def run_mailer(world: "World") -> None:
    """One sender of the mailer, without the pauses of all sending that its gate makes."""
    store, ends = world.database.notices, Ends(world.broker)
    world.recall()
    mailer = Mailer(store, NOTHING, SETTINGS, world.service_clock, NOTHING, ends=ends, renderer=RENDERER, catch_up_s=0)
    sender = cast(Any, SimulatedSender(store, world.mail, ends, SETTINGS.smtp_dot_timeout_s + SETTINGS.claim_s))
    stop = asyncio.Event()
    while True:
        if not world.has_due_letter():
            await pause(IDLE)
            continue
        email = await store.claim(SETTINGS.claim_s)
        if email is None:
            continue
        ready = await mailer._prepare(email, stop)
        if isinstance(ready, Judgement):
            await mailer._record(email, ready)
        else:
            await mailer._attempt(sender, ready)


Run = Callable[["World"], Coroutine[Any, Any, None]]
SERVICES: Final[dict[str, Run]] = {
    "meter": run_meter,
    "meter relay": run_meter_relay,
    "projections": run_fold,
    "relay": run_relay,
    "notifier": run_notifier,
    "notifier relay": run_notifier_relay,
    "mailer": run_mailer,
}
# Of these two processes may run side by side; the relays and the fold hold a lock.
TWINS: Final = ("meter", "notifier", "mailer")
