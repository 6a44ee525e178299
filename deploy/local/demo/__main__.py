"""`make demo`: the whole product in about a minute on this machine, checked against independent books at the end.

Starts an embedded Postgres, broker and mail sink, runs the three services as separate processes, plays the story and
ends by itself. Exit codes: 0 all as it must be, 1 something differs, 3 the servers cannot be had here.

Example: python -m deploy.local.demo --kafka apache
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
from rich.console import Console

from deploy.local.child import UnavailableError
from deploy.local.demo.ledger import Ledger
from deploy.local.demo.report import UNFINISHED, find_faults, print_report
from deploy.local.demo.story import SPENDER, Story
from deploy.local.demo.watch import Screen, Watch
from deploy.local.mail import Inbox
from deploy.local.platform import DATABASE, Platform, console_lines, run_platform
from deploy.local.services import ServiceFailedError, run_command
from meter.client import AccountsProducer, UsageProducer
from meter.runtime.clock import SystemClock
from meter.runtime.kafka import Producer
from meter.runtime.settings import Settings
from projections.reader import BalanceReader

LOGS = Path(".local/demo")
SETTLE_TIMEOUT_S = 60
BLOCK_S = 120  # the demo waits for a slow machine rather than end
POLL_S = 0.02


class NotSettledError(Exception):
    """What was produced did not show in time."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.demo", description=__doc__.splitlines()[0])
    parser.add_argument("--kafka", choices=("embedded", "apache", "testcontainers"), default="embedded")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    screen = Screen()
    screen.say("start", "Postgres, broker, mail sink, meter, projections, notifier, console")
    try:
        with run_platform(LOGS, kafka=options.kafka) as platform:
            screen.say("ready", "; ".join(f"{name}: {choice}" for name, choice in platform.addresses.picked.items()))
            print("\n".join(console_lines(platform, SPENDER)), flush=True)
            print("Both end with the demo; `make dev` leaves them running.", flush=True)
            faults = asyncio.run(play(screen, platform))
            screen.say("stop", "services drain")
    except UnavailableError as error:
        print(f"the servers cannot be had here: {error}", file=sys.stderr)
        return 3
    except (ServiceFailedError, NotSettledError) as error:
        print(f"{error}\nlogs of the services are in {LOGS}", file=sys.stderr)
        return 1
    for fault in faults:
        print(f"WRONG  {fault}", file=sys.stderr)
    print("Balances, notices and emails equal what was produced." if not faults else f"{len(faults)} differences.")
    return 1 if faults else 0


async def play(screen: Screen, platform: Platform) -> list[str]:
    ledger = Ledger()
    watch = Watch(screen, platform.addresses.kafka_bootstrap, platform.mail)
    settings = settings_of(platform)
    connection = await asyncpg.connect(platform.addresses.dsn(DATABASE))
    pool = await asyncpg.create_pool(platform.addresses.dsn(DATABASE, "credit_reader"), min_size=1, max_size=4)
    watching = asyncio.create_task(watch.run(platform.partitions))
    try:
        async with (
            UsageProducer(settings, source="//demo.example.com/agents", block_s=BLOCK_S) as usage,
            AccountsProducer(settings, source="//demo.example.com/billing") as accounts,
            Producer(settings) as raw,
        ):
            reader = BalanceReader(pool)

            async def settled(account_id: str, resource: str) -> None:
                await wait_settled(pool, ledger, account_id, resource)

            async def cleared() -> bool:
                return watch.banners["banner.cleared.v1"] > 0

            async def grant(account_id: str, resource: str, amount: str) -> None:
                why = ("--reason", "top_up", "--reference", "DEMO-1")
                command = ("meter", "grant", account_id, resource, amount, *why)
                await asyncio.to_thread(run_command, command, platform.admin)
                # Else what is used next may raise it again before anybody was told that it is gone.
                await until(cleared, "the banner is cleared")

            await Story(screen, ledger, usage, accounts, raw, reader, settled, grant, SystemClock().now).play()
        await finish(connection, pool, ledger, watch, platform.mail)
        faults = await find_faults(connection, ledger, platform.mail)
        await print_report(console(), connection, watch.banners, len(platform.mail.mails))
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await pool.close()
        await connection.close()
    return faults


async def finish(
    connection: "asyncpg.Connection[asyncpg.Record]",
    pool: "asyncpg.Pool[asyncpg.Record]",
    ledger: Ledger,
    watch: Watch,
    mail: Inbox,
) -> None:
    """Wait until everything produced has gone all the way: balances, outboxes, emails."""
    for account_id, resource in ledger.books:
        await wait_settled(pool, ledger, account_id, resource)

    async def rejected() -> bool:
        return bool(await connection.fetchval("SELECT count(*) FROM meter.rejections") >= ledger.bad)

    async def notified() -> bool:
        wanted = sum(1 for _ in ledger.notices())
        return bool(await connection.fetchval("SELECT count(*) FROM notifier.notices") >= wanted)

    async def finished() -> bool:
        return await connection.fetchval(UNFINISHED) == 0 and watch.mails_shown == len(mail.mails)

    for condition in (rejected, notified, finished):
        await until(condition, condition.__name__)


async def wait_settled(pool: "asyncpg.Pool[asyncpg.Record]", ledger: Ledger, account_id: str, resource: str) -> None:
    async def shown() -> bool:
        remaining = await pool.fetchval(
            "SELECT (remaining * 1000000)::bigint FROM projections.balances WHERE account_id = $1 AND resource = $2",
            account_id,
            resource,
        )
        return bool(remaining == ledger.books[account_id, resource].remaining)

    await until(shown, f"the balance of {account_id}, {resource}")


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    try:
        async with asyncio.timeout(SETTLE_TIMEOUT_S):
            while not await condition():  # noqa: ASYNC110  # the condition is in another process
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise NotSettledError(f"{what}: not as it must be after {SETTLE_TIMEOUT_S} s") from None


def console() -> Console:
    """As wide as the terminal; in a pipe wide enough for the table."""
    return Console() if sys.stdout.isatty() else Console(width=120)


def settings_of(platform: Platform) -> Settings:
    return Settings.model_validate(
        {name: value for name, value in platform.admin.items() if name in Settings.model_fields}
    )


if __name__ == "__main__":
    sys.exit(main())
