"""The summary of an account: what the icon, the panel and other front ends show. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Any, Final, Literal

from projections.console.figures import MINUS, NAMES, show_moment
from projections.reader import STATUSES
from schemas.amounts import MICRO
from schemas.figures import Figures, show_balance
from schemas.outputs import Status
from schemas.resources import Resource

Standing = Literal["not_opened", "open", "closed"]
WORDS: Final[Mapping[Status, str]] = {"good": "good", "moderate": "moderate", "low": "low", "exhausted": "nothing left"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Runway:
    """When nothing is left, at the pace of the last 24 hours."""

    per_hour: Decimal
    empty_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One resource of an account: exact amounts, and the same in words."""

    resource: Resource
    allocation: Decimal
    consumed: Decimal
    remaining: Decimal
    exhaustion: Decimal | None
    status: Status
    allowed: bool
    epoch: int
    free_only: bool
    runway: Runway | None = None
    exhausted_since: datetime | None = None

    @property
    def name(self) -> str:
        return NAMES[self.resource]

    @property
    def shown(self) -> Figures:
        """As letters and commands show the same balance."""
        return show_balance(int(self.consumed * MICRO), int(self.allocation * MICRO))

    @property
    def left_shown(self) -> str:
        return f"{MINUS}{self.shown.over}" if self.remaining < 0 else self.shown.left

    @property
    def left_percent(self) -> Decimal:
        """Of the allocation, 0 to 100, for pies and bars."""
        if self.allocation <= 0:
            return Decimal(100 if self.remaining > 0 else 0)
        return max(Decimal(0), min(Decimal(100), self.remaining * 100 / self.allocation))

    def used_by_midnight(self, now: datetime) -> Decimal:
        """Percent of the allocation that is used when the day of `now` ends, at the pace of the last 24 hours; what is
        used already where no pace is known."""
        used = 100 - self.left_percent
        if self.runway is None or self.allocation <= 0:
            return used
        zone = now.tzinfo or UTC
        ends = datetime.combine(now.date() + timedelta(days=1), time.min, zone).astimezone(UTC)
        hours = Decimal((ends - now.astimezone(UTC)) / timedelta(hours=1))
        return min(Decimal(100), used + self.runway.per_hour * hours * 100 / self.allocation)

    @property
    def sentence(self) -> str:
        if self.epoch == 0:
            return f"{self.name}: none yet."
        if self.remaining <= 0:
            return f"{self.name}: nothing left."
        left = "less than 1" if self.left_percent < 1 else f"{self.left_percent:.0f}"
        return f"{self.name}: {left} % left, {WORDS[self.status]}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    resource: Resource
    threshold: int
    kind: str
    removable: bool
    text: str
    epoch: int
    raised_at: datetime

    @property
    def key(self) -> str:
        """What a person closed: the same level in a later epoch is another banner."""
        return f"{self.resource}:{self.epoch}:{self.threshold}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    account_id: str
    display_name: str | None
    plan: str | None
    state: Standing
    time_zone: str | None
    shares: Sequence[Share]
    banners: Sequence[Banner]
    as_of: datetime | None  # when its shard was last read to the end of the log; None where nothing is known
    lag: timedelta | None  # how long ago that was, by the database's clock alone

    @property
    def status(self) -> Status:
        """The worse resource decides; of nothing known: exhausted, for nothing is allowed."""
        return max((share.status for share in self.shares), key=STATUSES.index, default="exhausted")

    @property
    def left_percent(self) -> Decimal:
        """Of the worse resource."""
        return min((share.left_percent for share in self.shares), default=Decimal(0))

    @property
    def unused(self) -> bool:
        return all(share.consumed == 0 for share in self.shares)

    def share(self, resource: Resource) -> Share | None:
        return next((share for share in self.shares if share.resource is resource), None)

    def allowed(self, resource: Resource) -> bool:
        share = self.share(resource)
        return share is not None and share.allowed

    def is_stale(self, most: timedelta) -> bool:
        return self.lag is not None and self.lag > most

    def sentence(self, stale: bool = False) -> str:
        """The accessible name of the icon: both resources, never the colour alone."""
        if self.state == "not_opened":
            return "Credit usage, not up to date." if stale else "Credit usage: this account is not opened yet."
        start = "Credit usage, not up to date." if stale else "Credit usage."
        closed = " The account is closed." if self.state == "closed" else ""
        return " ".join([start + closed, *(share.sentence for share in self.shares)])


def read_json(text: str) -> Any:
    """Numbers stay exact."""
    return json.loads(text, parse_float=Decimal)


def summary_of(row: Mapping[str, Any]) -> Summary:
    """From a row of `read_summaries`."""
    balances = read_json(row["balances"])
    beside = {balance["resource"]: balance for balance in balances}
    told = [banner for banner in read_json(row["banners"]) if is_in_force(banner, beside.get(banner["resource"]))]
    banners = [banner_of(banner) for banner in told]
    runways = {runway["resource"]: runway for runway in read_json(row["runways"])}
    since = {banner.resource: banner.raised_at for banner in banners if not banner.removable}
    states = {balance["account_state"] for balance in balances}
    return Summary(
        account_id=row["account_id"],
        display_name=row["display_name"],
        plan=row["plan"],
        state=row["state"] or ("closed" if "closed" in states else "not_opened"),
        time_zone=row["time_zone"],
        shares=[share_of(balance, runways.get(balance["resource"]), since) for balance in balances],
        banners=banners,
        as_of=row["as_of"],
        lag=row["lag"],
    )


def is_in_force(banner: Mapping[str, Any], balance: Mapping[str, Any] | None) -> bool:
    """The notifier follows the balances, and may be behind: a banner of an epoch that is over is about to be removed,
    and one that says that nothing is left must not stand beside what is left."""
    if balance is None:
        return True
    is_over = banner["epoch"] < balance["epoch"]
    return not is_over and (banner["removable"] or balance["status"] == "exhausted")


def share_of(balance: Mapping[str, Any], runway: Mapping[str, Any] | None, since: Mapping[Resource, datetime]) -> Share:
    resource = Resource(balance["resource"])
    exact = {name: Decimal(balance[name]) for name in ("allocation", "consumed", "remaining")}
    exhausted = balance["status"] == "exhausted"
    return Share(
        resource=resource,
        **exact,
        exhaustion=None if balance["exhaustion"] is None else Decimal(balance["exhaustion"]),
        status=balance["status"],
        allowed=balance["allowed"],
        epoch=balance["epoch"],
        free_only=balance["free_only"],
        runway=None if exhausted else runway_of(runway),
        exhausted_since=since.get(resource) if exhausted else None,
    )


def runway_of(row: Mapping[str, Any] | None) -> Runway | None:
    if row is None or row["empty_at"] is None:
        return None
    return Runway(per_hour=Decimal(row["pace_per_hour"]), empty_at=datetime.fromisoformat(row["empty_at"]))


def banner_of(row: Mapping[str, Any]) -> Banner:
    return Banner(
        resource=Resource(row["resource"]),
        threshold=row["threshold"],
        kind=row["kind"],
        removable=row["removable"],
        text=row["text"],
        epoch=row["epoch"],
        raised_at=datetime.fromisoformat(row["raised_at"]),
    )


def to_json(
    summary: Summary, stale_after: timedelta, zone: tzinfo = UTC, *, now: datetime | None = None
) -> dict[str, Any]:
    """What `GET /v1/accounts/{id}/summary` answers: amounts are decimal text, as everywhere.

    Texts have times of the account's `zone`. How long credits last is said as of `now`; without, `runway` is left out:
    what was told before still counts.
    """
    stale = summary.is_stale(stale_after)
    return {
        "account_id": summary.account_id,
        "display_name": summary.display_name,
        "plan": summary.plan,
        "state": summary.state,
        "time_zone": summary.time_zone,
        "status": summary.status,
        "sentence": summary.sentence(stale),
        "as_of": moment(summary.as_of),
        "stale": stale,
        "unused": summary.unused,
        "resources": [share_json(share, zone, now) for share in summary.shares],
        "banners": [banner_json(banner) for banner in summary.banners],
    }


def share_json(share: Share, zone: tzinfo, now: datetime | None) -> dict[str, Any]:
    since = share.exhausted_since
    told = {} if now is None else {"runway": runway_json(share, now.astimezone(zone))}
    return told | {
        "resource": share.resource.value,
        "name": share.name,
        "allocation": str(share.allocation),
        "consumed": str(share.consumed),
        "remaining": str(share.remaining),
        "exhaustion": None if share.exhaustion is None else str(share.exhaustion),
        "left_percent": f"{share.left_percent:.2f}",
        "used_text": f"{share.shown.used} of {share.shown.allocation} used",
        "left_text": f"{share.left_shown} left",
        "status": share.status,
        "allowed": share.allowed,
        "epoch": share.epoch,
        "free_only": share.free_only,
        "exhausted_since": moment(share.exhausted_since),
        "exhausted_since_text": since and show_moment(since.astimezone(zone)),
    }


def runway_json(share: Share, now: datetime) -> dict[str, Any] | None:
    """`now` in the account's zone."""
    runway = share.runway
    if runway is None:
        return None
    empty_at = runway.empty_at.astimezone(now.tzinfo)
    return {
        "per_hour": str(runway.per_hour),
        "empty_at": moment(runway.empty_at),
        "text": f"At the pace of the last 24 hours the rest lasts until {show_moment(empty_at)}",
        "used_by_midnight": f"{share.used_by_midnight(now):.2f}",
    }


def action_for(kind: str, *, may_buy: bool) -> str:
    """The one useful step beside a banner: who may buy tops up; who may not reads who can."""
    if not may_buy:
        return "Administrators of this account can add credits or upgrade the plan."
    return "Upgrade the plan" if kind == "free_expired" else "Manage billing"


def banner_json(banner: Banner) -> dict[str, Any]:
    return {
        "key": banner.key,
        "resource": banner.resource.value,
        "threshold": banner.threshold,
        "kind": banner.kind,
        "removable": banner.removable,
        "text": banner.text,
        "epoch": banner.epoch,
        "raised_at": moment(banner.raised_at),
    }


def moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds").replace("+00:00", "Z")
