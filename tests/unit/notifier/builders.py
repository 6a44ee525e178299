"""Values for the notifier's tests."""

from datetime import UTC, datetime, timedelta
from typing import Any

from notifier.decide import BalanceSnapshot
from notifier.model import AccountSnapshot
from notifier.render import Renderer, Sender
from schemas.amounts import MICRO, Micro, format_amount
from schemas.build import encode_event
from schemas.records import Record
from schemas.topics import BALANCES

AT = datetime(2026, 3, 5, 9, 30, tzinfo=UTC)
ACCOUNT = "acc-1"
RENDERER = Renderer(Sender(address="credits@example.com", billing_url="https://example.com/billing"))


def account(position: int = 1, contacts: tuple[str, ...] = ("owner@example.com",), **values: Any) -> AccountSnapshot:
    found: dict[str, Any] = {
        "account_id": ACCOUNT,
        "shard": 0,
        "plan": "free",
        "display_name": "Example Account",
    } | values
    return AccountSnapshot(position=position, contacts=contacts, **found)


def balance(
    consumed: int, position: int, *, allocation: int = 75 * MICRO, epoch: int = 1, **values: Any
) -> BalanceSnapshot:
    found: dict[str, Any] = {"account_id": ACCOUNT, "resource": "model_credits", "shard": 0, "as_of": AT} | values
    return BalanceSnapshot(epoch=epoch, allocation=allocation, consumed=consumed, position=position, **found)


def percent(whole: int, position: int, *, epoch: int = 1, **values: Any) -> BalanceSnapshot:
    """A balance of 100 credits of which `whole` are used."""
    return balance(whole * MICRO, position, allocation=100 * MICRO, epoch=epoch, **values)


def encode_change(change: BalanceSnapshot | AccountSnapshot) -> bytes:
    """As the projections publish it."""
    if isinstance(change, AccountSnapshot):
        kind = "account.changed.v1" if change.contact_ids is None else "account.changed.v2"
        data = account_data(change)
    else:
        kind, data = "balance.changed.v1", balance_data(change)
    number = f"00000000-0000-4000-8000-{change.position:012d}"
    return encode_event(kind, change.account_id, data, event_id=number, time=AT, source="tests")


def account_data(change: AccountSnapshot) -> dict[str, Any]:
    data = {
        "account_id": change.account_id,
        "plan": change.plan,
        "shard": change.shard,
        "position": change.position,
        "state": "open" if change.is_open else "closed",
    }
    if change.contact_ids is None:
        data["contacts"] = list(change.contacts)
    else:
        data["contact_ids"] = [str(contact) for contact in change.contact_ids]
    optional = {"display_name": change.display_name, "time_zone": change.time_zone}
    return data | {name: value for name, value in optional.items() if value}


def balance_data(change: BalanceSnapshot) -> dict[str, Any]:
    data = {
        "account_id": change.account_id,
        "resource": change.resource,
        "epoch": change.epoch,
        "allocation": format_amount(Micro(change.allocation)),
        "consumed": format_amount(Micro(change.consumed)),
        "remaining": format_amount(Micro(change.remaining)),
        "percent": change.percent,
        "status": "good",
        "allowed": change.remaining > 0,
        "shard": change.shard,
        "position": change.position,
        "as_of": "2026-03-05T09:30:00Z",
    }
    return data if change.free_only is None else data | {"free_only": change.free_only}


def record(value: bytes | None, offset: int = 0, shard: int = 0, at: datetime = AT) -> Record:
    timestamp = int((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))
    return Record(BALANCES, shard, offset, timestamp, ACCOUNT.encode(), value, ())
