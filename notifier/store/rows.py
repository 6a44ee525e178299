"""From rows of the schema `notifier` to values: each mapping once, for the notice store and the mail queue.

Times are text where rows come as JSON.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from notifier.decide import BalanceKey, BalanceSnapshot, Channel, Noticed
from notifier.model import AccountSnapshot, Banner, BannerKind, EmailRow, Generations, People


def key_of(row: Any) -> BalanceKey:
    return row["account_id"], row["resource"]


def read_account(row: Any) -> AccountSnapshot:
    return AccountSnapshot(
        account_id=row["account_id"],
        shard=row["shard"],
        position=row["position"],
        plan=row["plan"],
        display_name=row["display_name"],
        contacts=tuple(row["contacts"]),
        is_open=row["is_open"],
        time_zone=row["time_zone"],
        generation=row["generation"],
    )


def read_people(row: Any) -> People:
    addresses = {UUID(contact_id): address for address, contact_id in json.loads(row["contacts"])}
    return People(row["display_name"], addresses)


def read_balance(row: Any) -> BalanceSnapshot:
    return BalanceSnapshot(
        account_id=row["account_id"],
        resource=row["resource"],
        epoch=row["epoch"],
        allocation=int(row["allocation"]),
        consumed=int(row["consumed"]),
        shard=row["shard"],
        position=row["position"],
        line=row["line"],
        as_of=None if row["as_of"] is None else datetime.fromisoformat(row["as_of"]),
        free_only=row["free_only"],
        generation=row["generation"],
    )


def read_banner(row: Any) -> Banner:
    return Banner(
        account_id=row["account_id"],
        resource=row["resource"],
        threshold=row["threshold"],
        kind=BannerKind(row["kind"]),
        removable=row["removable"],
        text=row["text"],
        epoch=row["epoch"],
        shard=row["shard"],
        position=row["position"],
        raised_at=datetime.fromisoformat(row["raised_at"]),
        generation=row["generation"],
    )


def group_noticed(rows: Iterable[Any]) -> dict[BalanceKey, Noticed]:
    found: dict[BalanceKey, set[tuple[Channel, int]]] = {}
    for row in rows:
        found.setdefault(key_of(row), set()).add((Channel(row["channel"]), row["threshold"]))
    return {key: frozenset(lines) for key, lines in found.items()}


def group_generations(rows: Iterable[Any]) -> Generations:
    found: dict[int, list[tuple[int, int]]] = {}
    for row in rows:
        found.setdefault(row["shard"], []).append((row["generation"], row["from_position"]))
    return found


def read_email(row: Any) -> EmailRow:
    return EmailRow(
        email_id=row["email_id"],
        contact_id=row["contact_id"],
        notice_id=row["notice_id"],
        account_id=row["account_id"],
        shard=row["shard"],
        recipient=row["recipient"],
        created_at=row["created_at"],
        generation=row["generation"],
    )
