"""One fixed history for the looks of commands. Each step is over before the next begins, so figures stay the same."""

import shlex
from functools import partial

from aiokafka import AIOKafkaProducer

from meter.runtime.kafka import TopicAdmin
from meter.settings import MeterSettings
from schemas.topics import BALANCES, USAGE, partition_for
from tests.e2e.running import UNFINISHED, WAIT_S, Running
from tests.support.meter import wait_until_stored
from tests.support.waiting import until

FOLDED = """
SELECT bool_and(c.position = s.next_position - 1) FROM meter.shards s JOIN projections.cursors c USING (shard)
"""
TAKEN = "SELECT coalesce(sum(next_offset), 0) FROM notifier.cursors WHERE topic LIKE '%metering.balances'"
LONG = "research-and-development.team-17@agents.example.com:production"
REFUSED = "former.employee@example.com"
# What is typed at 80 columns while the history is made; what each prints is looked at like the rest.
OPEN = f"""
meter open acct-1 --contact owner@example.com --contact {REFUSED} --display-name 'Example Company'
meter open {LONG} --plan Team --yes
"""
CHANGE = """
meter grant acct-1 model_credits 100 --reason top_up --reference INV-1042 --event-id grant-1
meter grant acct-1 model_credits -5 --reason top_up --reference INV-1043
meter grant nobody-1 tool_runs 500 --reason top_up --reference INV-1044 --event-id grant-2
meter grant nobody-1 tool_runs 500 --reason top_up --reference INV-1044 --event-id grant-2 --yes
meter reverse acct-1 request-17 --amount 12.5 --reason outage --event-id reversal-1
meter reverse acct-1 request-17 --amount 5000 --reason outage
meter revoke acct-1 model_credits 10 --reason chargeback --reference T-17 --event-id revocation-1
meter accounts plan acct-1 team
meter accounts rename acct-1 'Example Company (Research)' --time-zone Europe/Berlin
meter accounts contacts acct-1 owner@example.com billing@example.com
meter accounts close acct-1 --yes
meter accounts reopen acct-1
meter rejections dismiss 2 --reason 'sent again by the gateway, ticket 4711' --by support-1
meter open acct-1 --plan free --contact owner@example.com
"""
BAD = (
    ("acct-1", '{"tool": "web-search", "runs": 1.5}', "bad-1"),
    ("acct-1", '{"tool": "\\u0000"}', "bad-2"),
    (LONG, '{"tool": "web-search", "runs": 20000}', "bad-3"),
)


def event(account: str, id: str, data: str, source: str = "//gateway.example.com") -> bytes:
    text = f'{{"specversion":"1.0","id":"{id}","source":"{source}","type":"usage.tool_run.v1","subject":"{account}"'
    return f'{text},"data":{data}}}'.encode()


async def use(running: Running) -> None:
    """Usage of each kind, one event after the other."""
    usage = running.usage
    for number, amount in enumerate(("5.25", "33", "21.123456")):
        await usage.model_inference(
            "acct-1", credits=amount, model="large-chat" if number else "small-chat-with-a-rather-long-name-v2",
            deployment="eu-1", input_tokens=812, output_tokens=96, event_id=f"request-{16 + number}",
        )  # fmt: skip
        await settle(running)
    for call in (
        usage.guardrail("acct-1", credits="1.5", guardrail="prompt-injection", event_id="request-20"),
        usage.custom_script("acct-1", credits="0.000001", script="nightly-report", event_id="request-21"),
        usage.tool_run("acct-1", tool="web-search", runs=5100, event_id="request-22"),
        usage.model_inference(LONG, credits="80", model="large-chat", event_id="request-23"),
    ):
        await call
        await settle(running)


async def send_foreign(running: Running) -> None:
    """What other producers do: records that break the contract, one in a wrong partition, usage of nobody's account."""
    settings = running.settings
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap) as producer:
        for account, data, id in BAD:
            place = partition_for(account.encode(), settings.partitions)
            value = event(account, id, data)
            await producer.send_and_wait(settings.topic(USAGE), value, account.encode(), partition=place)
            await settle(running)
        place = (partition_for(b"acct-1", settings.partitions) + 1) % settings.partitions
        value = event("acct-1", "elsewhere-1", '{"tool":"calculator"}')
        await producer.send_and_wait(settings.topic(USAGE), value, b"acct-1", partition=place)
        await settle(running)
    await running.usage.tool_run("nobody-2", tool="web-search", runs=3, event_id="request-24")
    await settle(running)


async def settle(running: Running) -> None:
    """Wait until all three services have taken and sent everything."""
    await running.usage.flush()
    await until(partial(is_settled, running), WAIT_S, "everything has gone all the way")


async def is_settled(running: Running) -> bool:
    """Asked in the order in which things go: what comes later has then seen what came before."""
    await wait_until_stored(running.pool, MeterSettings(**running.settings.model_dump()))
    for waiting in ("SELECT count(*) FROM meter.outbox", UNFINISHED):
        if await running.pool.fetchval(waiting):
            return False
    if not await running.pool.fetchval(FOLDED):
        return False
    async with TopicAdmin(running.settings) as admin:
        published = sum((await admin.end_offsets(BALANCES)).values())
    return bool(await running.pool.fetchval(TAKEN) == published and not await running.pool.fetchval(UNFINISHED))


def listed(lines: str) -> list[list[str]]:
    """The words of each command, as a shell takes them."""
    return [shlex.split(line) for line in lines.strip().splitlines()]
