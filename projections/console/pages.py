"""Pages for people: signing in, the billing page with its tabs, CSV files. All of it works without JavaScript."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from projections.console.access import check_origin, end_session, set_session, split_address
from projections.console.api import ACCOUNT, Console, account_of, read_history
from projections.console.contents import (
    dry_run_content,
    history_table,
    items_content,
    overview_content,
    points_table,
)
from projections.console.items import item_page
from projections.console.overview import trend
from projections.console.periods import LABELS
from projections.console.summary import to_json
from projections.console.tables import Table, to_csv
from projections.console.tabs import KINDS, TITLES, Tab
from projections.console.tokens import AccessError
from projections.console.view import View, tab_of

MOST_BODY: Final = 8192
MOST_FIELDS: Final = 10
CLOSED_COOKIE: Final = "credit-console-closed"
MOST_CLOSED: Final = 20
MOST_SECONDS: Final = 400 * 86_400
REASONS: Final = {
    "token_missing": "Sign in with a token for your account.",
    "token_expired": "The token has expired: sign in again.",
    "token_invalid": "The token is not valid for this console.",
    "signed_out": "You are signed out.",
}


class Pages:
    def __init__(self, console: Console, templates: Environment) -> None:
        self._console = console
        self._templates = templates

    def _render(self, name: str, **values: Any) -> Response:
        return HTMLResponse(self._templates.get_template(name).render(**values))

    async def start(self, request: Request) -> Response:
        """Where to sign in, or to name an account where the console has no keys."""
        why = REASONS.get(request.query_params.get("why", ""), "")
        return self._render("sign_in.html.j2", why=why, has_keys=self._console.guard.has_keys)

    async def sign_in(self, request: Request) -> Response:
        """Exchange a token for the cookie. The token comes in the body, so no log of addresses has it."""
        check_origin(request)
        form = await read_form(request)
        if not self._console.guard.has_keys:
            self._console.guard.viewer(request)
            return RedirectResponse(account_path(form.get("account", "")), status_code=303)
        token = form.get("token", "").strip()
        viewer = self._console.guard.read(token)
        response = RedirectResponse(account_path(viewer.account_id or ""), status_code=303)
        set_session(response, token, viewer, self._console.clock)
        return response

    async def sign_out(self, request: Request) -> Response:
        check_origin(request)
        response = RedirectResponse("/?why=signed_out", status_code=303)
        end_session(response)
        return response

    async def _view(self, request: Request) -> View:
        account_id = account_of(request)
        viewer = self._console.guard.admit(request, account_id)
        tab = tab_of(request)
        summary = await self._console.reader.summary(account_id)
        period = self._console.period_of(request, summary)
        return View(request, summary, viewer, period, self._console.clock.now(), tab)

    async def account(self, request: Request) -> Response:
        return RedirectResponse(f"{account_path(account_of(request))}/{Tab.OVERVIEW}", status_code=303)

    async def tab(self, request: Request) -> Response:
        view = await self._view(request)
        name = view.tab.value if view.tab not in KINDS else "items"

        async def make() -> Response:
            fill = await self._content(view)
            return await asyncio.to_thread(lambda: self._render(f"{name}.html.j2", **self._frame(view), **fill()))

        return await self._console.large.make(view.summary.account_id, make)

    def _frame(self, view: View) -> dict[str, Any]:
        """What every page of an account shows around its content."""
        settings = self._console.settings
        return {
            "view": view,
            "summary": view.summary,
            "made_from": json.dumps(to_json(view.summary, self._console.stale_after)),
            "stale": view.summary.is_stale(self._console.stale_after),
            "tabs": [(tab, TITLES[tab], view.link(tab)) for tab in Tab],
            "banners": [banner for banner in view.summary.banners if banner.key not in closed_of(view.request)],
            "billing_url": settings.billing_url,
            "support_url": settings.support_url,
            "labels": LABELS,
            "has_keys": self._console.guard.has_keys,
        }

    async def _content(self, view: View) -> Callable[[], dict[str, Any]]:
        """Reads what the tab shows, and returns what makes it ready: to be called off the event loop."""
        account_id = view.summary.account_id
        if view.tab is Tab.HISTORY:
            told = await read_history(self._console, account_id, view.period)
            steps = await self._console.reader.steps(account_id, view.period)
            lines = await self._console.reader.lines_in_force(account_id)
            # Other thresholds over the period; without any typed, those in force alone.
            return lambda: {"entries": told.entries, "since": told.since} | dry_run_content(view, steps, lines)
        if view.tab is Tab.OVERVIEW:
            return await self._overview(view)
        kind = KINDS[view.tab][1]
        async with self._console.reader.at_once() as reader:
            usage = await reader.usage(account_id, view.period, kind)
            first_use = None if usage else await reader.first_use(account_id, kind)
            catalogue = await reader.catalogue(account_id)
        return lambda: items_content(view, usage, catalogue) | {"first_use": first_use}

    async def _overview(self, view: View) -> Callable[[], dict[str, Any]]:
        account_id = view.summary.account_id
        async with self._console.reader.at_once() as reader:
            usage = await reader.amounts(account_id, view.period)
            first_use = None if usage else await reader.first_use(account_id)
            points, catalogue = await reader.points(account_id, view.period), await reader.catalogue(account_id)
        return lambda: overview_content(view, usage, catalogue, points) | {"first_use": first_use}

    async def csv(self, request: Request) -> Response:
        view = await self._view(request)
        name = f"{view.tab}-{view.period.first}-{view.period.last}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}

        async def make() -> Response:
            table = await self._table(view)
            return await asyncio.to_thread(
                lambda: Response(to_csv(table()), media_type="text/csv; charset=utf-8", headers=headers)
            )

        return await self._console.large.make(view.summary.account_id, make)

    async def _table(self, view: View) -> Callable[[], Table]:
        """Of the CSV: as `_content`."""
        reader, account_id = self._console.reader, view.summary.account_id
        if view.tab is Tab.HISTORY:
            told = await read_history(self._console, account_id, view.period)
            return lambda: history_table(told, view)
        if view.tab is Tab.OVERVIEW:
            points = await reader.points(account_id, view.period)
            return lambda: points_table(trend(points, view.period))
        usage = await reader.usage(account_id, view.period, KINDS[view.tab][1])
        catalogue = await reader.catalogue(account_id)
        return lambda: item_page(view.tab, usage, catalogue, view.period.zone).table

    async def part(self, request: Request) -> Response:
        """One part of the page anew, for a page that is kept live: its banners or its cards."""
        view = await self._view(request)
        name = {"banners": "part_banners.html.j2", "cards": "part_cards.html.j2"}.get(view.query("part"))
        if name is None:
            raise AccessError(404, "no_part", "There is no such part.")
        return self._render(name, **self._frame(view))

    async def close_banner(self, request: Request) -> Response:
        """Gone for this account and browser, until the next level or epoch. Fixed ones stay."""
        check_origin(request)
        account_id = account_of(request)
        self._console.guard.admit(request, account_id)
        key = (await read_form(request)).get("key", "")
        summary = await self._console.reader.summary(account_id)
        kept = {banner.key for banner in summary.banners if banner.removable}
        closed = [one for one in closed_of(request) if one in kept]
        if key in kept:
            closed = [*closed, key][-MOST_CLOSED:]
        response = RedirectResponse(back_of(request, account_id), status_code=303)
        response.set_cookie(
            CLOSED_COOKIE, quote(json.dumps(closed)), max_age=MOST_SECONDS, path=account_path(account_id),
            secure=True, httponly=True, samesite="strict",
        )  # fmt: skip
        return response

    def routes(self) -> list[Route]:
        account = "/accounts/{account_id}"
        return [
            Route("/", self.start, methods=["GET"]),
            Route("/session", self.sign_in, methods=["POST"]),
            Route("/session/end", self.sign_out, methods=["POST"]),
            Route(account, self.account, methods=["GET"]),
            Route(account + "/banners/close", self.close_banner, methods=["POST"]),
            Route(account + "/{tab}/part", self.part, methods=["GET"]),
            Route(account + "/{tab}.csv", self.csv, methods=["GET"]),
            Route(account + "/{tab}", self.tab, methods=["GET"]),
        ]


def account_path(account_id: str) -> str:
    if not ACCOUNT.fullmatch(account_id):
        raise AccessError(404, "no_account_id", "That is no account id.")
    return f"/accounts/{quote(account_id, safe='')}"


def closed_of(request: Request) -> list[str]:
    """The banners that were closed in this browser; a cookie that is not ours closes none."""
    try:
        found = json.loads(unquote(request.cookies.get(CLOSED_COOKIE, "[]")))
    except (ValueError, RecursionError):
        return []
    return [key for key in found if isinstance(key, str)] if isinstance(found, list) else []


def back_of(request: Request, account_id: str) -> str:
    """The page that the form was on, where that is one of this account."""
    parts = split_address(request.headers.get("referer", ""))
    home = account_path(account_id)
    if parts.path.startswith(f"{home}/"):
        return f"{parts.path}?{parts.query}" if parts.query else parts.path
    return f"{home}/{Tab.OVERVIEW}"


async def read_form(request: Request) -> Mapping[str, str]:
    """A small form, read by hand: nothing here takes files."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY:
            raise AccessError(413, "too_large", "The form is too large.")
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=MOST_FIELDS))
    except ValueError:
        raise AccessError(400, "too_many_fields", "The form has too many fields.") from None
