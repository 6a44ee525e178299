"""The end of the demo: what the database and the mail sink hold against what was produced."""

from collections import Counter

import asyncpg
from rich.console import Console
from rich.table import Table

from deploy.local.demo.ledger import MICRO, Ledger, NoticeKey
from deploy.local.mail import Inbox

BALANCES = """
SELECT account_id, resource, allocation, consumed, remaining, exhaustion, status, allowed, epoch
FROM projections.balances ORDER BY account_id, resource
"""
NOTICES = "SELECT account_id, resource, epoch, channel, threshold, outcome FROM notifier.notices"
EMAILS = "SELECT message_id, state FROM notifier.emails"
UNFINISHED = """
SELECT (SELECT count(*) FROM notifier.emails WHERE state = 'queued')
     + (SELECT count(*) FROM projections.outbox) + (SELECT count(*) FROM notifier.outbox)
"""
COUNTS = """
SELECT (SELECT count(*) FROM meter.events WHERE type < 10) AS events,
       (SELECT count(*) FROM meter.duplicates) AS duplicates,
       (SELECT count(*) FROM meter.rejections) AS rejections
"""
REASONS = "SELECT reason, count(*) FROM meter.rejections GROUP BY 1 ORDER BY 1"


async def find_faults(connection: "asyncpg.Connection[asyncpg.Record]", ledger: Ledger, mail: Inbox) -> list[str]:
    """Everything that differs from the demo's own books, in words; empty when all is as it must be."""
    counts = await connection.fetchrow(COUNTS)
    assert counts is not None
    faults = [
        *compare("usage events stored", counts["events"], ledger.produced),
        *compare("duplicates", counts["duplicates"], ledger.duplicates),
        *compare("rejections", counts["rejections"], ledger.bad),
    ]
    faults += balance_faults(await connection.fetch(BALANCES), ledger)
    faults += notice_faults(await connection.fetch(NOTICES), ledger)
    faults += mail_faults(await connection.fetch(EMAILS), mail)
    return faults


def balance_faults(rows: "list[asyncpg.Record]", ledger: Ledger) -> list[str]:
    got = {
        (row["account_id"], row["resource"]): tuple(
            int(row[c] * MICRO) for c in ("allocation", "consumed", "remaining")
        )
        for row in rows
    }
    wanted = {key: (book.allocation, book.used, book.remaining) for key, book in ledger.books.items()}
    return [f"balance of {key}: {got.get(key)}, must be {wanted.get(key)}" for key in sorted({*got, *wanted})
            if got.get(key) != wanted.get(key)]  # fmt: skip


def notice_faults(rows: "list[asyncpg.Record]", ledger: Ledger) -> list[str]:
    got = {NoticeKey(*(row[c] for c in NoticeKey._fields)) for row in rows}
    wanted = set(ledger.notices())
    return [f"notice missing: {key}" for key in sorted(wanted - got)] + [
        f"notice without cause: {key}" for key in sorted(got - wanted)
    ]


def mail_faults(rows: "list[asyncpg.Record]", mail: Inbox) -> list[str]:
    """Every email the notifier calls accepted is in the sink once, and nothing else is."""
    arrived = Counter(m.message_id for m in mail.mails)
    sent = Counter(row["message_id"] for row in rows if row["state"] == "accepted")
    failed = [
        f"email {row['message_id']} is {row['state']}" for row in rows if row["state"] not in ("accepted", "cancelled")
    ]
    return failed + [
        f"email {id}: arrived {arrived[id]} times, accepted {sent[id]}"
        for id in {*arrived, *sent}
        if arrived[id] != sent[id]
    ]


def compare(what: str, got: int, wanted: int) -> list[str]:
    return [] if got == wanted else [f"{what}: {got}, must be {wanted}"]


async def print_report(
    console: Console, connection: "asyncpg.Connection[asyncpg.Record]", banners: Counter[str], mails: int
) -> None:
    table = Table(title="Balances", title_justify="left")
    for name in ("account", "resource", "used", "of", "left", "%", "status", "allowed", "epoch"):
        table.add_column(name, justify="right" if name in ("used", "of", "left", "%", "epoch") else "left")
    for row in await connection.fetch(BALANCES):
        table.add_row(
            row["account_id"], row["resource"], plain(row["consumed"]), plain(row["allocation"]),
            plain(row["remaining"]), str(row["exhaustion"]), row["status"], "yes" if row["allowed"] else "no",
            str(row["epoch"]),
        )  # fmt: skip
    console.print(table)
    counts = await connection.fetchrow(COUNTS)
    assert counts is not None
    reasons = ", ".join(f"{row['reason']} {row['count']}" for row in await connection.fetch(REASONS))
    events = ", ".join(f"{name.split('.')[1]} {count}" for name, count in sorted(banners.items()))
    console.print(f"events stored  {counts['events']:,}")
    console.print(f"duplicates     {counts['duplicates']:,}")
    console.print(f"rejections     {counts['rejections']:,} ({reasons})")
    console.print(f"banner events  {sum(banners.values()):,} ({events})")
    console.print(f"emails         {mails:,}")


def plain(amount: object) -> str:
    text = f"{amount:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
