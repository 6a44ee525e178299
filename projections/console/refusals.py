"""What is said in place of an answer: to people a page with the way on, to programs JSON with a stable code."""

import re
from typing import Final

import structlog
from jinja2 import Environment
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meter.runtime.failures import explain, is_transient
from projections.console.tokens import AccessError
from schemas.fields import ACCOUNT_PATTERN

log = structlog.get_logger(component="console")
RETRY_S: Final = 5
AWAY: Final = "The figures cannot be read at the moment: the database does not answer. Nothing is lost."
HOME: Final = re.compile(rf"/accounts/({ACCOUNT_PATTERN.strip('^$')})/")
MISSED: Final = {
    404: ("no_page", "There is no such page."),
    405: ("no_method", "That cannot be done with this address."),
}


class Refusals:
    def __init__(self, templates: Environment) -> None:
        self._page = templates.get_template("refused.html.j2")

    async def refuse(self, request: Request, error: Exception) -> Response:
        """People without a token that counts are sent to sign in."""
        assert isinstance(error, AccessError)  # noqa: S101  # the one kind that is registered
        if not wants_page(request):
            return JSONResponse({"code": error.code, "detail": error.sentence}, error.status, headers_of(error))
        if error.status == 401:
            return RedirectResponse(f"/?why={error.code}", status_code=303)
        address, words = way_on(request, error)
        text = self._page.render(sentence=error.sentence, address=address, words=words)
        return HTMLResponse(text, error.status, headers_of(error))

    async def miss(self, request: Request, error: Exception) -> Response:
        """An address or a method that there is not."""
        assert isinstance(error, HTTPException)  # noqa: S101  # the one kind that is registered
        code, sentence = MISSED.get(error.status_code, ("refused", "That cannot be answered."))
        return await self.refuse(request, AccessError(error.status_code, code, sentence))


class Caught:
    """Answers what nobody expected, with all headers. Where an answer has begun, its connection ends."""

    def __init__(self, app: ASGIApp, refusals: Refusals) -> None:
        self._app = app
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except ClientDisconnect:
            pass  # whoever asked went away before the end of the body: nobody is there to be answered
        except Exception as error:
            if begun or scope["type"] != "http":
                raise
            refusal = await self._refusals.refuse(Request(scope), tell(error))
            await refusal(scope, receive, send)


def tell(error: Exception) -> AccessError:
    """Logged here, for who asked reads only what to do."""
    if is_transient(error):
        log.warning("request_put_off", detail=explain(error))
        return AccessError(503, "not_readable", AWAY)
    log.error("request_failed", exc_info=error)
    return AccessError(500, "failed", "This could not be answered: a fault of the console. Its log has the details.")


def headers_of(error: AccessError) -> dict[str, str] | None:
    if error.status == 401:
        return {"WWW-Authenticate": "Bearer"}
    pause_s = error.pause_s or (RETRY_S if error.status == 503 else None)
    return None if pause_s is None else {"Retry-After": str(pause_s)}


def way_on(request: Request, error: AccessError) -> tuple[str, str]:
    """Where the one link of the page leads, and its words."""
    if (error.status >= 500 or error.status == 429) and request.method == "GET":
        path, query = f"/{request.url.path.lstrip('/')}", request.url.query  # two slashes would name another host
        return f"{path}?{query}" if query else path, "Try again"
    if error.status == 403:
        return "/", "Sign in with another token"
    home = HOME.match(request.url.path)
    return (f"/accounts/{home[1]}/overview", "Show the usage of this account") if home else ("/", "To the start")


def wants_page(request: Request) -> bool:
    return not request.url.path.startswith("/v1/") and "text/html" in request.headers.get("accept", "")
