"""The demo's story from outside of the containers: events over Kafka, letters in the catcher, the oracle at the end."""

import asyncio
import json
import urllib.request
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import asyncpg

from deploy.local.demo.__main__ import BLOCK_S, console, finish, wait_settled
from deploy.local.demo.ledger import Ledger
from deploy.local.demo.report import find_faults, print_report
from deploy.local.demo.story import SPENDER, Story
from deploy.local.demo.watch import Screen, Watch
from deploy.local.mail import Mail
from meter.client import AccountsProducer, UsageProducer
from meter.runtime.clock import SystemClock
from meter.runtime.kafka import Producer
from meter.runtime.settings import Settings
from projections.reader import BalanceReader
from tests.containers.stack import ComposeStack

PARTITIONS = Settings.model_fields["partitions"].default
HTTP_TIMEOUT_S = 10

Disturb = Callable[[], Awaitable[None]]


def get(host: str, port: int, path: str, headers: dict[str, str] | None = None) -> bytes:
    request = urllib.request.Request(f"http://{host}:{port}{path}", headers=headers or {})
    with urllib.request.urlopen(request, timeout=HTTP_TIMEOUT_S) as reply:
        return bytes(reply.read())


class CaughtMail:
    """What the mail catcher has, read over Mailpit's API; each mail is fetched once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._known: dict[str, Mail] = {}

    @property
    def mails(self) -> list[Mail]:
        listed = json.loads(get("127.0.0.1", self._port, "/api/v1/messages?limit=10000"))["messages"]
        for found in reversed(listed):
            if found["ID"] not in self._known:
                self._known[found["ID"]] = self._fetch(found)
        return list(self._known.values())

    def _fetch(self, found: dict[str, Any]) -> Mail:
        raw = get("127.0.0.1", self._port, f"/api/v1/message/{found['ID']}/raw")
        return Mail(found["From"]["Address"], tuple(to["Address"] for to in found["To"]), raw)


async def play(stack: ComposeStack, settings: Settings, kill_services: Disturb, kill_servers: Disturb) -> list[str]:
    """Every difference from the books. Services are killed beside the story, servers behind it."""
    screen, ledger, mail = Screen(), Ledger(), CaughtMail(stack.ports.mail)
    watch = Watch(screen, settings.kafka_bootstrap, mail)
    watching = asyncio.create_task(watch.run(PARTITIONS))
    try:
        await asyncio.gather(tell(stack, settings, screen, ledger), kill_services())
        await kill_servers()
        return await compare_books(stack, ledger, watch, mail)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def tell(stack: ComposeStack, settings: Settings, screen: Screen, ledger: Ledger) -> None:
    async def settled(account_id: str, resource: str) -> None:
        await wait_settled(pool, ledger, account_id, resource)

    async def grant(account_id: str, resource: str, amount: str) -> None:
        words = ["meter", "grant", account_id, resource, amount, "--reason", "top_up", "--reference", "DEMO-1"]
        await asyncio.to_thread(stack.compose, "run", "--rm", "--no-TTY", "support", *words)

    async with (
        asyncpg.create_pool(stack.dsn("credit_reader", "reader"), min_size=1, max_size=4) as pool,
        UsageProducer(settings, source="//demo.example.com/agents", block_s=BLOCK_S) as usage,
        AccountsProducer(settings, source="//demo.example.com/billing") as accounts,
        Producer(settings) as raw,
    ):
        reader, now = BalanceReader(pool), SystemClock().now
        await Story(screen, ledger, usage, accounts, raw, reader, settled, grant, now).play()


async def compare_books(stack: ComposeStack, ledger: Ledger, watch: Watch, mail: CaughtMail) -> list[str]:
    connection = await asyncpg.connect(stack.dsn("postgres", "superuser"))
    try:
        async with asyncpg.create_pool(stack.dsn("credit_reader", "reader"), min_size=1, max_size=4) as pool:
            await finish(connection, pool, ledger, watch, mail)
        faults = await find_faults(connection, ledger, mail)
        faults += find_console_faults(stack, ledger)
        await print_report(console(), connection, watch.banners, len(mail.mails))
    finally:
        await connection.close()
    return faults


def find_console_faults(stack: ComposeStack, ledger: Ledger) -> list[str]:
    """The console shows an account's owner what the books say."""
    token = stack.compose("exec", "--no-TTY", "console", "projections", "token", SPENDER).strip()
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    shown = json.loads(get("127.0.0.1", stack.ports.console, f"/v1/accounts/{SPENDER}/summary", headers))
    left = {found["resource"]: Decimal(found["remaining"]) for found in shown["resources"]}
    books = {resource: book.remaining for (account, resource), book in ledger.books.items() if account == SPENDER}
    return [
        f"the console shows {left.get(resource)} {resource} of {SPENDER}, must be {micro / 1_000_000}"
        for resource, micro in books.items()
        if left.get(resource) is None or left[resource] * 1_000_000 != micro
    ]
