"""What stands around every answer: headers, and the limit of requests."""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meter.runtime.clock import Clock
from projections.console.limits import RateLimit
from projections.console.refusals import Refusals
from projections.console.tokens import AccessError

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not no-referrer: browsers then send the origin of a form as null.
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cross-origin-opener-policy": "same-origin",
    "strict-transport-security": "max-age=31536000",
}

KEPT: Final = (200, 206, 304)


class SecurityHeaders:
    """Pure ASGI, so that streams pass through as they come."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        kept = scope["path"].startswith("/static/")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if kept:
                    headers["cross-origin-resource-policy"] = "cross-origin"
                    headers["access-control-allow-origin"] = "*"
                # A refusal is of one client at one moment: a cache must not give it to others.
                headers["cache-control"] = "public, max-age=300" if kept and message["status"] in KEPT else "no-store"
            await send(message)

        await self._app(scope, receive, send_with_headers)


class Limited:
    """Refuses with 429 whoever asks too often."""

    def __init__(self, app: ASGIApp, limit: RateLimit, clock: Clock, refusals: Refusals) -> None:
        self._app = app
        self._limit = limit
        self._clock = clock
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = (scope.get("client") or ("",))[0]
        pause_s = self._limit.take(client, self._clock.now().timestamp())
        if pause_s > 0:
            error = AccessError(429, "too_many_requests", "Too many requests: wait a little.", int(pause_s) + 1)
            refusal = await self._refusals.refuse(Request(scope), error)
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)
