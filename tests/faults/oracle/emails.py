"""Check 4, second half: letters arrived as often as the notifier says, and everybody knows what they should know.

What counts as arrived is what the mail sink kept, by Message-ID. A contact should know the highest line that a balance
reaches now, unless their letters were refused or given up.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import asyncpg
import orjson

from deploy.local.mail import Mail
from tests.faults.oracle.findings import Findings
from tests.faults.oracle.offsets import Books, read_records
from tests.faults.oracle.published import CODES
from tests.faults.world import World

NOTIFICATIONS = "metering.notifications"
QUEUED, ENDED = "email.queued.v2", "email.ended.v2"
EMAILS = """
SELECT e.email_id::text, e.account_id, e.recipient, e.message_id, e.state, e.ambiguous_attempts, e.reason, e.lines
FROM notifier.emails e
"""
UNTOLD = """
SELECT c.account_id, c.contact, b.resource, b.line, coalesce(t.level, 0) AS level
FROM notifier.contacts c
JOIN notifier.balances b USING (account_id)
LEFT JOIN notifier.told t ON t.account_id = c.account_id AND t.resource = b.resource AND t.contact = c.contact
WHERE c.is_contact AND NOT c.refused AND b.line > greatest(t.level, t.given_up, 0)
  AND NOT EXISTS (SELECT FROM notifier.emails e
                  WHERE e.account_id = c.account_id AND e.recipient = c.contact AND e.state = 'queued')
"""
UNHEARD = """
SELECT t.account_id, t.contact, t.resource, t.level
FROM notifier.told t
WHERE t.level > 0 AND NOT EXISTS (
    SELECT FROM notifier.emails e, jsonb_array_elements(e.lines) AS l
    WHERE e.account_id = t.account_id AND e.state IN ('accepted', 'presumed')
      AND l ->> 'resource' = t.resource AND (l ->> 'line')::int >= t.level)
"""
CONTACTS = "SELECT account_id, array_agg(contact) AS contacts FROM notifier.contacts WHERE is_contact GROUP BY 1"


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
        self._check_contacts(await connection.fetch(CONTACTS))
        for row in await connection.fetch(UNTOLD):
            if self._books[self._world.index_of(row["account_id"]), CODES[row["resource"]]].closed:
                continue  # nothing is owed, and at the reopening again
            detail = f"{row['contact']}: {row['resource']} at {row['line']} %, told {row['level']} %"
            self._found.add("emails_lost", "contact who is owed a letter and has none on its way", detail)
        for row in await connection.fetch(UNHEARD):
            detail = f"{row['contact']}: {row['resource']} {row['level']} %"
            self._found.add("emails_lost", "line that counts as told and was in no letter", detail)
        # The mailer may be at it: what came before the rows must be in them, what is in them must have come before now.
        for mail in self._mails():
            self._arrived[name_of(mail.message_id)].append(mail)
        rows = await connection.fetch(EMAILS)
        self._arrived_later = {name_of(mail.message_id) for mail in self._mails()}
        failed: Counter[str] = Counter()
        for row in rows:
            self._check_arrivals(row, self._arrived.pop(row["email_id"], []))
            if row["state"] in ("refused", "given_up"):
                failed[row["recipient"]] += 1
            elif row["state"] == "queued" and finished:
                self._found.add("emails_lost", "email still waiting", describe(row))
        for recipient, count in failed.items():
            if count > self._refused.get(recipient, 0):
                self._found.add("emails_lost", "email failed that nobody refused", f"{recipient}: {count}")
        for email_id in self._arrived:
            self._found.add("notices_doubled", "mail that nobody queued", email_id)
        self._found.figures["emails"] = len(rows)
        return {row["email_id"]: row["state"] for row in rows}

    def _check_contacts(self, rows: Sequence[Any]) -> None:
        """The notifier writes to the contacts of the account, and to nobody else."""
        found = {row["account_id"]: set(row["contacts"]) for row in rows}
        for account in self._world.accounts:
            wanted = set(account.contacts)
            if account.name in found and not found[account.name] <= wanted:
                self._found.add(
                    "notices_doubled", "email to the wrong people", f"{account.name}: {found[account.name]}"
                )

    def _check_arrivals(self, row: Any, mails: list[Mail]) -> None:
        allowed = 1 if row["state"] == "accepted" else 0
        if row["state"] == "accepted" and row["email_id"] not in self._arrived_later:
            self._found.add("emails_lost", "email accepted that never arrived", describe(row))
        over = len(mails) - allowed
        if over > 0:
            self._found.emails_ambiguous += over
        pending = row["state"] == "queued"  # its last attempt may still be waiting to be counted
        if over > row["ambiguous_attempts"] + pending:
            detail = f"{describe(row)}: arrived {len(mails)} times, ambiguous attempts {row['ambiguous_attempts']}"
            self._found.add("notices_doubled", "email arrived too often", detail)
        by_id: defaultdict[str, set[Any]] = defaultdict(set)
        for mail in mails:
            by_id[mail.message_id].add((mail.content, mail.recipients))
        if any(len(contents) > 1 for contents in by_id.values()):
            self._found.add("notices_doubled", "repeat with other bytes", describe(row))


def name_of(message_id: str) -> str:
    """The id of the letter: its Message-ID is <id@domain>, after a lost reply in a new epoch <id.2@domain>."""
    return message_id.strip("<>").partition("@")[0].partition(".")[0]


def describe(row: Any) -> str:
    return f"{row['email_id']} to {row['recipient']}, {row['lines']}, {row['state']} ({row['reason']})"


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
    batches: dict[tuple[str, str, str], str] = {}
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
            # All events of one batch have one time.
            if batches.setdefault((*key, event["time"]), event["id"]) != event["id"]:
                findings.add("notices_doubled", "banner told step by step", f"{key} at {event['time']}")
            if key not in banners or place > banners[key][0]:
                banners[key] = (place, event["type"], data.get("threshold"))
    for email_id, state in emails.items():
        for kind in {QUEUED, QUEUED if state == "queued" else ENDED} - told[email_id]:
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
