"""Check 4, second half: every delivered email notice became one email per contact, and arrived, and repeats add up.

What counts as arrived is what the mail sink kept, by Message-ID.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import asyncpg
import orjson

from deploy.local.mail import Mail
from tests.faults.oracle.findings import Findings
from tests.faults.oracle.notices import CODES
from tests.faults.oracle.offsets import Books, read_records
from tests.faults.world import World

NOTIFICATIONS = "metering.notifications"
TOLD_AS = {"sent": "email.sent.v1", "failed": "email.failed.v1", "dropped": "email.failed.v1"}
EMAILS = """
SELECT e.email_id::text, e.recipient, e.message_id, e.state, e.ambiguous_attempts, e.reason, n.account_id, n.resource,
       n.epoch, n.threshold
FROM notifier.emails e JOIN notifier.notices n USING (notice_id)
"""
NOTICES = """
SELECT n.account_id, n.threshold, array_agg(e.recipient) FILTER (WHERE e.recipient IS NOT NULL) AS recipients
FROM notifier.notices n LEFT JOIN notifier.emails e USING (notice_id)
WHERE n.channel = 'email' AND n.outcome = 'delivered'
GROUP BY n.notice_id, n.account_id, n.threshold
"""


class EmailCheck:
    """`mails` gives what the sink has kept so far."""

    def __init__(
        self,
        world: World,
        books: Books,
        mails: Callable[[], Sequence[Mail]],
        refused: Mapping[str, int],
        findings: Findings,
    ) -> None:
        self._world = world
        self._books = books
        self._refused = refused
        self._found = findings
        self._mails = mails
        self._arrived: defaultdict[str, list[Mail]] = defaultdict(list)
        self._arrived_later: set[str] = set()

    async def run(self, connection: asyncpg.Connection, *, finished: bool = True) -> dict[str, str]:
        """State by id of email. `finished`: none may be waiting any more."""
        self._check_recipients(await connection.fetch(NOTICES))
        # The mailer may be at it: what came before the rows must be in them, what is in them must have come before now.
        for mail in self._mails():
            self._arrived[mail.message_id].append(mail)
        rows = await connection.fetch(EMAILS)
        self._arrived_later = {mail.message_id for mail in self._mails()}
        failed: Counter[str] = Counter()
        for row in rows:
            self._check_arrivals(row, self._arrived.pop(row["message_id"], []))
            if row["state"] == "failed":
                failed[row["recipient"]] += 1
            elif row["state"] == "dropped" and not self._was_untrue(row):
                self._found.add("emails_lost", "email dropped that was true", describe(row))
            elif row["state"] == "queued" and finished:
                self._found.add("emails_lost", "email still waiting", describe(row))
        for recipient, count in failed.items():
            if count > self._refused.get(recipient, 0):
                self._found.add("emails_lost", "email failed that nobody refused", f"{recipient}: {count}")
        for message_id in self._arrived:
            self._found.add("notices_doubled", "mail that nobody queued", message_id)
        self._found.figures["emails"] = len(rows)
        return {row["email_id"]: row["state"] for row in rows}

    def _check_recipients(self, notices: Sequence[Any]) -> None:
        for row in notices:
            contacts = self._world.accounts[self._world.index_of(row["account_id"])].contacts
            found = row["recipients"] or []
            # Contacts only grow, so whoever came first was there at the crossing.
            if contacts[:1] != tuple(name for name in contacts[:1] if name in found):
                detail = f"{row['account_id']} {row['threshold']} %: {found}"
                self._found.add("notices_missing", "notice without its email", detail)
            if not set(found) <= set(contacts) or len(set(found)) < len(found):
                self._found.add("notices_doubled", "email to the wrong people", f"{row['account_id']}: {found}")

    def _check_arrivals(self, row: Any, mails: list[Mail]) -> None:
        allowed = 1 if row["state"] == "sent" else 0
        if row["state"] == "sent" and row["message_id"] not in self._arrived_later:
            self._found.add("emails_lost", "email sent that never arrived", describe(row))
        over = len(mails) - allowed
        if over > 0:
            self._found.emails_ambiguous += over
        pending = row["state"] == "queued"  # its last attempt may still be waiting to be counted
        if over > row["ambiguous_attempts"] + pending:
            detail = f"{describe(row)}: arrived {len(mails)} times, ambiguous attempts {row['ambiguous_attempts']}"
            self._found.add("notices_doubled", "email arrived too often", detail)
        if len({(mail.content, mail.recipients) for mail in mails}) > 1:
            self._found.add("notices_doubled", "repeat with other bytes", describe(row))

    def _was_untrue(self, row: Any) -> bool:
        """A later epoch, or a reversal, may have made it so."""
        book = self._books.get((self._world.index_of(row["account_id"]), CODES[row["resource"]]))
        return book is not None and (book.epoch > row["epoch"] or book.reversals > 0)


def describe(row: Any) -> str:
    return f"{row['message_id']} to {row['recipient']}, {row['threshold']} %, {row['state']} ({row['reason']})"


async def check_told(
    connection: asyncpg.Connection,
    bootstrap: str,
    prefix: str,
    partitions: int,
    emails: Mapping[str, str],
    findings: Findings,
) -> None:
    """Everything that happened was told on the topic of notifications: at least once, and the same way each time."""
    told: defaultdict[str, set[str]] = defaultdict(set)
    banners: dict[tuple[str, str], tuple[int, str, Any]] = {}
    by_id: dict[str, bytes] = {}
    for shard in range(partitions):
        for record in read_records(bootstrap, prefix + NOTIFICATIONS, shard):
            event = orjson.loads(record.value())
            if by_id.setdefault(event["id"], record.value()) != record.value():
                findings.add("notices_doubled", "event told in two ways", event["id"])
            data = event["data"]
            if event["type"].startswith("email."):
                told[data["email_id"]].add(event["type"])
                continue
            key, place = (data["account_id"], data["resource"]), data["position"]
            if key not in banners or place > banners[key][0]:
                banners[key] = (place, event["type"], data.get("threshold"))
    for email_id, state in emails.items():
        for kind in {"email.queued.v1", TOLD_AS.get(state, "email.queued.v1")} - told[email_id]:
            findings.add("notices_missing", "event never told", f"{kind} of {email_id}")
    await compare_banners(connection, banners, findings)
    findings.figures["notifications"] = len(by_id)


async def compare_banners(
    connection: asyncpg.Connection, told: Mapping[tuple[str, str], tuple[int, str, Any]], findings: Findings
) -> None:
    """Who follows the events sees the banners that the tables have."""
    rows = await connection.fetch("SELECT account_id, resource, threshold FROM notifier.banners")
    shown = {(row["account_id"], row["resource"]): row["threshold"] for row in rows}
    for key in shown.keys() | told.keys():
        _, kind, threshold = told.get(key, (0, "banner.cleared.v1", None))
        if shown.get(key) != (None if kind == "banner.cleared.v1" else threshold):
            findings.add(
                "notices_missing", "banner not told", f"{key}: shown {shown.get(key)}, told {kind} {threshold}"
            )
