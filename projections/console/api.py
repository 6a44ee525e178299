"""JSON for other front ends: `/v1/accounts/{id}/…`, for the account of the token."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, get_args
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from meter.runtime.clock import Clock
from meter.runtime.errors import explain
from projections.console import openapi
from projections.console.access import Guard
from projections.console.history import History, tell_history
from projections.console.large import LargeAnswers
from projections.console.live import BalanceWatch, LivePage
from projections.console.periods import DEFAULT, Period, PeriodError, find_zone, is_counted, period_of
from projections.console.reader import MOST_HISTORY, ConsoleReader
from projections.console.rows import Item, Point, Usage
from projections.console.settings import ConsoleSettings
from projections.console.summary import Summary, action_for, banner_json, moment, to_json
from projections.console.tokens import AccessError, Viewer
from projections.reader import as_resource
from schemas.fields import ACCOUNT_PATTERN
from schemas.outputs import BannerKind
from schemas.resources import Resource

ACCOUNT: Final = re.compile(ACCOUNT_PATTERN)


@dataclass(frozen=True, slots=True)
class Console:
    """What every answer is made with."""

    settings: ConsoleSettings
    reader: ConsoleReader
    watch: BalanceWatch
    guard: Guard
    clock: Clock
    large: LargeAnswers = field(default_factory=LargeAnswers)

    @property
    def stale_after(self) -> timedelta:
        return timedelta(seconds=self.settings.console_stale_s)

    def zone_of(self, summary: Summary) -> ZoneInfo:
        return find_zone(summary.time_zone, self.settings.console_zone)

    def period_of(self, request: Request, summary: Summary) -> Period:
        """Raises AccessError (400) for one that cannot be shown."""
        query, zone = request.query_params, self.zone_of(summary)
        try:
            period = period_of(
                query.get("period", DEFAULT), self.clock.now(), zone, query.get("from", ""), query.get("to", "")
            )
            return replace(period, counted=is_counted(summary.time_zone, zone))
        except PeriodError as error:
            raise AccessError(400, "period_unknown", f"That period cannot be shown: {explain(error)}.") from None


def account_of(request: Request) -> str:
    """The account that the path names. Raises AccessError for what can be no account id."""
    account_id: str = request.path_params["account_id"]
    if not ACCOUNT.fullmatch(account_id):
        raise AccessError(404, "no_account_id", "That is no account id.")
    return account_id


def json_ready(value: Any) -> Any:
    """Amounts as decimal text, times as ISO 8601."""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}" if value else "0"
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: json_ready(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(part) for part in value]
    return value


def period_json(period: Period) -> dict[str, Any]:
    return {
        "name": period.name,
        "from": moment(period.start),
        "until": moment(period.end),
        "first_day": period.first.isoformat(),
        "last_day": period.last.isoformat(),
        "unit": period.unit,
        "time_zone": period.zone.key,
    }


def usage_answer(period: Period, rows: Sequence[Usage], points: Sequence[Point]) -> Response:
    return JSONResponse(
        {
            "period": period_json(period),
            "usage": [json_ready(asdict(row)) for row in rows],
            "points": [json_ready(asdict(point)) for point in sorted(points, key=lambda one: (one.at, one.kind))],
        }
    )


def items_answer(found: Sequence[Item]) -> Response:
    return JSONResponse({"items": [json_ready(asdict(item)) for item in found]})


class Api:
    def __init__(self, console: Console) -> None:
        self._console = console

    async def _summary(self, request: Request) -> Summary:
        return (await self._admit(request))[0]

    async def _admit(self, request: Request) -> tuple[Summary, Viewer]:
        account_id = account_of(request)
        viewer = self._console.guard.admit(request, account_id)
        return await self._console.reader.summary(account_id), viewer

    async def summary(self, request: Request) -> Response:
        summary, viewer = await self._admit(request)
        body = to_json(
            summary, self._console.stale_after, self._console.zone_of(summary), now=self._console.clock.now()
        )
        settings = self._console.settings
        more = {
            "links": {"billing": settings.billing_url, "support": settings.support_url},
            "may_buy": viewer.may_buy,
            "actions": {kind: action_for(kind, may_buy=viewer.may_buy) for kind in get_args(BannerKind)},
        }
        return JSONResponse(body | more)

    async def allowed(self, request: Request) -> Response:
        """200 or 402, for gates that have no Postgres. Both resources, or the one that is asked for."""
        summary = await self._summary(request)
        wanted = resources_of(request)
        answer: dict[str, Any] = {str(resource): summary.allowed(resource) for resource in wanted}
        refused = [resource for resource in wanted if not summary.allowed(resource)]
        code = refusal_code(summary, refused)
        stale = summary.is_stale(self._console.stale_after)
        body = {"allowed": not refused, "code": code, "resources": answer, "stale": stale}
        return JSONResponse(body, status_code=402 if refused else 200)

    async def banners(self, request: Request) -> Response:
        summary = await self._summary(request)
        return JSONResponse({"banners": [banner_json(banner) for banner in summary.banners]})

    async def usage(self, request: Request) -> Response:
        summary = await self._summary(request)
        period = self._console.period_of(request, summary)

        async def make() -> Response:
            async with self._console.reader.at_once() as reader:
                rows = await reader.usage(summary.account_id, period)
                points = await reader.points(summary.account_id, period)
            return await asyncio.to_thread(usage_answer, period, rows, points)

        return await self._console.large.make(summary.account_id, make)

    async def items(self, request: Request) -> Response:
        summary = await self._summary(request)

        async def make() -> Response:
            found = await self._console.reader.catalogue(summary.account_id)
            return await asyncio.to_thread(items_answer, found)

        return await self._console.large.make(summary.account_id, make)

    async def history(self, request: Request) -> Response:
        summary = await self._summary(request)
        told = await read_history(self._console, summary.account_id)
        return JSONResponse(json_ready({"history": [asdict(entry) for entry in told.entries], "since": told.since}))

    async def live(self, request: Request) -> Response:
        account_id = account_of(request)
        viewer = self._console.guard.admit(request, account_id)
        return LivePage(self._console.watch.take_place(account_id), viewer.until)

    def routes(self) -> list[Route]:
        account = "/v1/accounts/{account_id}/"
        methods = ("summary", "usage", "items", "banners", "history", "allowed", "live")
        return [
            *(Route(account + name, getattr(self, name), methods=["GET"]) for name in methods),
            *(Route(path, describe, methods=["GET"]) for path in ("/v1/openapi.json", "/openapi.json")),
        ]


async def read_history(console: Console, account_id: str, period: Period | None = None) -> History:
    """All of it without a period, as far as one answer holds it."""
    reader = console.reader
    return tell_history(
        await reader.notices(account_id, period),
        await reader.letters(account_id, period),
        await reader.epochs(account_id, period),
        await reader.events(account_id, period),
        most=MOST_HISTORY,
    )


async def describe(_request: Request) -> Response:
    return JSONResponse(openapi.document())


def resources_of(request: Request) -> list[Resource]:
    name = request.query_params.get("resource")
    try:
        return list(Resource) if name is None else [as_resource(name)]
    except ValueError as error:
        raise AccessError(400, "resource_unknown", f"{explain(error)}.") from None


def refusal_code(summary: Summary, refused: Sequence[Resource]) -> str:
    """Stable: programs compare it."""
    if not refused:
        return "allowed"
    if summary.state != "open":
        return f"account_{summary.state}"
    return f"{refused[0]}_exhausted"
