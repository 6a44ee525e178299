"""Told levels in Postgres. The fold and the mailers change them one after the other, by a lock on the account's row."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from meter.runtime.postgres import Executor, JsonRows, fetch_together, load_sql, transpose
from notifier import events
from notifier.letters import Contact, Letters, Lines, Reached, Recalled, Shown, Told
from notifier.model import EmailRow, LetterStep, NotifyPlan, OutboxEvent
from notifier.owed import Outcome, apply_steps, place_of, space_out

PACKAGE = "notifier"


Rows = Mapping[str, JsonRows]  # by statement


async def fetch_letters(connection: Executor, shards: Mapping[str, int]) -> dict[str, Letters]:
    """By account id; `shards` holds the shard of each. Nobody else changes them until the commit."""
    await lock_accounts(connection, shards)
    return read_letters(shards, await fetch_together(connection, PACKAGE, asked_of_letters(shards)))


async def lock_accounts(connection: Executor, shards: Mapping[str, int]) -> None:
    """Until the commit; what was read of their people before may be gone by now, for they may have been forgotten."""
    await connection.execute(load_sql(PACKAGE, "lock_accounts"), sorted(shards), sorted(set(shards.values())))


def asked_of_letters(shards: Mapping[str, int]) -> dict[str, Sequence[Any]]:
    """The statements that letters are read from, with their parameters."""
    asked = sorted(shards), sorted(set(shards.values()))
    return dict.fromkeys(("fetch_open", "fetch_lines", "fetch_contacts", "fetch_recalled"), asked)


def read_letters(ids: Iterable[str], rows: Rows) -> dict[str, Letters]:
    is_open = {row["account_id"]: row["is_open"] for row in rows["fetch_open"]}
    reached: dict[str, dict[str, Reached]] = {}
    for row in rows["fetch_lines"]:
        found_at = Reached(row["epoch"], row["line"], row["exhausted"])
        reached.setdefault(row["account_id"], {})[row["resource"]] = found_at
    contacts: dict[str, dict[str, Contact]] = {}
    for row in rows["fetch_contacts"]:
        contacts.setdefault(row["account_id"], {})[row["contact"]] = read_contact(row)
    recalled: dict[str, dict[str, Recalled]] = {}
    for row in rows["fetch_recalled"]:
        found = recalled.setdefault(row["account_id"], {})
        lines = found[row["contact"]].lines if row["contact"] in found else {}
        line = {(row["resource"], row["epoch"]): row["line"]}
        found[row["contact"]] = Recalled(UUID(row["contact_id"]), {**lines, **line})
    return {
        name: Letters(is_open.get(name, True), reached.get(name, {}), contacts.get(name, {}), recalled.get(name, {}))
        for name in ids
    }


def read_contact(row: Any) -> Contact:
    unsent = row["unsent"] or {}
    return Contact(
        contact_id=UUID(row["contact_id"]),
        is_contact=row["is_contact"],
        refused=row["refused"],
        told={resource: Told(*levels) for resource, levels in row["told"].items()},
        unsent=UUID(unsent["email_id"]) if unsent else None,
        lines=as_lines(unsent.get("lines", ())),
    )


def read_lines(text: str) -> Lines:
    return as_lines(json.loads(text))


def as_lines(found: Iterable[Any]) -> Lines:
    return {
        line["resource"]: Shown(line["epoch"], line["line"], line["counts"], line["position"], line.get("exhausted"))
        for line in found
    }


def write_lines(lines: Lines) -> str:
    return json.dumps(
        [
            {
                "resource": resource,
                "epoch": shown.epoch,
                "line": shown.line,
                "counts": shown.counts,
                "position": shown.position,
                "exhausted": shown.exhausted,
            }
            for resource, shown in sorted(lines.items())
        ]
    )


@dataclass(frozen=True, slots=True)
class Change:
    """Of one account: what was known, and what follows."""

    account_id: str
    shard: int
    before: Letters
    outcome: Outcome


async def work_out(connection: Executor, plan: NotifyPlan) -> list[Change]:
    """What a batch changes about letters. Call it before its balances are written: it reads the lines of before."""
    steps: dict[str, list[LetterStep]] = {}
    for step in plan.letters:
        steps.setdefault(step.account_id, []).append(step)
    if not steps:
        return []
    shards = {name: place_of(found[0])[0] for name, found in steps.items()}
    known = await fetch_letters(connection, shards)
    return [
        Change(name, shards[name], known[name], apply_steps(name, known[name], steps[name], plan.at))
        for name in sorted(steps)
    ]


async def write_changes(connection: Executor, changes: Sequence[Change], pause_s: float, at: datetime) -> int:
    """The number of letters that became owed. Call it after the notices are written that they are filed under."""
    await save_contacts(connection, changes)
    queued = [found for change in changes for found in space_out(change.outcome)]
    await queue_letters(connection, queued, pause_s, at)
    return len(queued)


async def save_contacts(connection: Executor, changes: Sequence[Change]) -> None:
    """Write what differs from before."""
    contacts, told, lines = list[Any](), list[Any](), list[Any]()
    for change in changes:
        for address, contact in change.outcome.letters.contacts.items():
            before = change.before.contacts.get(address)
            if contact == before:
                continue
            place = (change.shard, change.account_id, address)
            contacts.append((*place, contact.contact_id, contact.is_contact, contact.refused))
            told += [
                (*place, resource, known.level, known.given_up)
                for resource, known in contact.told.items()
                if before is None or before.told.get(resource) != known
            ]
            if before is not None and contact.unsent == before.unsent and contact.lines != before.lines:
                lines.append((contact.unsent, write_lines(contact.lines), change.shard))
    for statement, rows, width in (("save_contacts", contacts, 6), ("save_told", told, 6), ("save_lines", lines, 3)):
        if rows:
            await connection.execute(load_sql(PACKAGE, statement), *transpose(rows, width))


async def queue_letters(
    connection: Executor, rows: Sequence[tuple[EmailRow, float]], pause_s: float, at: datetime
) -> None:
    """Letters, and how many seconds later than those of others they are taken."""
    if not rows:
        return
    columns = transpose(
        [(r.email_id, r.shard, r.account_id, r.recipient, r.notice_id, r.generation, later_s) for r, later_s in rows], 7
    )
    await connection.execute(load_sql(PACKAGE, "queue_emails"), *columns, at, pause_s)
    await append_events(connection, [(row.shard, events.email_queued(row, at)) for row, _ in rows])


async def append_events(connection: Executor, found: Sequence[tuple[int, OutboxEvent]]) -> None:
    columns = transpose([(shard, event.key, event.value) for shard, event in found], 3)
    await connection.execute(load_sql(PACKAGE, "append_outbox"), *columns)
